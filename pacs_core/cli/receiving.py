"""Writes instances that arrive in a C-GET as Part 10 files."""

from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from attrs import define

from pacs_core.association import PeerOperation
from pacs_core.cli.drafts import Draft
from pacs_core.cli.output import complain
from pacs_core.contracts import DatasetStream
from pacs_core.dataset import (
    Attributes,
    HeaderScanner,
    file_meta,
    texts,
)
from pacs_core.dimse import DimseError, Status, is_valid_uid

# Theory of operation
#
# Names come from UIDs that a peer has chosen, so each is checked to be a UID before it becomes part
# of a path. Where a dataset has no study or series, those that were asked for name them.
#
# A failure is reported to the peer as well as to the user, so that the sub-operation counts as
# failed on both sides.

STUDY, SERIES = 0x0020_000D, 0x0020_000E
_BUFFER = 1024 * 1024


@define
class InstanceReceiver:
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

    async def receive(self, operation: PeerOperation) -> int:
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

    async def _write(self, operation: PeerOperation, uid: str) -> None:
        syntax = operation.context.transfer_syntax
        # Raises for a UID that is none, and so keeps it out of the name.
        meta = file_meta(operation.context.abstract_syntax, uid, syntax)
        draft = await anyio.to_thread.run_sync(Draft, self.output)
        try:
            attributes = await _fill(draft, meta, operation.dataset, syntax)
            folders = self._uid(attributes, STUDY), self._uid(attributes, SERIES)
            await anyio.to_thread.run_sync(partial(draft.finish, *folders, name=f"{uid}.dcm"))
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(draft.discard)

    def _uid(self, attributes: Attributes, tag: int) -> str:
        for values in (texts(attributes, tag), texts(self.keys, tag)):
            if len(values) == 1 and is_valid_uid(values[0]):
                return values[0]
        name = "Study" if tag == STUDY else "Series"
        raise ValueError(f"the dataset has no valid {name} Instance UID")


async def _fill(draft: Draft, meta: bytes, dataset: DatasetStream, syntax: str) -> Attributes:
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
