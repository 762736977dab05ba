"""Audit events on their way to sinks."""

import anyio
import pytest

from pacs_core.archive import NodeAuditTrail
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditSink,
    Origin,
    Outcome,
)

pytestmark = pytest.mark.anyio


def event(number=0):
    return AuditEvent(AuditKind.C_STORE, Outcome.SUCCESS, Origin("DIMSE"), {"number": number})


class Sink(AuditSink):
    def __init__(self, behave=None):
        self.batches = []
        self.behave = behave

    async def write(self, events):
        await anyio.lowlevel.checkpoint()
        if self.behave is not None:
            await self.behave()
        self.batches.append([event.details["number"] for event in events])

    @property
    def numbers(self):
        return [number for batch in self.batches for number in batch]


async def test_all_sinks_get_all_events_in_order_and_in_batches():
    sinks = [Sink(), Sink()]
    trail = NodeAuditTrail([("a", sinks[0], False), ("b", sinks[1], False)])
    async with anyio.create_task_group() as group:
        await trail.start(group)
        for number in range(1000):
            await trail.record(event(number))
        await trail.stop()
    assert [sink.numbers for sink in sinks] == [list(range(1000))] * 2
    assert 1 < len(sinks[0].batches) < 20


async def test_events_before_the_start_are_kept():
    sink = Sink()
    trail = NodeAuditTrail([("a", sink, False)])
    await trail.record(event(1))
    async with anyio.create_task_group() as group:
        await trail.start(group)
        await trail.stop()
    assert sink.numbers == [1]


async def test_a_failing_sink_stops_nothing_and_is_logged_seldom(caplog):
    async def fail():
        raise OSError("disk full")

    sink, other = Sink(fail), Sink()
    trail = NodeAuditTrail([("bad", sink, False), ("good", other, False)])
    async with anyio.create_task_group() as group:
        await trail.start(group)
        for number in range(5):
            await trail.record(event(number))
            await anyio.wait_all_tasks_blocked()
        await trail.stop()
    assert other.numbers == [0, 1, 2, 3, 4]
    assert trail.failures == {"bad": 5, "good": 0}
    assert caplog.text.count("disk full") == 1


async def test_a_full_queue_drops_counts_and_logs_once(caplog):
    begun, gate = anyio.Event(), anyio.Event()

    async def stall():
        begun.set()
        await gate.wait()

    sink = Sink(stall)
    trail = NodeAuditTrail([("slow", sink, False)], capacity=2)
    async with anyio.create_task_group() as group:
        await trail.start(group)
        await trail.record(event(0))
        await begun.wait()
        for number in range(1, 6):
            await trail.record(event(number))
        gate.set()
        await trail.stop()
    assert sink.numbers == [0, 1, 2]
    assert trail.dropped == {"slow": 3}
    assert caplog.text.count("events are dropped") == 1


async def test_events_gather_also_while_the_last_ones_are_written():
    """A batch costs a hop to a thread: under load there must not be one for each event."""
    sink = Sink(lambda: anyio.sleep(0.002))
    trail = NodeAuditTrail([("file", sink, False)])
    async with anyio.create_task_group() as group:
        await trail.start(group)
        for number in range(100):
            await trail.record(event(number))
            await anyio.sleep(0.001)
        await trail.stop()
    assert sink.numbers == list(range(100))
    assert len(sink.batches) < 30


async def test_record_waits_for_required_sinks():
    gate, recorded = anyio.Event(), []
    trail = NodeAuditTrail([("sure", Sink(gate.wait), True), ("other", Sink(), False)])

    async def record():
        await trail.record(event())
        recorded.append(True)

    async with anyio.create_task_group() as group:
        await trail.start(group)
        group.start_soon(record)
        await anyio.wait_all_tasks_blocked()
        assert not recorded
        gate.set()
        await anyio.wait_all_tasks_blocked()
        assert recorded
        await trail.stop()


async def test_required_events_share_batches():
    gate = anyio.Event()
    sink = Sink(gate.wait)
    trail = NodeAuditTrail([("sure", sink, True)])
    async with anyio.create_task_group() as group:
        await trail.start(group)
        async with anyio.create_task_group() as recorders:
            for number in range(20):
                recorders.start_soon(trail.record, event(number))
            await anyio.wait_all_tasks_blocked()
            gate.set()
        await trail.stop()
    assert sorted(sink.numbers) == list(range(20))
    assert len(sink.batches) <= 2


async def test_a_required_sink_that_fails_fails_the_operation():
    async def fail():
        raise OSError("disk full")

    trail = NodeAuditTrail([("sure", Sink(fail), True)])
    async with anyio.create_task_group() as group:
        await trail.start(group)
        with pytest.raises(AuditFailedError, match="'sure' failed: OSError: disk full"):
            await trail.record(event())
        await trail.stop()


@pytest.mark.parametrize("started", [True, False])
async def test_a_required_sink_that_does_not_answer_fails_the_operation(started):
    trail = NodeAuditTrail([("sure", Sink(anyio.sleep_forever), True)], timeout=0.01)
    async with anyio.create_task_group() as group:
        if started:
            await trail.start(group)
        with pytest.raises(AuditFailedError, match=r"(not done|no answer) within"):
            await trail.record(event())
        await trail.stop()


async def test_what_is_left_at_the_stop_is_counted_and_fails_who_waits(caplog):
    trail = NodeAuditTrail([("sure", Sink(anyio.sleep_forever), True)])
    failures = []

    async def record():
        try:
            await trail.record(event())
        except AuditFailedError as error:
            failures.append(str(error))

    async with anyio.create_task_group() as group:
        await trail.start(group)
        group.start_soon(record)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(record)
        await anyio.wait_all_tasks_blocked()
        await trail.stop(timeout=0.01)
    assert len(failures) == 2
    assert all("the node stopped" in failure for failure in failures)
    assert trail.failures == {"sure": 2}


async def test_after_the_stop_required_sinks_fail_the_operation():
    trail = NodeAuditTrail([("sure", Sink(), True)])
    async with anyio.create_task_group() as group:
        await trail.start(group)
        await trail.stop()
        with pytest.raises(AuditFailedError, match="stopped"):
            await trail.record(event())
