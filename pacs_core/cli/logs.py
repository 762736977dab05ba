"""The log of a command: standard error, one line an entry."""

import logging
import sys

from pacs_core.logs.formats import TextFormatter


def configure_logging(level: str) -> None:
    """Log entries of `level` and above to standard error.

    Parameters
    ----------
    level : str
        ``"debug"``, ``"info"``, ``"warning"``, ``"error"`` or ``"critical"``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter(tracebacks=level == "debug"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = level == "debug"
