"""The audit trail of a node: every event to every sink (PS3.15 A.5)."""

import logging
from collections.abc import Iterable, Sequence

import anyio
from anyio.abc import TaskGroup
from attrs import define, evolve

from pacs_core.archive.queues import Consumer, stop_consumers
from pacs_core.concurrency import is_failure
from pacs_core.contracts import AuditEvent, AuditFailedError, AuditSink, AuditTrail, QueueStatus

# Theory of operation
#
# Each sink has a queue and a task that writes what has gathered, so a slow sink holds up neither
# other sinks nor the operation, with one exception: a required sink.
#
# Recording for an optional sink is an append to its queue. When the queue is full the event is
# dropped and counted, since waiting would hand the speed of the archive to a log file. Recording
# for a required sink waits until the batch with the event was written, and raises if it was not:
# then the operation must not be acknowledged. Its events do not linger to gather, because somebody
# waits for each.
#
# Whoever waits is released in every case: by the write, by its failure, by a timeout of twice what
# a batch may take (the one that is being written, and the next), or by the end of the node.

_log = logging.getLogger(__name__)

BATCH = 256
LINGER = 0.05
"""Seconds in which events gather for a sink that nobody waits for: one batch costs a thread hop."""

LOG_INTERVAL = 60.0
"""Seconds between two log entries on the failures of one sink."""


@define(eq=False)
class _AuditEntry:
    """An event, and for a required sink the news of what became of it."""

    event: AuditEvent
    settled: anyio.Event | None = None
    failure: str = ""

    def settle(self, failure: str) -> None:
        self.failure = failure
        if self.settled is not None:
            self.settled.set()


class _SinkChannel(Consumer[_AuditEntry]):
    """One sink and its queue."""

    def __init__(
        self, name: str, sink: AuditSink, required: bool, timeout: float, capacity: int
    ) -> None:
        super().__init__(name, capacity, BATCH, 0.0 if required else LINGER)
        self.required = required
        self.dropped = 0
        self._sink = sink
        self._timeout = timeout
        self._overflowing = False
        self._quiet_until = 0.0

    async def spool(self) -> QueueStatus | None:
        """Return what the sink keeps until it is delivered; None if it has no spool, or fails."""
        try:
            with anyio.fail_after(self._timeout):
                status = await self._sink.spool()
        except Exception:
            _log.exception("the spool of the audit sink %s cannot be looked at", self.name)
            return None
        return status and evolve(status, name=self.name)

    def offer(self, event: AuditEvent) -> None:
        """Queue an event for a sink that is not required, or count it as dropped."""
        if self.queue.offer(_AuditEntry(event)):
            self._overflowing = False
            return
        self.dropped += 1
        if not self._overflowing:
            self._overflowing = True
            _log.error("audit sink %s does not keep up: events are dropped", self.name)

    async def require(self, event: AuditEvent) -> None:
        """Return once the sink has the event."""
        entry = _AuditEntry(event, anyio.Event())
        try:
            # A batch that is being written may be followed by the one with this event.
            with anyio.fail_after(2 * self._timeout):
                if not await self.queue.put(entry):
                    entry.failure = "it has been stopped"
                elif entry.settled is not None:
                    await entry.settled.wait()
        except TimeoutError:
            entry.failure = f"no answer within {2 * self._timeout:g} s"
        if entry.failure:
            raise AuditFailedError(f"the required audit sink {self.name!r} failed: {entry.failure}")

    async def consume(self, batch: Sequence[_AuditEntry]) -> None:
        failure = "the node stopped"
        try:
            with anyio.fail_after(self._timeout):
                await self._sink.write([entry.event for entry in batch])
            failure = ""
        except TimeoutError:
            failure = f"not done within {self._timeout:g} s"
        except BaseException as error:
            if not is_failure(error):
                raise
            failure = f"{type(error).__name__}: {error}"
        finally:
            self._settle(batch, failure)

    def _settle(self, batch: Sequence[_AuditEntry], failure: str) -> None:
        for entry in batch:
            entry.settle(failure)
        if failure:
            self.failures += len(batch)
            self._complain(len(batch), failure)

    def _complain(self, count: int, failure: str) -> None:
        now = anyio.current_time()
        if now >= self._quiet_until:
            self._quiet_until = now + LOG_INTERVAL
            _log.error("audit sink %s did not record %d events: %s", self.name, count, failure)

    def abandon(self, batch: Sequence[_AuditEntry]) -> None:
        _log.error("audit sink %s: %d events were not recorded", self.name, len(batch))
        for entry in batch:
            entry.settle("the node stopped")


class NodeAuditTrail(AuditTrail):
    """Gathers events for every sink, and writes them in batches, in order.

    Parameters
    ----------
    sinks : iterable of (str, AuditSink, bool)
        Name, sink, and whether it is required. Starting and stopping sinks is the caller's part.
    timeout : float
        Seconds that a sink has for one batch.
    capacity : int
        Events that may wait for one sink. What exceeds it is dropped, counted and logged, unless
        the sink is required: then :meth:`record` waits.
    """

    def __init__(
        self,
        sinks: Iterable[tuple[str, AuditSink, bool]] = (),
        *,
        timeout: float = 30.0,
        capacity: int = 8192,
    ) -> None:
        channels = [
            _SinkChannel(name, sink, required, timeout, capacity) for name, sink, required in sinks
        ]
        self._optional = [channel for channel in channels if not channel.required]
        self._required = [channel for channel in channels if channel.required]
        self._channels = channels

    @property
    def failures(self) -> dict[str, int]:
        """Number of events that a sink failed to record, by its name."""
        return {channel.name: channel.failures for channel in self._channels}

    @property
    def dropped(self) -> dict[str, int]:
        """Number of events that found a sink's queue full, by its name."""
        return {channel.name: channel.dropped for channel in self._channels}

    @property
    def queues(self) -> list[QueueStatus]:
        """What waits for each sink, and what was not recorded."""
        return [
            QueueStatus(each.name, "audit", len(queue), each.failures + each.dropped, queue.age)
            for each in self._channels
            for queue in [each.queue]
        ]

    async def spools(self) -> list[QueueStatus]:
        """Return what sinks keep in places of their own, until it is delivered."""
        found = [await channel.spool() for channel in self._channels]
        return [each for each in found if each is not None]

    async def start(self, task_group: TaskGroup) -> None:
        """Begin to write; what was recorded before has waited."""
        for channel in self._channels:
            channel.start(task_group)

    async def record(self, event: AuditEvent) -> None:
        """Hand the event to every sink; waits for the required ones only.

        Raises
        ------
        AuditFailedError
            A required sink did not take the event: the operation must not be acknowledged.
        """
        for channel in self._optional:
            channel.offer(event)
        for channel in self._required:
            await channel.require(event)

    async def stop(self, timeout: float = 30.0) -> None:
        """Write what is queued, for at most `timeout` seconds."""
        await stop_consumers(self._channels, timeout)
