"""Errors of the operating system, in the terms of the contract."""

import errno
from pathlib import Path
from types import TracebackType
from typing import Final

from attrs import frozen

from pacs_core.contracts import StorageFullError

_HINTS: Final = {
    errno.ENOSPC: "free space or inodes on this file system, or move the store's `root`",
    errno.EDQUOT: "raise the disk quota of the user that runs the node, or free space",
    errno.EFBIG: "raise the file size limit of the process (ulimit -f) or of the file system",
}


@frozen
class RoomExpected:
    """Raises :class:`StorageFullError` for whatever means that there is no room for an object."""

    root: Path
    key: str = ""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Say what to do about the error, if it is one of room."""
        if isinstance(exc, OSError) and (hint := _HINTS.get(exc.errno or 0)):
            path = str(self.root / self.key)
            raise StorageFullError(exc.errno, f"{exc.strerror}: {hint}", path) from exc
