"""Blocking work on files, for worker threads: whole or absent, never overwritten."""

import errno
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pacs_core.contracts import ObjectExistsError, StorageFullError, StoredObject

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def full_is_named() -> Iterator[None]:
    """Turn the operating system's ways to say that there is no room into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError(error.errno, f"no room: {error.strerror}") from error
        raise


def append(path: Path, chunks: Sequence[bytes | memoryview]) -> None:
    """Append chunks to a file that is being written."""
    with full_is_named(), path.open("ab") as file:
        file.writelines(chunks)


def publish(draft: Path, target: Path, beginning: bytes) -> StoredObject:
    """Write over the beginning of a file, and give it its name, durably, unless that is taken."""
    with full_is_named(), draft.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if len(beginning) > size:
            raise ValueError(f"a beginning of {len(beginning)} bytes in {size} bytes")
        file.write(beginning)
        file.flush()
        os.fsync(file.fileno())
        try:
            target.hardlink_to(draft)
        except FileExistsError:
            raise ObjectExistsError(target.name) from None
        _keep(target)
        stored = _describe(target.name, os.fstat(file.fileno()))
    draft.unlink()
    return stored


def _describe(key: str, status: os.stat_result) -> StoredObject:
    """Return what is known of an object; another file under its key has another identity."""
    return StoredObject(key, status.st_size, f"{status.st_ino:x}-{status.st_mtime_ns:x}")


def _keep(target: Path) -> None:
    """Make a new name durable; if that fails, the name is not taken after all."""
    try:
        sync_directory(target.parent)
    except OSError:
        target.unlink()
        raise


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def listing(directory: Path) -> Generator[StoredObject, None, None]:
    """Iterate over the files of a directory; what vanishes meanwhile is left out."""
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                yield _describe(entry.name, entry.stat())
            except FileNotFoundError:
                continue
