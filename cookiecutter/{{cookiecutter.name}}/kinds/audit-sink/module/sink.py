"""The sink: appends events to a file, whole lines only."""

import os
from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread
from pacs_core.contracts import AuditEvent, AuditSink

from {{ cookiecutter.__package }}.lines import line


class FileSink(AuditSink):
    """Appends a line for each event; they are on disk when a write returns.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def start(self) -> None:
        """Make the file, or find out at once that it cannot be written.

        Raises
        ------
        OSError
            It cannot.
        """
        await to_thread.run_sync(self._append, b"")

    async def write(self, events: Sequence[AuditEvent]) -> None:
        """See base.

        Raises
        ------
        OSError
            Nothing was recorded of these events.
        """
        # A thread that has begun is waited for, also by a task that is cancelled.
        await to_thread.run_sync(self._append, b"".join(map(line, events)))

    def _append(self, lines: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                self._write(file.fileno(), lines)
            except OSError:
                file.truncate(end)
                raise

    def _write(self, descriptor: int, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
