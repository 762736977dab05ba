"""Errors of the operating system, in the terms of the contract."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pacs_core.contracts import StorageFullError

_HINTS: Final = {
    errno.ENOSPC: "free space or inodes on this file system, or move the store's `root`",
    errno.EDQUOT: "raise the disk quota of the user that runs the node, or free space",
    errno.EFBIG: "raise the file size limit of the process (ulimit -f) or of the file system",
}


@contextmanager
def room_expected(root: Path, key: str = "") -> Iterator[None]:
    """Raise :class:`StorageFullError` for whatever means that there is no room for an object."""
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0)
        if hint is None:
            raise
        path = str(root / key)
        raise StorageFullError(error.errno, f"{error.strerror}: {hint}", path) from error
