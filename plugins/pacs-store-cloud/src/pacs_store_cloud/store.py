"""The store: its life, and what it does by key."""

import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import anyio
from anyio import CapacityLimiter

from pacs_core.api.threads import Threads
from pacs_core.contracts import (
    Availability,
    InstanceIdentity,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    StoredObject,
    with_beginning,
)
from pacs_store_cloud.bucket import Bucket, Found
from pacs_store_cloud.cache import BlockCache
from pacs_store_cloud.cached_reading import CachedReading
from pacs_store_cloud.checking import check_bucket, remove_leftovers
from pacs_store_cloud.draft import Draft
from pacs_store_cloud.keys import INCOMING, Names, could_make, make_key
from pacs_store_cloud.reader import BLOCK, BlockReader, RangeFetcher, fetch_first
from pacs_store_cloud.upload import Uploads
from pacs_store_cloud.writer import CloudWriter

_log = logging.getLogger(__name__)

_REMEMBERED: Final = 10_000
_UNSEEN: Final = 2.0
"""Seconds for which a service may not know yet what it has acknowledged."""


class CloudStore(ObjectStore):
    """Objects in a bucket, under names that are made of their keys.

    Parameters
    ----------
    bucket : Bucket
    names : Names
    temporary : Path
        Directory for objects on their way that are not small.
    part_size : int
    large_uploads : int
    cache : BlockCache or None
        For what is read.
    """

    shared = True

    def __init__(
        self,
        bucket: Bucket,
        names: Names,
        temporary: Path,
        *,
        part_size: int,
        large_uploads: int,
        cache: BlockCache | None = None,
    ) -> None:
        self.directory = temporary
        self._bucket = bucket
        self._names = names
        self._reading = None if cache is None else CachedReading(bucket, cache)
        self._threads = Threads(8, "object-store")
        self._uploads = Uploads(
            bucket,
            self._threads,
            names.below(INCOMING),
            part_size,
            CapacityLimiter(large_uploads),
        )
        # Names that were stored a moment ago: if the service does not find them, it will.
        self._recent: OrderedDict[str, float] = OrderedDict()
        self._started = False

    async def start(self) -> None:
        """Try the bucket out, and remove what crashes have left.

        Raises
        ------
        OSError
            The bucket cannot be used; says why, and what to do.
        LookupError, ValueError
            A secret is not there, or a setting is refused.
        """
        await self._threads.run(partial(_make_directory, cast(Path, self.directory)))
        if self._reading is not None:
            await self._reading.cache.start()
        self._bucket.connect()
        # Whoever starts it may go on without an answer, and wait for one.
        self._started = True
        await self._try_out()

    async def _try_out(self) -> None:
        await check_bucket(self._bucket, self._names.below("probe"))
        await remove_leftovers(self._bucket, self._names.below(INCOMING))

    async def stop(self) -> None:
        """Let go of the threads; connections close with the client."""
        self._started = False
        if self._reading is not None:
            await self._reading.stop()
        self._threads.close()

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> ObjectWriter:
        """See base. ValueError if a UID is not valid."""
        return self._writer(partial(make_key, identity))

    def writer_at(self, key: str, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        if not could_make(key):
            raise ValueError(f"{key[:200]!r} is no key of this store")
        return self._writer(partial(_only_key, key))

    def _writer(self, key: Callable[[str], str]) -> ObjectWriter:
        if not self._started:
            raise RuntimeError("the object store was not started, or is stopped")
        draft = Draft(cast(Path, self.directory))
        name = self._names.name
        return CloudWriter(draft, self._threads, self._uploads, key, name, self._remember)

    async def open(self, key: str) -> ObjectReader:
        """See base."""
        return (await self.open_and_read(key, 0, 0))[0]

    async def open_and_read(self, key: str, offset: int, length: int) -> tuple[ObjectReader, bytes]:
        """See base; a single request, if the first block is wanted."""
        found, first = await self._fetch_first(key)
        if self._reading is None:
            reader = BlockReader(found.size, first, RangeFetcher(self._bucket, found, key))
        else:
            reader = BlockReader(found.size, first, self._reading.fetcher(found, key))
        return await with_beginning(reader, offset, length)

    async def _fetch_first(self, key: str) -> tuple[Found, bytes]:
        """Return what the bucket tells of an object, and its first block."""
        name = self._known(key)
        while True:
            try:
                if self._reading is not None:
                    return await self._reading.fetch_first(name, key)
                return await fetch_first(self._bucket, name, key, BLOCK)
            except ObjectNotFoundError:
                if time.monotonic() > self._recent.get(name, 0):
                    raise
                await anyio.sleep(0.2)

    async def delete(self, key: str) -> None:
        """See base."""
        name = self._known(key)
        try:
            await self._bucket.delete(name)
        except FileNotFoundError:
            raise ObjectNotFoundError(key) from None
        finally:
            self._recent.pop(name, None)
            if self._reading is not None:
                await self._reading.cache.forget(name)

    async def objects(self) -> AsyncIterator[StoredObject]:
        """See base."""
        async with aclosing(cast(Any, self._bucket.list(self._names.prefix))) as listing:
            async for found in listing:
                if (key := self._names.key(found.name)) is not None:
                    yield StoredObject(key, found.size, found.identity)

    async def variants(self, key: str) -> Sequence[str]:
        """See base; lists what stands beside the object in its series."""
        if not could_make(key):
            return ()
        directory, beginning = self._names.beginning_of_variants(key)
        keys: list[str] = []
        async with aclosing(cast(Any, self._bucket.list(directory, after=beginning))) as listing:
            async for found in listing:
                if not found.name.startswith(beginning):
                    break
                if found.name[len(beginning)] == "-" or found.name == f"{beginning}.dcm":
                    keys.append(self._names.key(found.name) or "")
        return [each for each in keys if each and each != key]

    async def availability(self, keys: Sequence[str]) -> Sequence[Availability]:
        """See base; looks without reading."""
        found = dict.fromkeys(keys, Availability.UNAVAILABLE)
        limiter = CapacityLimiter(16)

        async def look(key: str) -> None:
            async with limiter:
                try:
                    await self._bucket.head(self._names.name(key))
                except FileNotFoundError:
                    return
                found[key] = Availability.ONLINE

        async with anyio.create_task_group() as tasks:
            for key in filter(could_make, found):
                tasks.start_soon(look, key)
        return [found[key] for key in keys]

    def _known(self, key: str) -> str:
        if not could_make(key):
            raise ObjectNotFoundError(key)
        return self._names.name(key)

    def _remember(self, found: Found) -> None:
        self._recent[found.name] = time.monotonic() + _UNSEEN
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)


def _make_directory(directory: Path) -> None:
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)


def _only_key(key: str, variant: str) -> str:
    if variant:
        raise ValueError(f"variant {variant!r}: a copy has the key that it was begun with")
    return key
