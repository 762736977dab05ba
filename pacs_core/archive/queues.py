"""A bounded queue, and the task that takes what has gathered in it."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

# Theory of operation
#
# Producers and consumer are tasks of one event loop, hence no locks: what happens between two
# awaits happens at once. A producer chooses whether it waits for room (`put`) or is told that there
# is none (`offer`); which of them is right is a matter of what may be lost.
#
# The event of room is replaced each time it is set: all who wait look again, and those who find
# none wait for the next. The event of arrival is made by the only consumer, just before it waits,
# so that no arrival falls between.
#
# Closing takes nothing more but leaves what is queued, so that `drain` can wait until all of it is
# consumed. `end` does not wait, and what is left is handed to `abandon`: nothing disappears without
# a count.

ItemT = TypeVar("ItemT")


class BatchQueue(Generic[ItemT]):
    """First in, first out, for tasks of one event loop.

    Parameters
    ----------
    capacity : int
        Items that it holds at most.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[ItemT] = deque()
        self._moments: deque[float] = deque()
        self._arrival = anyio.Event()
        self._room = anyio.Event()
        self.closed = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def age(self) -> float:
        """Seconds for which the first item has waited; 0 if there is none."""
        return monotonic() - self._moments[0] if self._moments else 0.0

    def offer(self, item: ItemT) -> bool:
        """Append an item unless the queue is full or closed; tell whether it was."""
        if self.closed or len(self._items) >= self._capacity:
            return False
        self._items.append(item)
        self._moments.append(monotonic())
        self._arrival.set()
        return True

    async def put(self, item: ItemT) -> bool:
        """Append an item, waiting for room; False if the queue is closed."""
        while not self.offer(item):
            if self.closed:
                return False
            await self._room.wait()
        return True

    async def take(self, limit: int, linger: float = 0.0) -> list[ItemT]:
        """Wait for items and remove up to `limit`; none once it is closed and empty.

        Parameters
        ----------
        limit : int
        linger : float
            Seconds to let more items gather once the first is there.
        """
        while not self._items and not self.closed:
            self._arrival = anyio.Event()
            await self._arrival.wait()
        if linger and len(self._items) < limit and not self.closed:
            await anyio.sleep(linger)
        batch = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
        for _ in batch:
            self._moments.popleft()
        self._wake_producers()
        return batch

    def clear(self) -> list[ItemT]:
        """Remove everything."""
        items = list(self._items)
        self._items.clear()
        self._moments.clear()
        return items

    def close(self) -> None:
        """Take nothing more; what is queued can still be taken."""
        self.closed = True
        self._arrival.set()
        self._wake_producers()

    def _wake_producers(self) -> None:
        self._room.set()
        self._room = anyio.Event()


class Consumer(ABC, Generic[ItemT]):
    """A task that consumes a queue, batch by batch and in order, until it is stopped.

    Parameters
    ----------
    name : str
        For logs.
    capacity : int
        Items that may wait.
    batch : int
        Items that are consumed at once, at most.
    linger : float
        Seconds to let more items gather once the first is there.
    """

    def __init__(self, name: str, capacity: int, batch: int, linger: float = 0.0) -> None:
        self.name = name
        self.failures = 0
        self.queue: BatchQueue[ItemT] = BatchQueue(capacity)
        self._batch = batch
        self._linger = linger
        self._scope: anyio.CancelScope | None = None
        self._ended = anyio.Event()

    @abstractmethod
    async def consume(self, batch: Sequence[ItemT]) -> None:
        """Deal with a batch. Raises nothing, but what cancels the task."""

    @abstractmethod
    def abandon(self, batch: Sequence[ItemT]) -> None:
        """Note that these will not be consumed."""

    def start(self, task_group: TaskGroup) -> None:
        """Begin; what was queued before has waited."""
        self._scope = anyio.CancelScope()
        task_group.start_soon(self._run, self._scope, name=self.name)

    async def drain(self) -> None:
        """Close the queue and wait until all of it is consumed."""
        self.queue.close()
        if self._scope is not None:
            await self._ended.wait()

    async def _run(self, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                while batch := await self.queue.take(self._batch, self._linger):
                    await self.consume(batch)
        finally:
            self.queue.close()
            self._ended.set()

    def end(self) -> None:
        """Stop at once, and abandon what is left."""
        if self._scope is not None:
            self._scope.cancel()
        if left := self.queue.clear():
            self.failures += len(left)
            self.abandon(left)


async def stop_consumers(consumers: Sequence[Consumer[ItemT]], timeout: float) -> None:
    """Let consumers finish what is queued, for at most `timeout` seconds, and end them."""
    with anyio.move_on_after(timeout, shield=True):
        async with anyio.create_task_group() as group:
            for consumer in consumers:
                group.start_soon(consumer.drain)
    for consumer in consumers:
        consumer.end()
