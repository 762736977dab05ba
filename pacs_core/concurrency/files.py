"""Names of files that survive a power failure."""

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power failure: what was made, renamed or removed."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
