"""Written behind: flushed in time, counted in the index until then, loud when it fails."""

import errno
import logging

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pacs_memory_archive import MemoryStore

from pacs_core.archive import DuplicatePolicy, Durability
from pacs_core.contracts import IngestOutcome, InstancePath, Outcome

pytestmark = pytest.mark.anyio

BEHIND = {"durability": Durability.WRITE_BEHIND, "flush_interval": 0.001}
NEVER = {"durability": Durability.WRITE_BEHIND, "flush_interval": 3600.0}


class Disk(MemoryStore):
    """A store that notes what was flushed, and fails, or waits, when told."""

    def __init__(self):
        super().__init__()
        self.durable = set()
        self.asked = []
        self.failure = None
        self.gate = anyio.Event()
        self.gate.set()

    def writer(self, identity, *, durable=True):
        self.asked.append(durable)
        return super().writer(identity, durable=durable)

    async def flush(self, keys):
        await self.gate.wait()
        await checkpoint()
        if self.failure is not None:
            raise self.failure
        self.durable.update(keys)


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def bench(make_bench, disk):
    return make_bench(store=disk)


async def unflushed(bench):
    return {instance.key async for instance in bench.index.unflushed()}


async def settled(bench):
    with anyio.fail_after(40):
        while await unflushed(bench):
            await checkpoint()


async def recorded(bench, count):
    with anyio.fail_after(40):
        while len(bench.trail.events) < count:
            await checkpoint()


async def test_what_was_acknowledged_is_flushed_soon(bench, dataset, disk):
    async with anyio.create_task_group() as tasks:
        archive = bench.archive(**BEHIND)
        await archive.start(tasks)
        result = await bench.send(archive, dataset())
        await settled(bench)
        assert disk.durable == {result.instance.key}
        assert disk.asked == [False]
        await archive.stop()


async def test_until_it_is_flushed_the_index_has_it_in_account(bench, dataset, disk):
    archive = bench.archive(**NEVER)
    result = await bench.send(archive, dataset())
    assert await bench.served() == dataset()
    assert await unflushed(bench) == {result.instance.key}
    assert disk.durable == set()
    await archive.stop()
    assert await unflushed(bench) == set()
    assert disk.durable == {result.instance.key}


@pytest.mark.parametrize("durability", [Durability.COMMIT, Durability.NONE])
async def test_nothing_is_in_account_otherwise(bench, dataset, durability):
    await bench.send(bench.archive(durability=durability), dataset())
    assert await unflushed(bench) == set()


async def test_many_bytes_are_flushed_before_the_time(bench, dataset, disk):
    async with anyio.create_task_group() as tasks:
        archive = bench.archive(**NEVER, flush_bytes=1)
        await archive.start(tasks)
        await bench.send(archive, dataset())
        await settled(bench)
        await archive.stop()


async def test_senders_wait_while_too_much_is_not_flushed(bench, dataset, disk):
    async with anyio.create_task_group() as tasks:
        archive = bench.archive(**NEVER, flush_bytes=2 * len(dataset()))
        await archive.start(tasks)
        disk.gate = anyio.Event()
        done = []

        async def send(number):
            await bench.send(archive, dataset(f"1.2.{number}"), f"1.2.{number}")
            done.append(number)

        async with anyio.create_task_group() as senders:
            for number in range(20):
                senders.start_soon(send, number)
            await anyio.wait_all_tasks_blocked()
            assert 0 < len(done) < 20
            disk.gate.set()
        assert len(done) == 20
        await archive.stop()
    assert await unflushed(bench) == set()


async def test_a_row_is_settled_after_its_object_is_flushed(bench, dataset, disk):
    archive = bench.archive(**NEVER)
    for number in range(5):
        await bench.send(archive, dataset(f"1.2.{number}"), f"1.2.{number}")
    settle = bench.index.settle

    async def checked(paths):
        assert disk.durable >= {f"1.2.3/1.2.3.1/{path[1]}.dcm" for path in paths}
        await settle(paths)

    bench.index.settle = checked
    await archive.stop()
    assert await unflushed(bench) == set()


async def test_a_removed_instance_is_not_flushed(bench, dataset, disk, origin):
    archive = bench.archive(**NEVER)
    await bench.send(archive, dataset())
    await archive.delete(InstancePath("1.2.3", "1.2.3.4"), origin)
    await archive.stop()
    assert disk.durable == set()


async def test_a_removal_waits_for_the_flush(bench, dataset, disk, origin):
    """Else the flush would settle what is stored under the same UID afterwards."""
    archive = bench.archive(**NEVER)
    await bench.send(archive, dataset())
    disk.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(archive.stop)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(archive.delete, InstancePath("1.2.3", "1.2.3.4"), origin)
        await anyio.wait_all_tasks_blocked()
        assert await bench.index.locate(InstancePath("1.2.3", "1.2.3.4")) is not None
        disk.gate.set()
    assert await bench.index.locate(InstancePath("1.2.3", "1.2.3.4")) is None


@pytest.mark.parametrize("policy", [DuplicatePolicy.KEEP_FIRST, DuplicatePolicy.REPLACE])
async def test_what_takes_a_place_is_on_disk_first(bench, dataset, disk, policy):
    archive = bench.archive(**NEVER, policy=policy)
    await bench.send(archive, dataset())
    await bench.send(archive, dataset(pixels=b"ab"))
    assert disk.asked == [False, True]


async def test_of_two_that_race_the_later_is_on_disk_before_it_is_kept(bench, dataset, disk):
    """Another process's instance gets into the index while this one is being written."""
    archive = bench.archive(**NEVER)
    add = bench.index.add

    async def late(record, **options):
        bench.index.add = add
        await bench.add(await bench.put(dataset(pixels=b"ab"), variant="other"))
        return await add(record, **options)

    bench.index.add = late
    result = await bench.send(archive, dataset())
    assert result.outcome is IngestOutcome.SET_ASIDE
    assert disk.durable == {"1.2.3/1.2.3.1/1.2.3.4.dcm"}


async def test_a_failing_flush_is_loud_and_the_disk_is_waited_for(bench, dataset, disk, caplog):
    caplog.set_level(logging.WARNING)
    async with anyio.create_task_group() as tasks:
        archive = bench.archive(**BEHIND)
        await archive.start(tasks)
        disk.failure = OSError(errno.EIO, "Input/output error")
        await bench.send(archive, dataset())
        await recorded(bench, 1)
        assert [(e.kind.value, e.outcome) for e in bench.trail.events] == [
            ("flush", Outcome.FAILURE)
        ]
        assert "could not be flushed" in caplog.text
        await bench.send(archive, dataset("1.2.5"), "1.2.5")
        assert disk.asked == [False, True]
        with pytest.raises(OSError, match="Input/output"):
            await bench.send(archive, dataset())
        disk.failure = None
        await recorded(bench, 2)
        assert bench.trail.events[-1].outcome is Outcome.SUCCESS
        await bench.send(archive, dataset("1.2.6"), "1.2.6")
        assert disk.asked == [False, True, False]
        await archive.stop()
    assert await unflushed(bench) == set()


async def test_what_cannot_be_flushed_at_the_end_stays_in_account(bench, dataset, disk, caplog):
    archive = bench.archive(**NEVER)
    await bench.send(archive, dataset())
    disk.failure = OSError(errno.ENOSPC, "No space left on device")
    await archive.stop()
    assert len(await unflushed(bench)) == 1
    assert "1 acknowledged instances are not on disk" in caplog.text
