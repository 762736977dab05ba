"""A store that keeps objects on a local disk first, and brings them to another later."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Final, cast

import anyio
from anyio import CapacityLimiter

from pacs_core.contracts import (
    Availability,
    InstanceIdentity,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    QueueStatus,
    StorageFullError,
    StoredObject,
    WrappingStore,
    WrappingWriter,
)
from pacs_store_cloud.errors import BucketError, MisconfiguredError
from pacs_store_cloud.key_locks import KeyLocks
from pacs_store_cloud.keys import make_key
from pacs_store_cloud.mirrored import MirroredStore
from pacs_store_cloud.uploader import Uploader, first_reason

_log = logging.getLogger(__name__)

# Theory of operation
#
# The spool is a store of its own, of files, and it is the queue: what lies in it is to be uploaded.
# An object is acknowledged when the spool has it, durable as configured. It is read from there
# for as long as it is there, and from the bucket afterwards.
#
# Never overwritten: a writer looks into the bucket just before it commits to the spool. What is
# uploaded stays in the spool for a while (the grace), longer than that takes, so that whoever
# looked before the upload still finds the key taken in the spool. Only while the bucket is away a
# key may be given that is taken there; the upload finds out, keeps the object in the spool and
# says so.
#
# Whoever uploads a key, removes it from the spool, or deletes it has its lock. So nothing that was
# deleted comes back by an upload that was under way, and nothing is removed from the spool but
# what was uploaded, which is compared by content.


_LOOK: Final = 1.0
"""Seconds that a commit waits for the target to say whether it has the key."""
_SILENCE: Final = 10.0
"""Seconds for which it is not asked after it did not say."""
_ANY: Final = InstanceIdentity("1.2.3", "1.2.3.4", "1.2.3.4.5", "1.2.840.10008.5.1.4.1.1.2")


class SpooledStore(WrappingStore):
    """Acknowledges objects in the spool, and uploads them to a target.

    Parameters
    ----------
    spool : ObjectStore
        Is started and stopped by others.
    target : ObjectStore
        Is started and stopped by this one. Makes the same keys.
    directory : Path
        For locks.
    name : str
        Of the store.
    capacity : int
        Bytes in the spool from which on nothing is taken.
    concurrency : int
        Uploads at once.
    grace : float
        Seconds that an object stays in the spool after its upload.
    patience : float
        Seconds that are waited for a lock, or for the upload of what is to be promised.
    """

    def __init__(
        self,
        spool: ObjectStore,
        target: ObjectStore,
        directory: Path,
        *,
        name: str = "spool",
        capacity: int,
        concurrency: int = 8,
        grace: float = 30.0,
        patience: float = 60.0,
    ) -> None:
        super().__init__(target)
        self._name = name
        self.spool = spool
        self.shared = spool.shared
        self.always_online = True
        self._capacity = capacity
        self._patience = patience
        self._silent_until = 0.0
        self._locks = KeyLocks(directory)
        self.uploader = Uploader(spool, target, self._locks, name, concurrency, grace)

    @property
    def directories(self) -> Sequence[Path]:
        """See base."""
        return (*self.spool.directories, *self.wrapped.directories)

    @property
    def queues(self) -> Sequence[QueueStatus]:
        """See base: what is not uploaded."""
        spooled = QueueStatus(self._name, "write-behind", self.uploader.waiting)
        return (spooled, *self.wrapped.queues)

    async def start(self) -> None:
        """Start the target, and begin to upload. A target that is away does not keep it from that.

        Raises
        ------
        OSError
            The target cannot be used; says why, and what to do.
        """
        self._check_keys()
        self._locks.make_directory()
        if isinstance(self.spool, MirroredStore):
            await self.spool.start()
        try:
            await self.wrapped.start()
        except MisconfiguredError:
            raise
        except BucketError as error:
            _log.warning("%s; objects stay in the spool until it answers", error)
        await self.uploader.start()

    async def stop(self) -> None:
        """Stop uploading. What is in the spool stays there, and is uploaded later."""
        await self.uploader.stop()
        await self.wrapped.stop()

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return SpoolingWriter(self, self.spool.writer(identity, durable=durable))

    def writer_at(self, key: str, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return SpoolingWriter(self, self.spool.writer_at(key, durable=durable))

    def _check_keys(self) -> None:
        keys = make_key(_ANY), make_key(_ANY, "a")
        writer = self.spool.writer(_ANY)
        if (writer.key(), writer.key("a")) != keys:
            raise ValueError(
                f"{self._name}: its spool makes other keys than {keys[0]}: leave out its `layout`"
            )

    def check_room(self) -> None:
        """Raise StorageFullError if the spool is full."""
        if self.uploader.used >= self._capacity:
            raise StorageFullError(
                f"the spool of {self._name} is full ({self.uploader.used} bytes): its objects must "
                "be uploaded first; see why they are not, or raise `spool_size`"
            )

    async def refuse_taken(self, key: str) -> None:
        """Raise ObjectExistsError if the target has a key; a target that is away is not asked."""
        if self.uploader.is_away or anyio.current_time() < self._silent_until:
            return
        found: Sequence[Availability] = ()
        with anyio.move_on_after(_LOOK), suppress(OSError, ExceptionGroup):
            found = await self.wrapped.availability([key])
        if not found:
            self._silent_until = anyio.current_time() + _SILENCE
        elif found[0] is not Availability.UNAVAILABLE:
            raise ObjectExistsError(key)

    async def flush(self, keys: Sequence[str]) -> None:
        """See base."""
        await self.spool.flush(keys)

    async def deposit(self, keys: Sequence[str]) -> None:
        """See base: they are in the target."""
        try:
            with anyio.fail_after(self._patience):
                async with anyio.create_task_group() as tasks:
                    limiter = CapacityLimiter(8)
                    for key in dict.fromkeys(keys):
                        tasks.start_soon(self._deposit, key, limiter)
        except (TimeoutError, ExceptionGroup) as error:
            reason = first_reason(error) or "there was no time"
            what = f"{self._name}: {len(keys)} objects that must be uploaded"
            raise BucketError(f"{what}: {reason}") from error

    async def _deposit(self, key: str, limiter: CapacityLimiter) -> None:
        async with limiter:
            await self.uploader.upload_now(key)

    async def open(self, key: str) -> ObjectReader:
        """See base."""
        try:
            return await self.spool.open(key)
        except ObjectNotFoundError:
            return await self.wrapped.open(key)

    async def open_and_read(self, key: str, offset: int, length: int) -> tuple[ObjectReader, bytes]:
        """See base."""
        try:
            return await self.spool.open_and_read(key, offset, length)
        except ObjectNotFoundError:
            return await self.wrapped.open_and_read(key, offset, length)

    async def delete(self, key: str) -> None:
        """See base. It fails while the target is away, and nothing is removed then."""
        async with self._locks.hold(key, self._patience):
            found = 0
            for store in (self.wrapped, self.spool):
                with suppress(ObjectNotFoundError):
                    await store.delete(key)
                    found += 1
            self.uploader.forget(key)
            if not found:
                raise ObjectNotFoundError(key)

    async def objects(self) -> AsyncIterator[StoredObject]:
        """See base; the keys that are in the spool are in memory."""
        spooled: set[str] = set()
        async with aclosing(cast(Any, self.spool.objects())) as found:
            async for stored in found:
                spooled.add(stored.key)
                yield StoredObject(stored.key, stored.size)
        async with aclosing(cast(Any, self.wrapped.objects())) as found:
            async for stored in found:
                if stored.key not in spooled:
                    yield StoredObject(stored.key, stored.size)

    async def variants(self, key: str) -> Sequence[str]:
        """See base."""
        spooled, kept = await self.spool.variants(key), await self.wrapped.variants(key)
        return list(dict.fromkeys([*spooled, *kept]))

    async def availability(self, keys: Sequence[str]) -> Sequence[Availability]:
        """See base."""
        found = dict(zip(keys, await self.spool.availability(keys), strict=True))
        rest = [key for key in found if found[key] is not Availability.ONLINE]
        if rest:
            found |= zip(rest, await self.wrapped.availability(rest), strict=True)
        return [found[key] for key in keys]

    async def recall(self, keys: Sequence[str]) -> AsyncIterator[str]:
        """See base: all is online."""
        for key, availability in zip(keys, await self.availability(keys), strict=True):
            if availability is Availability.ONLINE:
                yield key


class SpoolingWriter(WrappingWriter):
    """Writes into the spool, unless it is full, or the target has the key."""

    def __init__(self, store: SpooledStore, wrapped: ObjectWriter) -> None:
        super().__init__(wrapped)
        self._store = store

    async def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """See base."""
        self._store.check_room()
        await super().write(chunks)

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """See base."""
        await self._store.refuse_taken(self.key(variant))
        stored = await super().commit(variant, beginning=beginning)
        self._store.uploader.add(stored.size)
        return StoredObject(stored.key, stored.size)
