"""Writes instances that arrive in a C-GET as Part 10 files."""

import errno
import os
from contextlib import ExitStack, suppress
from functools import partial
from io import FileIO
from pathlib import Path
from secrets import token_hex
from stat import S_ISLNK

import anyio
import anyio.to_thread
from attrs import define

from pacs_core.association import PeerOperation
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
# A file appears under its name when it is whole: it is written under a random name in the output
# folder, and renamed. What is interrupted leaves a file named ".incoming-*.part" at worst.
#
# Names come from UIDs that a peer has chosen, so each is checked to be a UID before it becomes part
# of a path, and folders are opened one below the other without following links. Where a dataset has
# no study or series, those that were asked for name them.
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
        draft = await anyio.to_thread.run_sync(_Draft, self.output)
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
    """A file that does not have its name yet. All methods block.

    Folders below the output folder are opened one below the other and never through a link, which
    somebody else may have put there.
    """

    def __init__(self, output: Path) -> None:
        output.mkdir(parents=True, exist_ok=True)
        self._name = f".incoming-{token_hex(8)}.part"
        with ExitStack() as stack:
            self._output = _open_folder(stack, output)
            self._file = FileIO(self._name, "xb", opener=self._create)
            self._stack = stack.pop_all()

    def _create(self, _path: str, flags: int) -> int:
        return os.open(self._name, flags, 0o666, dir_fd=self._output)

    def write(self, data: bytearray) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def finish(self, *folders: str, name: str) -> None:
        self._file.close()
        with ExitStack() as stack:
            below = self._output
            for folder in folders:
                with suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=below)
                if S_ISLNK(os.stat(folder, dir_fd=below, follow_symlinks=False).st_mode):
                    raise OSError(
                        errno.ELOOP,
                        f"{folder} in the output folder is a link, which is not followed",
                    )
                below = _open_folder(stack, folder, os.O_NOFOLLOW, below)
            os.replace(self._name, name, src_dir_fd=self._output, dst_dir_fd=below)

    def discard(self) -> None:
        """Remove what is left, if anything is."""
        self._file.close()
        with self._stack, suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._output)


def _open_folder(
    stack: ExitStack, path: Path | str, flags: int = 0, parent: int | None = None
) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | flags, dir_fd=parent)
    stack.callback(os.close, descriptor)
    return descriptor
