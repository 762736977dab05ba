"""Writes instances that arrive in a C-GET as Part 10 files."""

from pathlib import Path
from secrets import token_hex

import anyio
import anyio.to_thread
from attrs import define

from pacs_core.association import PerformedOperation
from pacs_core.cli.output import complain
from pacs_core.contracts import DatasetStream
from pacs_core.dataset import (
    Attributes,
    HeaderScanner,
    file_meta,
    texts,
)
from pacs_core.dimse import DimseError, Status, is_valid_uid

STUDY, SERIES = 0x0020_000D, 0x0020_000E
_BUFFER = 1024 * 1024


@define
class Receiving:
    """Takes instances into a folder.

    Attributes
    ----------
    output : Path
    keys : Attributes
        Unique keys that were asked for; they name study and series where a dataset does not.
    received, failed : int
    """

    output: Path
    keys: Attributes
    received: int = 0
    failed: int = 0

    async def receive(self, operation: PerformedOperation) -> int:
        """Write an instance; return the status for the peer.

        The file appears under its name when it is complete.

        Raises
        ------
        DimseError
            The instance could not be taken; the message says why.
        """
        uid = operation.command.affected_sop_instance_uid or ""
        try:
            await self._write(operation, uid)
        except OSError as error:
            raise self._failure(uid, Status.OUT_OF_RESOURCES, error.strerror or "") from error
        except ValueError as error:
            raise self._failure(uid, Status.CANNOT_UNDERSTAND, str(error)) from error
        self.received += 1
        return Status.SUCCESS

    def _failure(self, uid: str, status: int, reason: str) -> DimseError:
        self.failed += 1
        complain(f"instance {uid[:80]}: {reason}")
        return DimseError(status, reason)

    async def _write(self, operation: PerformedOperation, uid: str) -> None:
        syntax = operation.context.transfer_syntax
        # Raises for a UID that is none, and so keeps it out of the name.
        meta = file_meta(operation.context.abstract_syntax, uid, syntax)
        draft = await anyio.to_thread.run_sync(_Draft, self.output)
        try:
            attributes = await _fill(draft, meta, operation.dataset, syntax)
            folder = self.output / self._uid(attributes, STUDY) / self._uid(attributes, SERIES)
            await anyio.to_thread.run_sync(draft.finish, folder / f"{uid}.dcm")
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(draft.discard)

    def _uid(self, attributes: Attributes, tag: int) -> str:
        for values in (texts(attributes, tag), texts(self.keys, tag)):
            if len(values) == 1 and is_valid_uid(values[0]):
                return values[0]
        name = "Study" if tag == STUDY else "Series"
        raise ValueError(f"the dataset has no valid {name} Instance UID")


async def _fill(draft: "_Draft", meta: bytes, dataset: DatasetStream, syntax: str) -> Attributes:
    """Write a whole file; return the UIDs of its study and series."""
    scanner: HeaderScanner | None = HeaderScanner(syntax, {STUDY, SERIES})
    attributes: Attributes = {}
    buffer = bytearray(meta)
    async for chunk in dataset:
        if scanner is not None and scanner.feed(bytes(chunk)):
            attributes, scanner = scanner.attributes, None
        buffer += chunk
        if len(buffer) >= _BUFFER:
            await anyio.to_thread.run_sync(draft.write, buffer)
            buffer = bytearray()
    if scanner is not None:
        scanner.finish()
        attributes = scanner.attributes
    await anyio.to_thread.run_sync(draft.write, buffer)
    return attributes


class _Draft:
    """A file that does not have its name yet. All methods block."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f".incoming-{token_hex(8)}.part"
        self._file = self._path.open("xb", buffering=0)

    def write(self, data: bytearray) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def finish(self, path: Path) -> None:
        self._file.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path.replace(path)

    def discard(self) -> None:
        """Remove what is left, if anything is."""
        self._file.close()
        self._path.unlink(missing_ok=True)
