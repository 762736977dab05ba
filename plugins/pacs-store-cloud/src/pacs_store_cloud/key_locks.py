"""Locks of keys, between all processes of a node."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import anyio

from pacs_core.api.files import try_lock

_PAUSE: Final = 0.02
_DIGITS: Final = 3


class LockedError(OSError):
    """Somebody else has the lock."""


class KeyLocks:
    """Locks in files. The kernel releases them with the process, whatever becomes of that.

    Parameters
    ----------
    directory : Path
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make_directory(self) -> None:
        """Make the directory, if it is missing."""
        self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)

    @asynccontextmanager
    async def hold(self, key: str, patience: float = 0.0) -> AsyncIterator[None]:
        """Hold the lock of a key. Some keys have one together, seldom.

        Parameters
        ----------
        key : str
        patience : float
            Seconds to wait for it.

        Raises
        ------
        LockedError
            Another has it, and kept it.
        """
        fd = self._open(sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS])
        try:
            until = anyio.current_time() + patience
            while not try_lock(fd):
                if anyio.current_time() >= until:
                    raise LockedError(f"object {key} is being uploaded: try again")
                await anyio.sleep(_PAUSE)
            yield
        finally:
            os.close(fd)

    def lead(self) -> int | None:
        """Take the lock of the one that uploads, and return it; None if another has it."""
        fd = self._open("leader")
        if try_lock(fd):
            return fd
        os.close(fd)
        return None

    def _open(self, name: str) -> int:
        return os.open(self._directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
