"""Stored objects on their way out: opened and converted one ahead, read in chunks."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
)
from typing import Final

import anyio
from anyio.abc import TaskGroup
from attrs import frozen

from pacs_core.concurrency import Relay
from pacs_core.contracts import (
    CHUNK_SIZE,
    Archive,
    InstanceNotFoundError,
    ObjectReader,
    Plan,
    StoredInstance,
    TranscodingError,
)

# Theory of operation
#
# Objects are opened one ahead of the one that is being sent, so that the disk works while the
# network does. A small object is read whole and closed at once. Of a large one the beginning is
# read and the reader handed over, to be closed by whoever takes it. The relay has no queue: what
# was not taken is closed by the producer, also when both are cancelled.
#
# An instance that has to be converted begins at once, up to its first chunk; then it waits until it
# is its turn.

PREFETCH: Final = 4 * CHUNK_SIZE
"""Bytes of an object that are read before its turn comes; two objects are in memory at most."""

Chunk = bytes | memoryview
Stream = AsyncIterable[Chunk]
Refusal = Callable[[StoredInstance], str]


class TruncatedObjectError(OSError):
    """An object ends before the size that the index knows."""


@frozen
class Outgoing(AsyncIterable[bytes]):
    """The dataset of an instance: its beginning, and where the rest comes from."""

    instance: StoredInstance
    head: bytes
    reader: ObjectReader | None
    object_size: int
    """In bytes, after corrections."""
    dataset_offset: int
    sop_instance_uid: str
    """Under which it goes out."""

    @property
    def transfer_syntax_uid(self) -> str:
        """In which it goes out: as it is stored."""
        return self.instance.transfer_syntax_uid

    @property
    def size(self) -> int:
        """Bytes of the dataset."""
        return self.object_size - self.dataset_offset

    async def dataset(self) -> bytes | Stream:
        """Return the dataset, as bytes if it has been read already."""
        return self.head if self.reader is None else self

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the chunks, once."""
        yield self.head
        if self.reader is not None:
            offset = self.dataset_offset + len(self.head)
            async for chunk in self.reader.chunks(offset):
                offset += len(chunk)
                yield chunk
            _check_size(self.object_size, offset)

    async def close(self) -> None:
        """Release the object."""
        if self.reader is not None:
            with anyio.CancelScope(shield=True):
                await self.reader.close()


@frozen
class MissingInstance:
    """An instance that is not to be sent, or whose object cannot be read, and why."""

    instance: StoredInstance
    reason: str

    async def close(self) -> None:
        """Release nothing."""


def _check_size(size: int, end: int) -> None:
    if end < size:
        raise TruncatedObjectError(f"object ends at {end} of {size} bytes")


async def _open(archive: Archive, instance: StoredInstance) -> Outgoing:
    reader, head = await archive.open_and_read(instance, PREFETCH)
    # Corrections may have made it longer or shorter than what is stored.
    size = reader.size if instance.corrections else instance.size
    offset, uid = instance.dataset_offset, instance.identity.sop_instance_uid
    end = offset + len(head)
    if len(head) == PREFETCH and end < size:
        return Outgoing(instance, head, reader, size, offset, uid)
    await Outgoing(instance, b"", reader, size, offset, uid).close()
    _check_size(size, end)
    return Outgoing(instance, head, None, size, offset, uid)


async def load_stored(archive: Archive, instance: StoredInstance) -> Outgoing | MissingInstance:
    """Open an instance as it is stored, or say why that cannot be."""
    try:
        return await _open(archive, instance)
    except (InstanceNotFoundError, OSError) as error:
        return MissingInstance(instance, str(error))


class UnsendableError(Exception):
    """An instance cannot be converted; nothing of it was sent."""


class Conversion:
    """The dataset of an instance in another form.

    Parameters
    ----------
    plan : Plan
        Which form that is.
    item : Outgoing
        As it is stored.
    chunks : async iterator of bytes-like
        What becomes of it.

    Attributes
    ----------
    size : int
        Bytes that have been taken.
    """

    def __init__(self, plan: Plan, item: Outgoing, chunks: AsyncIterator[Chunk]) -> None:
        self._plan = plan
        self._item = item
        self._chunks = chunks
        self._scope = anyio.CancelScope()
        self._begun = anyio.Event()
        self._first: Chunk = b""
        self.size = 0
        self._failure: Exception | None = None

    @property
    def instance(self) -> StoredInstance:
        """What is converted."""
        return self._item.instance

    @property
    def transfer_syntax_uid(self) -> str:
        """In which it goes out."""
        return self._plan.target

    @property
    def sop_instance_uid(self) -> str:
        """Under which it goes out."""
        return self._plan.sop_instance_uid(self._item.sop_instance_uid)

    async def begin(self) -> None:
        """Convert up to the first chunk; never raises what went wrong."""
        try:
            with self._scope:
                self._first = await anext(self._chunks, b"")
        except (TranscodingError, OSError) as error:
            self._failure = error
        finally:
            self._begun.set()

    async def dataset(self) -> bytes | Stream:
        """Wait for the first chunk, and return the dataset.

        Raises
        ------
        UnsendableError
            It cannot be converted.
        """
        await self._begun.wait()
        if self._failure is not None:
            raise UnsendableError(str(self._failure)) from self._failure
        return self._all()

    async def _all(self) -> AsyncIterator[Chunk]:
        self.size = len(self._first)
        yield self._first
        async for chunk in self._chunks:
            self.size += len(chunk)
            yield chunk

    async def close(self) -> None:
        """Give up what is not done, and release the object."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._begun.wait()
            if isinstance(self._chunks, AsyncGenerator):
                await self._chunks.aclose()
        await self._item.close()


Item = Outgoing | MissingInstance | Conversion
Load = Callable[[StoredInstance], Awaitable[Outgoing | MissingInstance]]
Prepare = Callable[[Outgoing], Conversion | MissingInstance | None]


async def _produce(
    load: Load,
    instances: Iterable[StoredInstance],
    refusal: Refusal,
    prepare: Prepare,
    tasks: TaskGroup,
    relay: Relay[Item],
) -> None:
    for instance in instances:
        reason = refusal(instance)
        item: Item = MissingInstance(instance, reason) if reason else await load(instance)
        if isinstance(item, Outgoing) and (prepared := prepare(item)) is not None:
            if isinstance(prepared, Conversion):
                tasks.start_soon(prepared.begin)
            else:
                await item.close()
            item = prepared
        try:
            await relay.give(item)
        except BaseException:
            await item.close()
            raise
    relay.close()


def read_ahead(
    tasks: TaskGroup,
    load: Load,
    instances: Iterable[StoredInstance],
    refusal: Refusal,
    prepare: Prepare,
) -> Relay[Item]:
    """Open instances, one object ahead of whoever takes the items and closes them.

    Parameters
    ----------
    tasks : TaskGroup
        Where that is done; once it is cancelled, only what was taken is open.
    load : callable
        Opens an instance.
    instances : iterable of StoredInstance
    refusal : callable
        Why an object shall not be opened, if so; asked when its turn to be opened comes.
    prepare : callable
        What converts it, if it is not to be sent as it is stored; that is begun at once. Or why
        it cannot be sent, which its beginning shows.
    """
    relay: Relay[Item] = Relay()
    tasks.start_soon(_produce, load, instances, refusal, prepare, tasks, relay)
    return relay
