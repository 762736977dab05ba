"""Harness of object store tests: making and running stores, storing and reading."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from pacs_core.contracts import InstanceIdentity, ObjectStore, StoredObject

PREAMBLE = bytes(128) + b"DICM"
MEBIBYTE = 1024 * 1024


def identity(number: int = 1, series: int = 1, study: int = 1) -> InstanceIdentity:
    """Return an identity; the same numbers give the same identity."""
    return InstanceIdentity(
        study_instance_uid=f"1.2.826.0.1.{study}",
        series_instance_uid=f"1.2.826.0.1.{study}.{series}",
        sop_instance_uid=f"1.2.826.0.1.{study}.{series}.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    )


def odd_chunks(data: bytes) -> Iterator[memoryview]:
    """Cut data into chunks of sizes that fit no block."""
    view = memoryview(data)
    start, size = 0, 1
    while start < len(view):
        yield view[start : start + size]
        start, size = start + size, size * 7 % 130_003 + 1


async def put(
    store: ObjectStore, data: bytes, who: InstanceIdentity, variant: str = ""
) -> StoredObject:
    """Store an object."""
    async with store.writer(who) as writer:
        await writer.write([data])
        return await writer.commit(variant)


async def get(store: ObjectStore, key: str) -> bytes:
    """Read a whole object."""
    async with await store.open(key) as reader:
        return b"".join([chunk async for chunk in reader.chunks()])


async def listing(store: ObjectStore) -> dict[str, int]:
    """Return the sizes of all objects by key."""
    return {stored.key: stored.size async for stored in store.objects()}


class ObjectStoreHarness(ABC):
    """Runs the store that :meth:`make_store` makes."""

    pytestmark = pytest.mark.anyio

    def without_room(self, directory: Path) -> AbstractContextManager[None]:
        """Return a context in which a store in `directory` has room for less than a mebibyte.

        Override it if that can be had: a quota, a small disk, ``RLIMIT_FSIZE``.
        """
        pytest.skip("this store's tests cannot take its room: override without_room")

    @abstractmethod
    def make_store(self, directory: Path) -> ObjectStore:
        """Return a store, not started, that is empty for an empty `directory`.

        Two stores made with the same directory hold the same objects.
        """

    def parts_of(self, store: ObjectStore) -> Sequence[ObjectStore]:
        """Return the stores that one of :meth:`make_store` is made of, to be started before it.

        Override it if there are any; as the kernel does, the tests start them.
        """
        return ()

    async def send_away(self, store: ObjectStore, key: str) -> None:
        """Take an object to slow media, so that it is ``NEARLINE``.

        Override it for a store that has such media.
        """
        pytest.skip("all objects of this store are online: override send_away if they need not be")

    @asynccontextmanager
    async def running(self, directory: Path) -> AsyncIterator[ObjectStore]:
        """Run a store for the time of a test, or a part of it."""
        store = self.make_store(directory)
        async with AsyncExitStack() as stack:
            for each in (*self.parts_of(store), store):
                stack.push_async_callback(each.stop)
                await each.start()
            yield store
