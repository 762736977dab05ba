"""Objects that were committed without fsync, made durable: many at once, or one by one."""

import ctypes
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
from attrs import define, field

from pacs_core.api.threads import Threads
from pacs_store_filesystem.directories import Directories, Directory
from pacs_store_filesystem.errors import RoomExpected

FEW: Final = 8
"""Up to so many objects are fsynced one by one: flushing a file system takes others' data along."""
_BLOCK: Final = 1 << 20
_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_GONE: Final = (FileNotFoundError, NotADirectoryError)


def _find_syncfs() -> Callable[[int], int] | None:
    # Before Linux 5.8 syncfs(2) did not report what could not be written.
    version = os.uname().release.split(".")[:2]
    if os.uname().sysname != "Linux" or not all(map(str.isdigit, version)):
        return None
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    return syncfs if [*map(int, version)] >= [5, 8] else None


_syncfs = _find_syncfs()


def sync_file_system(fd: int) -> None:
    """Flush the file system on which an open file lies.

    Raises
    ------
    OSError
        It failed, since `fd` was opened or asked before.
    """
    if _syncfs is None:
        raise NotImplementedError("this system has no syncfs(2) that reports errors")
    if _syncfs(fd):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


@define(eq=False)
class Flush:
    """Flushes objects by key.

    Linux says once that pages could not be written, and then takes them for clean: an fsync that
    follows succeeds. So after a failure the objects concerned are written again, over themselves.

    Attributes
    ----------
    root : Path
        Of the store; for messages.
    directories : Directories
    threads : Threads
    together : bool
        Whether many may be flushed with the whole file system.
    """

    root: Path
    directories: Directories
    threads: Threads
    together: bool = _syncfs is not None
    _suspect: set[str] = field(factory=set)

    async def run(self, keys: Sequence[str]) -> None:
        """Flush objects; those that are gone are passed over.

        Raises
        ------
        OSError
            Some could not be flushed.
        """
        with RoomExpected(self.root):
            try:
                await self._flush(keys)
            except OSError:
                self._suspect.update(keys)
                raise
            self._suspect.difference_update(keys)

    async def _flush(self, keys: Sequence[str]) -> None:
        if self.together and len(keys) > FEW and self._suspect.isdisjoint(keys):
            await self.threads.run(sync_file_system, self.directories.root.fd)
            return
        await self._each(self._sync_object, keys)
        await self._each(self._settle, sorted({key.rpartition("/")[0] for key in keys}))

    async def _each(self, function: Callable[[str], None], names: Sequence[str]) -> None:
        failures: list[OSError] = []

        async def call(part: Sequence[str]) -> None:
            for name in part:
                try:
                    await self.threads.run(function, name)
                except OSError as error:
                    failures.append(error)

        async with anyio.create_task_group() as tasks:
            for start in range(min(FEW, len(names))):
                tasks.start_soon(call, names[start::FEW])
        if failures:
            raise failures[0]

    def _sync_object(self, key: str) -> None:
        parent, _, name = key.rpartition("/")
        again = key in self._suspect
        flags = _FLAGS | (os.O_RDWR if again else os.O_RDONLY)
        with suppress(*_GONE):
            fd = os.open(name, flags, dir_fd=self.directories.open(parent).fd)
            try:
                if again:
                    write_again(fd)
                os.fsync(fd)
            finally:
                os.close(fd)

    def _settle(self, path: str) -> None:
        with suppress(*_GONE):
            directory: Directory = self.directories.open(path)
            directory.settle()


def write_again(fd: int) -> None:
    """Write a file over itself, so that the system takes all of it for changed."""
    offset = 0
    while block := os.pread(fd, _BLOCK, offset):
        view = memoryview(block)
        while view:
            written = os.pwrite(fd, view, offset)
            view = view[written:]
            offset += written
