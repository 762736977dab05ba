"""The tiered store.

Both stores make the same keys, and an object has one key wherever it lies. New ones go to the hot
store. To cool one, it is copied to the cold store, and deleted from the hot one then; to recall it,
it is copied back, and stays in both. So it is always whole in one of them at least. A lock on each
key, on a file that all processes share, keeps a commit to a key and the move of its object apart.
"""

import fcntl
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from zlib import crc32

import anyio

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Availability,
    InstanceIdentity,
    NotOnlineError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    StoredObject,
    WrappingStore,
    WrappingWriter,
)

_GONE = Availability.UNAVAILABLE
_LOCKS = 256
_log = logging.getLogger(__name__)


class TieredWriter(WrappingWriter):
    """Writes to the hot store, never over what lies in the cold one."""

    def __init__(self, store: "TieredStore", wrapped: ObjectWriter) -> None:
        super().__init__(wrapped)
        self._store = store

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """See base."""
        key = self.key(variant)
        async with self._store.locked(key):
            if await self._store.is_cold(key):
                raise ObjectExistsError(key)
            return await super().commit(variant, beginning=beginning)


class TieredStore(WrappingStore):
    """Keeps some objects in a hot store, and others in a cold one.

    Parameters
    ----------
    hot, cold : ObjectStore
    directory : Path
        For the locks.
    seconds : float
        What the cold store takes for an object.
    """

    def __init__(
        self, hot: ObjectStore, cold: ObjectStore, directory: Path, seconds: float = 0.0
    ) -> None:
        super().__init__(hot)
        self.always_online = False
        self.shared = hot.shared and cold.shared
        self._cold = cold
        self._locks = directory / "locks"
        self._seconds = seconds

    async def start(self) -> None:
        """Make the directory of the locks."""
        self._locks.mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def locked(self, key: str) -> AsyncIterator[None]:
        """Hold the lock on a key."""
        number = crc32(key.encode(errors="surrogatepass")) % _LOCKS
        fd = os.open(self._locks / f"{number:03}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            while not _try_lock(fd):  # noqa: ASYNC110 another process holds it
                await anyio.sleep(0.005)
            yield
        finally:
            os.close(fd)

    async def is_cold(self, key: str) -> bool:
        """Tell whether the cold store has an object."""
        return (await self._cold.availability([key]))[0] is not Availability.UNAVAILABLE

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return TieredWriter(self, super().writer(identity, durable=durable))

    def writer_at(self, key: str, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return TieredWriter(self, super().writer_at(key, durable=durable))

    async def open(self, key: str) -> ObjectReader:
        """See base."""
        try:
            return await super().open(key)
        except ObjectNotFoundError:
            await self._refuse_if_cold(key)
            raise

    async def open_and_read(self, key: str, offset: int, length: int) -> tuple[ObjectReader, bytes]:
        """See base."""
        try:
            return await super().open_and_read(key, offset, length)
        except ObjectNotFoundError:
            await self._refuse_if_cold(key)
            raise

    async def _refuse_if_cold(self, key: str) -> None:
        if await self.is_cold(key):
            raise NotOnlineError(key, Availability.NEARLINE)

    async def delete(self, key: str) -> None:
        """See base."""
        async with self.locked(key):
            found = 0
            # The cold copy goes last: what a crash leaves of it can be deleted again.
            for store in (self.wrapped, self._cold):
                with suppress(ObjectNotFoundError):
                    await store.delete(key)
                    found += 1
        if not found:
            raise ObjectNotFoundError(key)

    async def objects(self) -> AsyncIterator[StoredObject]:
        """See base; one that lies in both stores comes twice, lest a moving one be missed."""
        for store in (self.wrapped, self._cold):
            async with closing(store.objects()) as found:
                async for stored in found:
                    yield stored

    async def variants(self, key: str) -> Sequence[str]:
        """See base."""
        hot, cold = await self.wrapped.variants(key), await self._cold.variants(key)
        return list(dict.fromkeys((*hot, *cold)))

    async def availability(self, keys: Sequence[str]) -> Sequence[Availability]:
        """See base."""
        hot = await self.wrapped.availability(keys)
        cold = await self._cold.availability(keys)
        pairs = zip(hot, cold, strict=True)
        return [one if one is not _GONE else _of_cold(two) for one, two in pairs]

    async def recall(self, keys: Sequence[str]) -> AsyncIterator[str]:
        """See base."""
        for key in keys:
            try:
                async with self.locked(key):
                    if (await self.wrapped.availability([key]))[0] is _GONE:
                        await anyio.sleep(self._seconds)
                        await _copy(key, self._cold, self.wrapped)
            except (OSError, ObjectNotFoundError) as error:
                _log.error("object %s cannot be recalled: %s", key, error)
                continue
            yield key

    async def cool(self, key: str) -> bool:
        """Move an object to the cold store; tell whether it was hot."""
        async with self.locked(key):
            try:
                await _copy(key, self.wrapped, self._cold)
            except ObjectExistsError:
                pass  # it was recalled, and a key never has another object
            except ObjectNotFoundError:
                return False
            await self.wrapped.delete(key)
        return True


def _of_cold(availability: Availability) -> Availability:
    return Availability.NEARLINE if availability is Availability.ONLINE else availability


async def _copy(key: str, source: ObjectStore, target: ObjectStore) -> None:
    async with await source.open(key) as reader, target.writer_at(key) as writer:
        async for chunk in reader.chunks():
            await writer.write([chunk])
        await writer.commit()


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
