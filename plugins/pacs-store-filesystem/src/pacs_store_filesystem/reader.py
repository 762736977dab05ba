"""The reader: positional reads, of what is in memory at once, and of all else in worker threads."""

import os
import stat
from errno import ELOOP, ENXIO
from typing import Final

from anyio.lowlevel import checkpoint

from pacs_core.api.threads import Threads
from pacs_core.contracts import ObjectNotFoundError, ObjectReader
from pacs_store_filesystem.cached import READ_FLAGS, CachedFiles, OpenFile
from pacs_store_filesystem.directories import Directories

_CLOSED: Final = -1


def open_object(directories: Directories, key: str) -> OpenFile:
    """Open a regular file below the root, through no symbolic link.

    Raises
    ------
    ObjectNotFoundError
        There is no such file.
    """
    parent, _, name = key.rpartition("/")
    try:
        fd = os.open(name, READ_FLAGS, dir_fd=directories.open(parent).fd)
    except (FileNotFoundError, NotADirectoryError):
        raise ObjectNotFoundError(key) from None
    except OSError as error:
        if error.errno in (ELOOP, ENXIO):
            raise ObjectNotFoundError(key) from None
        raise
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise ObjectNotFoundError(key)
    return OpenFile(fd, status.st_size)


def read_object(
    directories: Directories, key: str, offset: int, length: int
) -> tuple[OpenFile, bytes]:
    """Open a file, and read from it."""
    file = open_object(directories, key)
    try:
        return file, read_at(file.fd, offset, min(length, file.size - offset))
    except BaseException:
        os.close(file.fd)
        raise


class FilesystemReader(ObjectReader):
    """An open file.

    Attributes
    ----------
    size : int
        In bytes.
    """

    def __init__(self, file: OpenFile, threads: Threads, cached: CachedFiles) -> None:
        self.size = file.size
        self._fd = file.fd
        self._threads = threads
        self._cached = cached

    async def read(self, offset: int, length: int) -> bytes:
        """See base. ValueError if an argument is negative, or the reader closed."""
        if offset < 0 or length < 0:
            raise ValueError(f"offset {offset} and length {length} must not be negative")
        if self._fd == _CLOSED:
            raise ValueError("this reader is closed")
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        if (data := self._cached.read(self._fd, offset, length)) is not None:
            await checkpoint()  # who reads a large file so leaves others their turn
            return data
        return await self._threads.run(read_at, self._fd, offset, length)

    async def close(self) -> None:
        """See base."""
        fd, self._fd = self._fd, _CLOSED
        if fd != _CLOSED:
            # Nothing was written through it, so this waits for no disk: a thread would cost more.
            os.close(fd)


def read_at(fd: int, offset: int, length: int) -> bytes:
    """Return what a file has at an offset, up to so many bytes."""
    parts = []
    while length > 0 and (part := os.pread(fd, length, offset)):
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
