"""What an archive finds when it starts, and was not flushed: whole, or lost and named."""

from functools import partial

import anyio
import pytest
from hypothesis import given, settings, strategies as st
from pacs_memory_archive import MemoryStore

from pacs_core.archive import Durability
from pacs_core.archive.recovery import exclusively
from pacs_core.contracts import IngestOutcome, ObjectReader

pytestmark = pytest.mark.anyio

NEVER = {"durability": Durability.WRITE_BEHIND, "flush_interval": 3600.0}


async def restart(bench, **options):
    """Start another archive over what the one before has left."""
    async with anyio.create_task_group() as tasks:
        archive = bench.archive(**options)
        await archive.start(tasks)
        await archive.stop()
    return archive


async def unflushed(bench):
    return {instance.key async for instance in bench.index.unflushed()}


def cut(bench, key, length):
    bench.store._objects[key] = bench.store._objects[key][:length]


@pytest.mark.parametrize("durability", Durability)
async def test_what_is_whole_is_settled_whatever_is_configured_now(bench, dataset, durability):
    await bench.send(bench.archive(**NEVER), dataset())
    await restart(bench, durability=durability)
    assert await unflushed(bench) == set()
    assert await bench.served() == dataset()
    assert bench.trail.events == []


@pytest.mark.parametrize("length", [0, 10, 200, 400, -200, -1])
async def test_what_was_cut_short_is_withdrawn(bench, dataset, caplog, length):
    result = await bench.send(bench.archive(**NEVER), dataset())
    cut(bench, result.instance.key, length)
    await restart(bench)
    assert await bench.rows() == {}
    assert await bench.objects() == {}
    (event,) = bench.trail.events
    assert event.kind.value == "instance-lost"
    assert event.details["sop_instance_uid"] == "1.2.3.4"
    assert "instance 1.2.3.4 is lost" in caplog.text


async def test_what_is_missing_is_withdrawn_and_can_be_sent_again(bench, dataset):
    archive = bench.archive(**NEVER)
    await bench.send(archive, dataset("1.2.5"), "1.2.5")
    result = await bench.send(archive, dataset())
    await bench.store.delete(result.instance.key)
    archive = await restart(bench)
    assert [row.identity.sop_instance_uid for row in (await bench.rows()).values()] == ["1.2.5"]
    assert bench.trail.events[0].details["reason"] == "its object is missing"
    again = await bench.send(archive, dataset())
    assert again.outcome is IngestOutcome.STORED


async def test_what_is_settled_is_not_looked_at(bench, dataset):
    archive = bench.archive()
    result = await bench.send(archive, dataset())
    cut(bench, result.instance.key, 10)
    await restart(bench)
    assert list(await bench.rows()) == [result.instance.key]


async def test_what_cannot_be_read_is_left_alone(bench, dataset, caplog):
    result = await bench.send(bench.archive(**NEVER), dataset())

    class Unreadable(ObjectReader):
        size = result.instance.size

        async def read(self, offset, length):
            raise OSError(5, "Input/output error")

        async def close(self):
            pass

    async def unreadable(key):
        return Unreadable()

    bench.store.open = unreadable
    await restart(bench)
    assert len(await unflushed(bench)) == 1
    assert "stays unsettled" in caplog.text


async def test_a_loss_that_cannot_be_recorded_stops_the_start(bench, dataset):
    result = await bench.send(bench.archive(**NEVER), dataset())
    cut(bench, result.instance.key, 10)
    bench.trail.failure = RuntimeError("no audit")
    with pytest.raises(ExceptionGroup):
        await restart(bench)
    assert list(await bench.rows()) == [result.instance.key]


async def test_a_torn_orphan_makes_way(bench, dataset):
    """A power failure took the row, and all of the object but its name."""
    orphan = await bench.put(dataset())
    cut(bench, orphan.key, 300)
    await bench.send(bench.archive(), dataset())
    assert await bench.served() == dataset()
    assert orphan.key not in await bench.objects()


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.none() | st.integers(0, 1200), min_size=1, max_size=40),
    missing=st.sets(st.integers(0, 40)),
)
def test_after_any_power_failure_every_row_has_its_whole_object(
    make_bench, dataset, lengths, missing
):
    async def run():
        bench = make_bench(store=MemoryStore())
        archive = bench.archive(**NEVER)
        sent = {}
        for number, length in enumerate(lengths):
            uid = f"1.2.{number}"
            result = await bench.send(archive, dataset(uid), uid)
            sent[result.instance.key] = bench.store._objects[result.instance.key]
            if number in missing:
                await bench.store.delete(result.instance.key)
            elif length is not None:
                cut(bench, result.instance.key, length)
        left = await bench.objects()
        await restart(bench)
        whole = {key: data for key, data in sent.items() if left.get(key) == data}
        assert await bench.objects() == whole
        assert set(await bench.rows()) == set(whole)
        assert await unflushed(bench) == set()
        assert len(bench.trail.events) == len(sent) - len(whole)

    anyio.run(run)


async def test_one_process_at_a_time_recovers(tmp_path):
    order = []

    async def recover(name):
        async with exclusively(tmp_path / "new" / "lock"):
            order.append(name)
            await anyio.sleep(0.001)
            order.append(name)

    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(partial(recover, name))
    assert [order[i] == order[i + 1] for i in (0, 2, 4)] == [True] * 3
