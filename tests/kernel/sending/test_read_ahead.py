"""Objects on their way out: read ahead, in bounded memory, and always closed."""

from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from attrs import define

from pacs_core.concurrency import cancelled_task_group
from pacs_core.contracts import (
    Action,
    InstanceIdentity,
    ObjectReader,
    Plan,
    StoredInstance,
    TranscodingError,
)
from pacs_core.sending.read_ahead import (
    PREFETCH,
    Conversion,
    MissingInstance,
    TruncatedObjectError,
    UnsendableError,
    load_stored,
    read_ahead,
)

pytestmark = pytest.mark.anyio

OFFSET = 10
PLAN = Plan(Action.TRANSCODE, "1.2.840.10008.1.2", "1.2.840.10008.1.2.5")


def sendable(instance):
    return ""


def refused(instance):
    return "no form that both know"


def as_stored(item):
    return None


@asynccontextmanager
async def outgoing(archive, refusal, prepare=as_stored):
    async with cancelled_task_group() as tasks:
        load = partial(load_stored, archive)
        yield read_ahead(tasks, load, archive.instances(), refusal, prepare)


@define
class CountingReader(ObjectReader):
    archive: "ManyObjects"
    size: int
    available: int

    async def read(self, offset, length):
        self.archive.largest_read = max(self.archive.largest_read, length)
        return bytes(max(0, min(length, self.available - offset)))

    async def close(self):
        self.archive.opened -= 1


@define
class ManyObjects:
    """Just what `read_ahead` uses of an archive, and a count of open readers."""

    sizes: list[int]
    missing_bytes: int = 0
    opened: int = 0
    most_opened: int = 0
    largest_read: int = 0

    def instances(self):
        for number, size in enumerate(self.sizes):
            identity = InstanceIdentity("1", "1", f"1.{number}", "1.2")
            yield StoredInstance(identity, "1.2.840.10008.1.2", str(number), size, OFFSET)

    async def open(self, instance):
        self.opened += 1
        self.most_opened = max(self.most_opened, self.opened)
        return CountingReader(self, instance.size, instance.size - self.missing_bytes)

    async def open_and_read(self, instance, length):
        reader = await self.open(instance)
        return reader, await reader.read(instance.dataset_offset, length)


async def drain(item):
    return sum([len(chunk) async for chunk in item])


async def test_objects_of_any_size_arrive_whole_and_in_order():
    sizes = [OFFSET, OFFSET + 1, PREFETCH, PREFETCH + OFFSET, PREFETCH + OFFSET + 1, 5 * PREFETCH]
    archive = ManyObjects(sizes)
    async with outgoing(archive, sendable) as items:
        lengths = []
        async for item in items:
            lengths.append(await drain(item))
            await item.close()
    assert lengths == [size - OFFSET for size in sizes]
    assert archive.opened == 0
    assert archive.most_opened <= 2
    assert archive.largest_read <= PREFETCH


async def test_small_objects_are_given_as_bytes():
    async with outgoing(ManyObjects([100]), sendable) as items:
        item = await anext(items)
    assert await item.dataset() == bytes(100 - OFFSET)


async def test_leaving_early_closes_everything():
    archive = ManyObjects([2 * PREFETCH] * 10)
    async with outgoing(archive, sendable) as items:
        item = await anext(items)
        while archive.opened < 2:
            await anyio.lowlevel.checkpoint()
        await item.close()
    assert archive.opened == 0


async def test_an_error_of_the_reader_of_the_stream_is_not_wrapped():
    archive = ManyObjects([2 * PREFETCH] * 10)

    async def fail():
        async with outgoing(archive, sendable) as items:
            item = await anext(items)
            await item.close()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert archive.opened == 0


async def test_what_is_not_sendable_is_not_opened():
    archive = ManyObjects([100, 100])
    async with outgoing(archive, refused) as items:
        assert [type(item) async for item in items] == [MissingInstance, MissingInstance]
    assert archive.most_opened == 0


async def test_an_object_cut_short_is_never_sent_as_a_whole_one():
    small = ManyObjects([100], missing_bytes=1)
    async with outgoing(small, sendable) as items:
        assert isinstance(await anext(items), MissingInstance)
    assert small.opened == 0
    large = ManyObjects([3 * PREFETCH], missing_bytes=1)
    async with outgoing(large, sendable) as items:
        item = await anext(items)
        with pytest.raises(TruncatedObjectError):
            await drain(item)
        await item.close()
    assert large.opened == 0


class Slow:
    """Chunks of which the first comes when it is told to, or fails; counts those at work."""

    def __init__(self):
        self.at_work = self.most = self.closed = 0
        self.go = anyio.Event()

    async def chunks(self, error=None):
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            await self.go.wait()
            if error:
                raise error
            yield b"converted"
            yield b"whole"
        finally:
            self.at_work -= 1
            self.closed += 1


async def test_the_next_is_converted_while_one_waits():
    archive, slow = ManyObjects([100] * 4), Slow()

    def prepare(item):
        return Conversion(PLAN, item, slow.chunks())

    async with outgoing(archive, sendable, prepare) as items:
        first = await anext(items)
        while slow.at_work < 2:
            await anyio.lowlevel.checkpoint()
        slow.go.set()
        assert [chunk async for chunk in await first.dataset()] == [b"converted", b"whole"]
        await first.close()
        async for item in items:
            assert [chunk async for chunk in await item.dataset()] == [b"converted", b"whole"]
            await item.close()
    assert (slow.most, slow.closed, archive.opened) == (2, 4, 0)


async def test_a_conversion_that_fails_says_so_when_its_turn_comes():
    archive, slow = ManyObjects([100]), Slow()
    slow.go.set()
    error = TranscodingError("frame 1: oops")
    prepare = lambda item: Conversion(PLAN, item, slow.chunks(error))  # noqa: E731
    async with outgoing(archive, sendable, prepare) as items:
        item = await anext(items)
        with pytest.raises(UnsendableError, match="frame 1: oops"):
            await item.dataset()
        await item.close()
    assert archive.opened == 0


async def test_conversions_that_are_given_up_end():
    archive, slow = ManyObjects([2 * PREFETCH] * 5), Slow()
    prepare = lambda item: Conversion(PLAN, item, slow.chunks())  # noqa: E731
    async with outgoing(archive, sendable, prepare) as items:
        item = await anext(items)
        while slow.at_work < 2:
            await anyio.lowlevel.checkpoint()
        await item.close()
    assert (slow.at_work, archive.opened) == (0, 0)


async def test_what_its_beginning_shows_cannot_be_sent_is_missing_and_closed():
    archive = ManyObjects([2 * PREFETCH] * 2)
    prepare = lambda item: MissingInstance(item.instance, "does not fit")  # noqa: E731
    async with outgoing(archive, sendable, prepare) as items:
        assert [item.reason async for item in items] == ["does not fit"] * 2
    assert archive.opened == 0
