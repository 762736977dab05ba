"""Reading through the cache: what is in it needs no transfer, but the bucket's word."""

import asyncio
import logging
from typing import Final

from pacs_core.contracts import NotOnlineError
from pacs_store_cloud.bucket import Bucket, Found
from pacs_store_cloud.cache import BlockCache
from pacs_store_cloud.reader import BLOCK, Fetch, RangeFetcher, fetch_first

_log = logging.getLogger(__name__)

_Flight = tuple[str, str, int]


class CachedReading:
    """Fetches blocks of objects from a cache, or from the bucket and into the cache.

    Of many that want a block at once one fetches it.

    Parameters
    ----------
    bucket : Bucket
    cache : BlockCache
    """

    def __init__(self, bucket: Bucket, cache: BlockCache) -> None:
        self.cache: Final = cache
        self._bucket = bucket
        self._flights: dict[_Flight, asyncio.Task[bytes]] = {}

    async def fetch_first(self, name: str, key: str) -> tuple[Found, bytes]:
        """Return what is known of an object, and its first block.

        While the bucket is away that is what the cache knows: objects never change.

        Raises
        ------
        ObjectNotFoundError
            There is none.
        NotOnlineError
            The bucket did not answer in time, and the cache does not have it.
        """
        from obstore.exceptions import NotModifiedError

        cached = await self.cache.load(name, 0)
        tag = cached.found.tag if cached else ""
        try:
            found, first = await fetch_first(self._bucket, name, key, BLOCK, tag)
        except (NotModifiedError, NotOnlineError) as error:
            if cached is None:
                raise
            if isinstance(error, NotOnlineError):
                _log.debug("%s is read from the cache: %s", key, error)
            return cached.found, cached.data
        await self.cache.save(found, 0, first)
        return found, first

    def fetcher(self, found: Found, key: str) -> Fetch:
        """Return what fetches ranges of an object; blocks are kept, other ranges are not."""
        fetch = RangeFetcher(self._bucket, found, key)

        async def fetch_cached(start: int, end: int) -> bytes:
            if start % BLOCK or end - start > BLOCK:
                return await fetch(start, end)
            number = start // BLOCK
            cached = await self.cache.load(found.name, number)
            if cached is not None and cached.found.tag == found.tag:
                return cached.data
            flight = (found.name, found.tag, number)
            if flight not in self._flights:
                task = asyncio.create_task(self._fetch_and_save(fetch, found, number, end))
                self._flights[flight] = task
                task.add_done_callback(lambda _: self._flights.pop(flight, None))
                task.add_done_callback(lambda t: t.cancelled() or t.exception())
            return await asyncio.shield(self._flights[flight])

        return fetch_cached

    async def _fetch_and_save(self, fetch: Fetch, found: Found, number: int, end: int) -> bytes:
        data = await fetch(number * BLOCK, end)
        await self.cache.save(found, number, data)
        return data

    async def stop(self) -> None:
        """Wait for what is on its way, and let go of the cache."""
        tasks = [*self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.cache.stop()
