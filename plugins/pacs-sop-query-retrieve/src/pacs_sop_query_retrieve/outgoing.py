"""Stored objects on their way out: opened one ahead, read in chunks."""

from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from attrs import frozen

from pacs_core.contracts import (
    CHUNK_SIZE,
    Archive,
    InstanceNotFoundError,
    ObjectReader,
    Query,
    StoredInstance,
)
from pacs_sop_query_retrieve.streams import closing

PREFETCH: Final = 4 * CHUNK_SIZE
"""Bytes of an object that are read before its turn comes; two objects are in memory at most."""

Choice = Callable[[StoredInstance], bool]
Refusal = Callable[[StoredInstance], str]


class TruncatedObjectError(OSError):
    """An object ends before the size that the index knows."""


@frozen
class Outgoing(AsyncIterable[bytes]):
    """The dataset of an instance: its beginning, and where the rest comes from."""

    instance: StoredInstance
    head: bytes
    reader: ObjectReader | None

    @property
    def whole(self) -> bytes | AsyncIterable[bytes]:
        """The dataset, as bytes if it has been read already."""
        return self.head if self.reader is None else self

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the chunks, once."""
        yield self.head
        if self.reader is not None:
            offset = self.instance.dataset_offset + len(self.head)
            async for chunk in self.reader.chunks(offset):
                offset += len(chunk)
                yield chunk
            _check_size(self.instance, offset)

    async def close(self) -> None:
        """Release the object."""
        if self.reader is not None:
            with anyio.CancelScope(shield=True):
                await self.reader.close()


@frozen
class Missing:
    """An instance that is not to be sent, or whose object cannot be read, and why."""

    instance: StoredInstance
    reason: str

    async def close(self) -> None:
        """Release nothing."""


def _check_size(instance: StoredInstance, end: int) -> None:
    if end < instance.size:
        raise TruncatedObjectError(f"object ends at {end} of {instance.size} bytes")


async def _open(archive: Archive, instance: StoredInstance) -> Outgoing:
    reader, head = await archive.open_and_read(instance, PREFETCH)
    end = instance.dataset_offset + len(head)
    if len(head) == PREFETCH and end < instance.size:
        return Outgoing(instance, head, reader)
    await Outgoing(instance, b"", reader).close()
    _check_size(instance, end)
    return Outgoing(instance, head, None)


async def _load(archive: Archive, instance: StoredInstance) -> Outgoing | Missing:
    try:
        return await _open(archive, instance)
    except (InstanceNotFoundError, OSError) as error:
        return Missing(instance, str(error))


Item = Outgoing | Missing


async def _produce(
    archive: Archive,
    query: Query,
    is_wanted: Choice,
    refusal: Refusal,
    channel: MemoryObjectSendStream[Item],
) -> None:
    async with channel, closing(archive.instances(query)) as instances:
        async for instance in instances:
            if not is_wanted(instance):
                continue
            reason = refusal(instance)
            item = Missing(instance, reason) if reason else await _load(archive, instance)
            try:
                await channel.send(item)
            except BaseException:
                await item.close()
                raise


@asynccontextmanager
async def outgoing(
    archive: Archive, query: Query, is_wanted: Choice, refusal: Refusal
) -> AsyncIterator[MemoryObjectReceiveStream[Item]]:
    """Open what matches, one object ahead of whoever reads the stream and closes the items.

    Parameters
    ----------
    archive : Archive
    query : Query
    is_wanted : callable
        Whether an instance is part of the stream.
    refusal : callable
        Why its object shall not be opened, if so; asked when its turn to be opened comes.
    """
    send, receive = anyio.create_memory_object_stream[Item](0)
    try:
        async with receive, anyio.create_task_group() as tasks:
            tasks.start_soon(_produce, archive, query, is_wanted, refusal, send)
            yield receive
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The task group is a detail of ours: callers look for the error itself.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
