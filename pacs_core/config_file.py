"""The config file, before anything is imported that reads it: commands for files may have none."""

import os
from pathlib import Path
from typing import Final

DEFAULT_FILE: Final = "pacs.toml"


def find_config(explicit: Path | None) -> Path | None:
    """Return the file to read: the given one, ``$PACS_CONFIG``, or ``pacs.toml`` if it exists."""
    if explicit is not None:
        return explicit
    if from_environment := os.environ.get("PACS_CONFIG"):
        return Path(from_environment)
    default = Path(DEFAULT_FILE)
    return default if default.is_file() else None
