"""The sinks: to a file, and to standard output."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from anyio import CancelScope, to_thread

from pacs_audit_json.config import STANDARD_OUTPUT, AuditJsonConfig, path_of
from pacs_audit_json.lines import line
from pacs_audit_json.rotating import RotatingFile
from pacs_core.contracts import AuditEvent, AuditSink

_STDOUT: Final = 1


def create(config: AuditJsonConfig, data_directory: Path) -> AuditSink:
    """Return the sink that the configuration asks for."""
    if config.path == STANDARD_OUTPUT:
        return StandardOutputSink()
    return FileSink(
        RotatingFile(
            path_of(config, data_directory),
            max_bytes=config.max_bytes,
            backups=config.backups,
            fsync=config.fsync,
        )
    )


class FileSink(AuditSink):
    """Appends events to a file; many processes may use the same one."""

    def __init__(self, file: RotatingFile) -> None:
        self._file = file

    async def start(self) -> None:
        """Open the file. OSError if it cannot be written."""
        await to_thread.run_sync(self._file.open)

    async def stop(self) -> None:
        """Close the file."""
        with CancelScope(shield=True):
            await to_thread.run_sync(self._file.close)

    async def write(self, events: Sequence[AuditEvent]) -> None:
        """See base. OSError if not all events could be written."""
        await to_thread.run_sync(self._write, events)

    def _write(self, events: Sequence[AuditEvent]) -> None:
        self._file.write([line(event) for event in events])


class StandardOutputSink(AuditSink):
    """Writes events to standard output, each line at once."""

    async def write(self, events: Sequence[AuditEvent]) -> None:
        """See base. OSError if nobody reads."""
        await to_thread.run_sync(_print, events)


def _print(events: Sequence[AuditEvent]) -> None:
    for event in events:
        rest = memoryview(line(event))
        while rest:
            rest = rest[os.write(_STDOUT, rest) :]
