"""Instance events on their way to the handlers."""

import logging
from collections.abc import Sequence

import anyio
from anyio.abc import TaskGroup

from pacs_core.archive.queues import Consumer, stop_consumers
from pacs_core.concurrency import is_failure
from pacs_core.contracts import EventHandler, InstanceEvent, QueueStatus

# Theory of operation
#
# These events are for those to whom the moment matters and not every single one: what is queued
# when a process dies is lost. Who must hear of each instance follows changes instead (see
# `consumers`).
#
# Each handler has a queue and a task, so that a slow one holds up no other. When its queue is full,
# ingest waits for it: the alternatives would be to forget events, or to let memory grow. A handler
# that fails is logged and goes on with the next event; one that takes too long is cancelled.

_log = logging.getLogger(__name__)


class _HandlerChannel(Consumer[InstanceEvent]):
    """One handler and its queue."""

    def __init__(self, name: str, handler: EventHandler, timeout: float, capacity: int) -> None:
        super().__init__(name, capacity, batch=1)
        self._handler = handler
        self._timeout = timeout

    async def consume(self, batch: Sequence[InstanceEvent]) -> None:
        for event in batch:
            try:
                with anyio.fail_after(self._timeout):
                    await self._handler.handle(event)
            except BaseException as error:
                if not is_failure(error):
                    raise
                self.failures += 1
                name, uid = self.name, event.instance.identity.sop_instance_uid
                _log.exception("event handler %s failed on %s of %s", name, event.kind.value, uid)

    def abandon(self, batch: Sequence[InstanceEvent]) -> None:
        _log.error("event handler %s: %d events were not handled", self.name, len(batch))


class EventDispatcher:
    """Tells every handler of every event: in order, each in a task of its own.

    Parameters
    ----------
    timeout : float
        Seconds that a handler has for one event.
    capacity : int
        Events that may wait for one handler; then :meth:`publish` waits as well.

    Attributes
    ----------
    active : bool
        Whether anyone listens, so that an event is worth making.
    """

    def __init__(self, *, timeout: float = 30.0, capacity: int = 1024) -> None:
        self._timeout = timeout
        self._capacity = capacity
        self._channels: list[_HandlerChannel] = []
        self.active = False

    def add(self, name: str, handler: EventHandler) -> None:
        """Add a handler, before :meth:`start`. Starting and stopping it is the caller's part."""
        self._channels.append(_HandlerChannel(name, handler, self._timeout, self._capacity))
        self.active = True

    @property
    def failures(self) -> dict[str, int]:
        """Number of events that a handler did not handle, by its name."""
        return {channel.name: channel.failures for channel in self._channels}

    @property
    def queues(self) -> list[QueueStatus]:
        """What waits for each handler, and what was not handled."""
        return [
            QueueStatus(each.name, "events", len(each.queue), each.failures, each.queue.age)
            for each in self._channels
        ]

    async def start(self, task_group: TaskGroup) -> None:
        """Begin to call the handlers."""
        for channel in self._channels:
            channel.start(task_group)

    async def publish(self, event: InstanceEvent) -> None:
        """Queue an event for every handler; waits while one has fallen far behind."""
        for channel in self._channels:
            if not channel.queue.offer(event) and not await channel.queue.put(event):
                channel.failures += 1

    async def stop(self, timeout: float = 30.0) -> None:
        """Let the handlers finish what is queued, for at most `timeout` seconds."""
        await stop_consumers(self._channels, timeout)
