"""The sinks: to a file, and to standard output."""

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from anyio import CancelScope, to_thread

from pacs_audit_json.chained import ChainWriter
from pacs_audit_json.config import (
    STANDARD_OUTPUT,
    AuditJsonConfig,
    checkpoints_of,
    key_of,
    path_of,
)
from pacs_audit_json.lines import line
from pacs_audit_json.rotating import RotatingFile
from pacs_core.contracts import AuditEvent, AuditSink

_log = logging.getLogger(__name__)
_STDOUT: Final = 1


def create(config: AuditJsonConfig, data_directory: Path) -> AuditSink:
    """Return the sink that the configuration asks for."""
    if config.path == STANDARD_OUTPUT:
        return StandardOutputSink()
    path = path_of(config, data_directory)
    file = RotatingFile(
        path,
        max_bytes=config.max_bytes,
        backups=config.backups,
        fsync=config.fsync,
        chain=_chain(config, path),
    )
    return FileSink(file, config.checkpoint_seconds if config.chain else None)


def _chain(config: AuditJsonConfig, path: Path) -> ChainWriter | None:
    if not config.chain:
        return None
    return ChainWriter(
        key_of(config, path), checkpoints_of(config, path), config.checkpoint_seconds
    )


class FileSink(AuditSink):
    """Appends events to a file; many processes may use the same one.

    Parameters
    ----------
    file : RotatingFile
    sign_every : float, optional
        Seconds after which a chain that has grown is signed even if nothing follows.
    """

    def __init__(self, file: RotatingFile, sign_every: float | None = None) -> None:
        self._file = file
        self._sign_every = sign_every
        self._signing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the file. OSError if it cannot be written."""
        await to_thread.run_sync(self._file.open)
        if self._sign_every is not None:
            self._signing = asyncio.create_task(self._sign_at_times(self._sign_every))

    async def _sign_at_times(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await to_thread.run_sync(self._file.sign)
            except OSError as error:
                _log.error("the audit trail cannot be signed: %s", error)

    async def stop(self) -> None:
        """Sign what was not signed, and close the file. OSError if it cannot be signed."""
        if self._signing is not None:
            self._signing.cancel()
            with suppress(asyncio.CancelledError):
                await self._signing
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
