"""Locks on keys, for all processes that have the same directory of locks."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from zlib import crc32

import anyio

from pacs_core.api.files import try_lock

_COUNT: Final = 1024
_PAUSE: Final = 0.005


class KeyLocks:
    """A fixed number of files, of which each is the lock on all keys with its number.

    Whoever dies holding one has given it back. A file is opened anew each time, so that tasks of
    one process exclude each other as processes do.

    Parameters
    ----------
    directory : Path
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @asynccontextmanager
    async def locked(self, key: str) -> AsyncIterator[None]:
        """Hold the lock on a key."""
        number = crc32(key.encode(errors="surrogatepass")) % _COUNT
        fd = os.open(self.directory / f"{number:04}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            while not try_lock(fd):  # noqa: ASYNC110 another process holds it
                await anyio.sleep(_PAUSE)
            yield
        finally:
            os.close(fd)
