"""Events on their way to handlers."""

import anyio
import pytest

from pacs_core.archive import EventDispatcher
from pacs_core.contracts import (
    EventHandler,
    InstanceEvent,
    InstanceEventKind,
    InstanceIdentity,
    Origin,
    StoredInstance,
)

pytestmark = pytest.mark.anyio


def event(number):
    identity = InstanceIdentity("1", "1.1", f"1.1.{number}", "1.2")
    instance = StoredInstance(identity, "1.2.840.10008.1.2", f"k{number}", 10, 5)
    return InstanceEvent(InstanceEventKind.STORED, instance, Origin("DIMSE"), {})


class Handler(EventHandler):
    def __init__(self, behave=None):
        self.keys = []
        self.behave = behave

    async def handle(self, event):
        await anyio.lowlevel.checkpoint()
        if self.behave is not None:
            await self.behave(event)
        self.keys.append(event.instance.key)


async def test_every_handler_gets_every_event_in_order():
    dispatcher, handlers = EventDispatcher(), [Handler(), Handler()]
    for number, handler in enumerate(handlers):
        dispatcher.add(str(number), handler)
    async with anyio.create_task_group() as group:
        await dispatcher.start(group)
        for number in range(50):
            await dispatcher.publish(event(number))
        await dispatcher.stop()
    expected = [f"k{number}" for number in range(50)]
    assert [handler.keys for handler in handlers] == [expected, expected]


async def test_events_before_the_start_wait():
    dispatcher, handler = EventDispatcher(), Handler()
    dispatcher.add("a", handler)
    await dispatcher.publish(event(1))
    async with anyio.create_task_group() as group:
        await dispatcher.start(group)
        await dispatcher.stop()
    assert handler.keys == ["k1"]


async def test_a_handler_that_raises_is_counted_and_goes_on(caplog):
    async def fail(event):
        if event.instance.key == "k1":
            raise ZeroDivisionError

    dispatcher, handler, other = EventDispatcher(), Handler(fail), Handler()
    dispatcher.add("weak", handler)
    dispatcher.add("other", other)
    async with anyio.create_task_group() as group:
        await dispatcher.start(group)
        for number in range(3):
            await dispatcher.publish(event(number))
        await dispatcher.stop()
    assert handler.keys == ["k0", "k2"]
    assert other.keys == ["k0", "k1", "k2"]
    assert dispatcher.failures == {"weak": 1, "other": 0}
    assert "event handler weak failed on stored of 1.1.1" in caplog.text


async def test_a_handler_that_hangs_is_cut_off():
    async def hang(event):
        if event.instance.key == "k0":
            await anyio.sleep_forever()

    dispatcher, handler = EventDispatcher(timeout=0.01), Handler(hang)
    dispatcher.add("slow", handler)
    async with anyio.create_task_group() as group:
        await dispatcher.start(group)
        await dispatcher.publish(event(0))
        await dispatcher.publish(event(1))
        await dispatcher.stop()
    assert handler.keys == ["k1"]
    assert dispatcher.failures == {"slow": 1}


async def test_publish_waits_for_a_handler_that_falls_behind():
    gate, published = anyio.Event(), []

    async def wait(_):
        await gate.wait()

    async def publish():
        for number in range(10):
            await dispatcher.publish(event(number))
            published.append(number)

    dispatcher, handler = EventDispatcher(capacity=3), Handler(wait)
    dispatcher.add("slow", handler)
    async with anyio.create_task_group() as group:
        await dispatcher.start(group)
        group.start_soon(publish)
        await anyio.wait_all_tasks_blocked()
        assert published == [0, 1, 2, 3]
        gate.set()
        await anyio.wait_all_tasks_blocked()
        await dispatcher.stop()
    assert handler.keys == [f"k{number}" for number in range(10)]


async def test_stop_gives_up_after_its_timeout_and_counts_what_is_left(caplog):
    async def hang(_):
        await anyio.sleep_forever()

    dispatcher = EventDispatcher()
    dispatcher.add("stuck", Handler(hang))
    async with anyio.create_task_group() as group:
        await dispatcher.start(group)
        for number in range(3):
            await dispatcher.publish(event(number))
        await anyio.wait_all_tasks_blocked()
        await dispatcher.stop(timeout=0.01)
    assert dispatcher.failures == {"stuck": 2}
    assert "2 events were not handled" in caplog.text


async def test_events_after_the_stop_are_counted():
    dispatcher, handler = EventDispatcher(), Handler()
    dispatcher.add("a", handler)
    async with anyio.create_task_group() as group:
        await dispatcher.start(group)
        await dispatcher.stop()
        await dispatcher.publish(event(1))
    assert handler.keys == []
    assert dispatcher.failures == {"a": 1}


async def test_nobody_listens():
    dispatcher = EventDispatcher()
    assert not dispatcher.active
    await dispatcher.publish(event(1))
    await dispatcher.stop()
