"""Files: read in pieces, names that survive a power failure, and locks among processes."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import anyio

_CHUNK: Final = 1 << 20


async def file_chunks(
    path: Path, offset: int = 0, length: int | None = None
) -> AsyncGenerator[bytes, None]:
    """Iterate over the bytes of a file, in pieces of 1 MiB at most.

    Parameters
    ----------
    path : Path
    offset : int
        Where they begin.
    length : int, optional
        How many there are; without it, as many as the file has.

    Raises
    ------
    OSError
        It cannot be read, or is shorter than it was.
    """
    async with await anyio.open_file(path, "rb") as file:
        await file.seek(offset)
        while chunk := await file.read(_CHUNK if length is None else min(length, _CHUNK)):
            if length is not None:
                length -= len(chunk)
            yield chunk
    if length:
        raise OSError("the file has become shorter")


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power failure: what was made, renamed or removed."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Lock an open file for this process alone, and tell whether that could be done.

    Or, if it is shared, for this process and others that share it.

    The system lets go of it when the file is closed, also by the death of the process. To wait for
    it is to try again after a pause: a thread that is blocked in ``flock`` cannot be cancelled.
    """
    import fcntl  # not on Windows, where commands that keep nothing run as well

    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
