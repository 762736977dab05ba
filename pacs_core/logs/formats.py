"""Entries of the log as lines: text for people, JSON for programs.

Peers choose much of what is logged: a line break or a terminal sequence of theirs must not look
like an entry of ours, nor may a long value fill the disk.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Final

from pacs_core.contracts.correlation import current_correlation
from pacs_core.logs.escaping import escape
from pacs_core.logs.levels import priority_of

_LONGEST: Final = 32_768
"""Characters of a message, and of a traceback."""

_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class TextFormatter(logging.Formatter):
    """Time, level, logger, correlation and message on one line, whatever the message holds.

    Parameters
    ----------
    tracebacks : bool
        Whether tracebacks are shown, and not their last line alone.
    for_journal : bool
        Whether the line is for the journal of systemd, which knows the time, and the level by a
        prefix: see sd-daemon(3).
    """

    def __init__(self, *, tracebacks: bool, for_journal: bool = False) -> None:
        head = "" if for_journal else "%(asctime)s %(levelname)-8s "
        super().__init__(f"{head}%(name)s: %(message)s")
        self.default_msec_format = "%s.%03d"
        self.tracebacks = tracebacks
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry."""
        record.exc_text = None
        line = escape(_cut(super().format(record)))
        return _with_priority(record, line) if self._for_journal else line

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (a name of logging)
        """Return the line, with the correlation where no message can forge it."""
        if not (correlation := current_correlation().id):
            return super().formatMessage(record)
        # The style looks at attributes of the record, which other handlers may share.
        name, record.name = record.name, f"{record.name} [{correlation}]"
        try:
            return super().formatMessage(record)
        finally:
            record.name = name

    def formatException(self, ei: object) -> str:  # noqa: N802 (a name of logging)
        """Return the traceback, escaped with the rest; without debugging, its last line."""
        text = super().formatException(ei)  # type: ignore[arg-type]
        return text if self.tracebacks else text.rpartition("\n")[2]


class JsonFormatter(logging.Formatter):
    """An object of JSON on one line, in ASCII.

    ``time`` (RFC 3339), ``level``, ``logger``, ``message`` and ``process`` are always there;
    ``correlation`` and ``trace_id`` within a correlation; ``fields`` are what was given to the
    logger as `extra`; ``exception`` is a traceback.

    Parameters
    ----------
    for_journal : bool
        As of :class:`TextFormatter`.
    """

    def __init__(self, *, for_journal: bool = False) -> None:
        super().__init__()
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry."""
        moment = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage()),
            "process": record.process,
        }
        correlation = current_correlation()
        if correlation.id:
            entry["correlation"] = correlation.id
        if correlation.trace_id:
            entry["trace_id"] = correlation.trace_id
        fields = {k: v for k, v in vars(record).items() if k not in _OF_EVERY_RECORD}
        if fields:
            entry["fields"] = fields
        if record.exc_info:
            entry["exception"] = _cut(self.formatException(record.exc_info))
        line = json.dumps(entry, separators=(",", ":"), default=lambda value: _cut(str(value)))
        return _with_priority(record, line) if self._for_journal else line


def _with_priority(record: logging.LogRecord, line: str) -> str:
    return f"<{priority_of(record.levelno)}>{line}"


def _cut(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}... ({len(text) - _LONGEST} more characters)"
