"""The log of a node's process: takes other settings while it runs."""

import logging
from collections.abc import Mapping

from pacs_core.logs.console import Console, is_journal
from pacs_core.logs.files import LogFile
from pacs_core.logs.formats import JsonFormatter, TextFormatter
from pacs_core.logs.levels import set_levels
from pacs_core.logs.settings import LogSettings

logger = logging.getLogger(__name__)


class NodeHandler(logging.Handler):
    """Hands entries to a file if there is one and it can be written, else to the console.

    Parameters
    ----------
    console : Console
    file : LogFile or None
    """

    def __init__(self, console: Console, file: LogFile | None) -> None:
        super().__init__()
        self._console, self._file = console, file
        self._failed = 0
        """Entries that the file did not take."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write an entry. Nothing is raised, and nobody is waited for."""
        try:
            line = self._line(record)
        except Exception:
            self.handleError(record)
            return
        if self._file is None:
            self._write_to_console(line)
            return
        try:
            if self._failed:
                self._file.write(self._note(f"{self._failed} entries went to standard error"))
                self._failed = 0
            self._file.write(line)
        except OSError as error:
            if not self._failed:
                self._write_to_console(
                    self._note(f"the log file cannot be written: {error}; its entries go here")
                )
            self._failed += 1
            self._write_to_console(line)

    def _write_to_console(self, line: bytes) -> None:
        if self._console.lost:
            lost, self._console.lost = self._console.lost, 0
            self._console.write(self._note(f"{lost} entries were lost: nothing took them"))
        self._console.write(line)

    def _line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode("utf-8", "backslashreplace") + b"\n"

    def _note(self, message: str) -> bytes:
        return self._line(logger.makeRecord(logger.name, logging.WARNING, "", 0, message, (), None))

    def flush(self) -> None:
        """Wait for a moment until the console has taken all."""
        self._console.flush()

    def close(self) -> None:
        """Close what was opened."""
        super().close()
        self._console.flush()
        if self._file is not None:
            self._file.close()


class NodeLog:
    """Levels, format and destination of a process.

    Attributes
    ----------
    levels : mapping of str to str
        By the name of the logger; that of the root logger is empty.
    """

    def __init__(self) -> None:
        self.levels: Mapping[str, str] = {}
        self._settings = LogSettings()
        self._console: Console | None = None
        self._handler: NodeHandler | None = None

    def use(self, settings: LogSettings) -> None:
        """Log as the settings say."""
        self._settings = settings
        self._console = self._console or Console()
        handler = _make_handler(settings, self._console)
        root = logging.getLogger()
        for each in [h for h in root.handlers if h is self._handler or _is_plain(h)]:
            root.removeHandler(each)
        root.addHandler(handler)
        if self._handler is not None:
            self._handler.close()
        self._handler = handler
        self.reset()

    def override(self, levels: Mapping[str, str]) -> None:
        """Give loggers other levels than the settings say, until :meth:`use`."""
        self._set_levels({**self.levels, **levels})

    def reset(self) -> None:
        """Take back what :meth:`override` has done."""
        self._set_levels({**self._settings.levels, "": self._settings.level})

    def _set_levels(self, levels: Mapping[str, str]) -> None:
        set_levels(self.levels, levels)
        self.levels = levels
        debugs = levels.get("") == "debug"
        logging.raiseExceptions = debugs
        if self._handler is not None and isinstance(self._handler.formatter, TextFormatter):
            self._handler.formatter.tracebacks = debugs


def _is_plain(handler: logging.Handler) -> bool:
    """Tell whether it is that which a command logs by until it has read its configuration."""
    return isinstance(handler.formatter, TextFormatter)


def _make_handler(settings: LogSettings, console: Console) -> NodeHandler:
    file = None
    if settings.file is not None:
        file = LogFile(
            settings.file, settings.max_bytes, daily=settings.daily, backups=settings.backups
        )
    for_journal = file is None and is_journal(2)
    handler = NodeHandler(console, file)
    handler.setFormatter(
        JsonFormatter(for_journal=for_journal)
        if settings.format == "json"
        else TextFormatter(tracebacks=False, for_journal=for_journal)
    )
    return handler
