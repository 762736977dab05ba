"""Base of object stores over one other: all passes through, but for what a subclass changes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

from pacs_core.contracts.availability import Availability
from pacs_core.contracts.inspection import QueueStatus
from pacs_core.contracts.instance import InstanceIdentity
from pacs_core.contracts.object_store import (
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    StoredObject,
)


class WrappingStore(ObjectStore):
    """Passes on everything to another store, also what the contract may gain later.

    The other one is that of :meth:`Setup.store`: the kernel starts it before this one, and stops it
    after.

    Parameters
    ----------
    wrapped : ObjectStore

    Attributes
    ----------
    wrapped : ObjectStore
    """

    def __init__(self, wrapped: ObjectStore) -> None:
        self.wrapped = wrapped
        self.shared = wrapped.shared
        self.always_online = wrapped.always_online

    @property
    def directories(self) -> Sequence[Path]:
        """See base."""
        return self.wrapped.directories

    @property
    def queues(self) -> Sequence[QueueStatus]:
        """See base."""
        return self.wrapped.queues

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return self.wrapped.writer(identity, durable=durable)

    def writer_at(self, key: str, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return self.wrapped.writer_at(key, durable=durable)

    async def flush(self, keys: Sequence[str]) -> None:
        """See base."""
        await self.wrapped.flush(keys)

    async def deposit(self, keys: Sequence[str]) -> None:
        """See base."""
        await self.wrapped.deposit(keys)

    async def open(self, key: str) -> ObjectReader:
        """See base."""
        return await self.wrapped.open(key)

    async def open_and_read(self, key: str, offset: int, length: int) -> tuple[ObjectReader, bytes]:
        """See base."""
        return await self.wrapped.open_and_read(key, offset, length)

    async def delete(self, key: str) -> None:
        """See base."""
        await self.wrapped.delete(key)

    async def objects(self) -> AsyncIterator[StoredObject]:
        """See base."""
        async with aclosing(cast(Any, self.wrapped.objects())) as found:
            async for stored in found:
                yield stored

    async def variants(self, key: str) -> Sequence[str]:
        """See base."""
        return await self.wrapped.variants(key)

    async def availability(self, keys: Sequence[str]) -> Sequence[Availability]:
        """See base."""
        return await self.wrapped.availability(keys)

    async def recall(self, keys: Sequence[str]) -> AsyncIterator[str]:
        """See base."""
        async with aclosing(cast(Any, self.wrapped.recall(keys))) as recalled:
            async for key in recalled:
                yield key


class WrappingWriter(ObjectWriter):
    """Passes on everything to the writer of another store.

    Parameters
    ----------
    wrapped : ObjectWriter

    Attributes
    ----------
    wrapped : ObjectWriter
    """

    def __init__(self, wrapped: ObjectWriter) -> None:
        self.wrapped = wrapped

    async def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """See base."""
        await self.wrapped.write(chunks)

    def key(self, variant: str = "") -> str:
        """See base."""
        return self.wrapped.key(variant)

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """See base."""
        return await self.wrapped.commit(variant, beginning=beginning)

    async def abort(self) -> None:
        """See base."""
        await self.wrapped.abort()
