"""The log of a process: standard error, one line an entry."""

import logging
import sys

from pacs_core.cli.output import escape


class LineFormatter(logging.Formatter):
    """Time, level, logger and message on one line, whatever the message holds.

    Peers choose much of what is logged: a line break or a terminal sequence of theirs must not
    look like an entry of ours.
    """

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(name)s: %(message)s")
        self.default_msec_format = "%s.%03d"
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry."""
        record.exc_text = None
        return escape(super().format(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 (a name of logging)
        """Return the traceback, escaped with the rest; without debugging, its last line."""
        text = super().formatException(ei)  # type: ignore[arg-type]
        return text if self._tracebacks else text.rpartition("\n")[2]


def configure_logging(level: str) -> None:
    """Log entries of `level` and above to standard error.

    Parameters
    ----------
    level : str
        ``"debug"``, ``"info"``, ``"warning"``, ``"error"`` or ``"critical"``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(tracebacks=level == "debug"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = level == "debug"
