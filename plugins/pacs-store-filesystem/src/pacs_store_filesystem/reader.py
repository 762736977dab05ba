"""The reader: positional reads in worker threads."""

import os
import stat
from errno import ELOOP, ENXIO
from typing import Final

from attrs import frozen

from pacs_core.api.threads import Threads
from pacs_core.contracts import ObjectNotFoundError, ObjectReader
from pacs_store_filesystem.directories import Directories

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CLOSED: Final = -1


@frozen
class OpenFile:
    """A file descriptor, and the size of the file."""

    fd: int
    size: int


def open_object(directories: Directories, key: str) -> OpenFile:
    """Open a regular file below the root, through no symbolic link.

    Raises
    ------
    ObjectNotFoundError
        There is no such file.
    """
    parent, _, name = key.rpartition("/")
    try:
        fd = os.open(name, _FLAGS, dir_fd=directories.open(parent).fd)
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
        return file, _pread(file.fd, offset, min(length, file.size - offset))
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

    def __init__(self, file: OpenFile, threads: Threads) -> None:
        self.size = file.size
        self._fd = file.fd
        self._threads = threads

    async def read(self, offset: int, length: int) -> bytes:
        """See base. ValueError if an argument is negative, or the reader closed."""
        if offset < 0 or length < 0:
            raise ValueError(f"offset {offset} and length {length} must not be negative")
        if self._fd == _CLOSED:
            raise ValueError("this reader is closed")
        length = min(length, self.size - offset)
        return await self._threads.run(_pread, self._fd, offset, length) if length > 0 else b""

    async def close(self) -> None:
        """See base."""
        fd, self._fd = self._fd, _CLOSED
        if fd != _CLOSED:
            # Nothing was written through it, so this waits for no disk: a thread would cost more.
            os.close(fd)


def _pread(fd: int, offset: int, length: int) -> bytes:
    parts = []
    while length > 0 and (part := os.pread(fd, length, offset)):
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
