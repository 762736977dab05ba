"""The reader: blocks of an object, and those that come next before they are asked for."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Final

from pacs_core.contracts import (
    Availability,
    DamagedObjectError,
    NotOnlineError,
    ObjectNotFoundError,
    ObjectReader,
)
from pacs_store_cloud.bucket import Bucket, Found
from pacs_store_cloud.errors import BucketError

# Theory of operation
#
# A request costs some ten milliseconds before its first byte, whatever its size. So the first one,
# which opens the object, brings its first block along; a small object is whole then. Later blocks
# come one by one, unless they are read in order: then the next ones are fetched in parallel while
# the reader is busy. Long ranges are fetched in pieces, in parallel.
#
# Every request after the first names the ETag. An object that was deleted meanwhile, and another
# stored under its name, is no longer this one: the reader says that it is gone.

BLOCK: Final = 512 * 1024
_AHEAD: Final = 4
"""Blocks that are fetched before they are asked for."""
_KEPT: Final = 8
_PIECE: Final = 4 * 1024 * 1024
_PIECES: Final = 4

Fetch = Callable[[int, int], Awaitable[bytes]]
"""Returns the bytes of an object from an offset to another."""


async def fetch_first(
    bucket: Bucket, name: str, key: str, length: int, unless: str = ""
) -> tuple[Found, bytes]:
    """Return what is known of an object, and its first bytes.

    Raises
    ------
    NotModifiedError
        Of the library: it has the tag of `unless`.
    ObjectNotFoundError
        There is none.
    NotOnlineError
        The bucket did not answer in time.
    DamagedObjectError
        It came whole, and is not what was stored.
    """
    for last in (False, True):
        try:
            found, data = await bucket.get(name, 0, length, unless=unless)
        except FileNotFoundError:
            raise ObjectNotFoundError(key) from None
        except BucketError as error:
            raise NotOnlineError(key, Availability.OFFLINE, str(error)) from error
        if len(data) < found.size or not found.digest:
            break
        if sha256(data).hexdigest() == found.digest:
            break
        if last:
            raise DamagedObjectError(f"object {key} in {bucket.title} is not what was stored")
    return found, data


class RangeFetcher:
    """Fetches ranges of one object, as it was when it was opened.

    Parameters
    ----------
    bucket : Bucket
    found : Found
    key : str
    """

    def __init__(self, bucket: Bucket, found: Found, key: str) -> None:
        self._bucket = bucket
        self._found = found
        self._key = key

    async def __call__(self, start: int, end: int) -> bytes:
        """Return the bytes from an offset to another."""
        from obstore.exceptions import PreconditionError

        try:
            _, data = await self._bucket.get(self._found.name, start, end, self._found.tag)
        except (FileNotFoundError, PreconditionError):
            raise ObjectNotFoundError(self._key) from None
        except BucketError as error:
            raise NotOnlineError(self._key, Availability.OFFLINE, str(error)) from error
        return data


class BlockReader(ObjectReader):
    """Reads an object by blocks.

    Parameters
    ----------
    size : int
        Of the object.
    first : bytes
        Its first block, or all of it.
    fetch : Fetch
    """

    def __init__(self, size: int, first: bytes, fetch: Fetch) -> None:
        self.size = size
        self._first = first
        self._fetch = fetch
        self._blocks: OrderedDict[int, asyncio.Task[bytes]] = OrderedDict()
        self._next = 1
        self._closed = False

    async def read(self, offset: int, length: int) -> bytes:
        """See base. ValueError if an argument is negative, or the reader closed."""
        if offset < 0 or length < 0:
            raise ValueError(f"offset {offset} and length {length} must not be negative")
        if self._closed:
            raise ValueError("this reader is closed")
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        if end <= len(self._first):
            return self._first[offset:end]
        if end - offset > _PIECE:
            return await self._fetch_long(offset, end)
        blocks = [await self._block(n) for n in range(offset // BLOCK, (end - 1) // BLOCK + 1)]
        start = offset // BLOCK * BLOCK
        return b"".join(blocks)[offset - start : end - start]

    async def close(self) -> None:
        """See base."""
        self._closed = True
        tasks = [*self._blocks.values()]
        self._blocks.clear()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(BaseException):
                await task

    async def _block(self, number: int) -> bytes:
        if (number + 1) * BLOCK <= len(self._first) or len(self._first) == self.size:
            return self._first[number * BLOCK : (number + 1) * BLOCK]
        in_order, self._next = number == self._next, number + 1
        task = self._begin(number)
        for ahead in range(1, _AHEAD + 1 if in_order else 1):
            if (number + ahead) * BLOCK < self.size:
                self._begin(number + ahead)
        while len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)[1].cancel()
        try:
            return await asyncio.shield(task)
        except BaseException:
            if task.done():
                self._blocks.pop(number, None)
            raise

    def _begin(self, number: int) -> "asyncio.Task[bytes]":
        if number not in self._blocks:
            start = number * BLOCK
            fetch = self._fetch_block(start, min(start + BLOCK, self.size))
            self._blocks[number] = asyncio.create_task(fetch)
            # Of a block that nobody came to ask for, nobody asks what was wrong with it.
            self._blocks[number].add_done_callback(lambda t: t.cancelled() or t.exception())
        self._blocks.move_to_end(number)
        return self._blocks[number]

    async def _fetch_block(self, start: int, end: int) -> bytes:
        return await self._fetch(start, end)

    async def _fetch_long(self, offset: int, end: int) -> bytes:
        parts: list[bytes] = []
        for start in range(offset, end, _PIECE * _PIECES):
            stop = min(start + _PIECE * _PIECES, end)
            async with asyncio.TaskGroup() as tasks:
                pieces = [
                    tasks.create_task(self._fetch_block(at, min(at + _PIECE, stop)))
                    for at in range(start, stop, _PIECE)
                ]
            parts += [piece.result() for piece in pieces]
        return b"".join(parts)
