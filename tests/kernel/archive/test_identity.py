"""Equal SOP Instance UIDs in two studies, in stores whose names do not tell them apart."""

import pytest
from attrs import evolve
from pacs_memory_archive import MemoryStore

from pacs_core.archive import DuplicatePolicy
from pacs_core.contracts import AuditKind, ConflictKind, Durability, IngestOutcome, InstancePath

pytestmark = pytest.mark.anyio

UID = "1.2.3.4"
ONE, TWO = InstancePath("1.2.3", UID), InstancePath("1.9", UID)
STUDY = {ONE: {}, TWO: {"study": "1.9", "series": "1.9.1", "PatientID": "P2"}}


class FlatStore(MemoryStore):
    """A store whose keys are made of the SOP Instance UID alone."""

    def writer(self, identity, **options):
        flat = evolve(identity, study_instance_uid="0", series_instance_uid="0")
        return super().writer(flat, **options)


@pytest.fixture(params=[MemoryStore, FlatStore])
def bench(request, make_bench):
    return make_bench(store=request.param())


async def served(bench, path):
    instance = await bench.index.locate(path)
    async with await bench.store.open(instance.key) as reader:
        return await reader.read(instance.dataset_offset, instance.size)


@pytest.mark.parametrize("policy", DuplicatePolicy)
async def test_each_study_keeps_its_own(bench, dataset, policy):
    archive = bench.archive(policy=policy)
    for path in (ONE, TWO, ONE, TWO):
        await bench.send(archive, dataset(**STUDY[path]))
    assert [await served(bench, path) for path in (ONE, TWO)] == [
        dataset(**STUDY[ONE]),
        dataset(**STUDY[TWO]),
    ]
    assert len(await bench.objects()) == 2


async def test_policy_is_about_one_study(bench, dataset):
    archive = bench.archive(policy=DuplicatePolicy.REPLACE)
    for path in (ONE, TWO):
        await bench.send(archive, dataset(**STUDY[path]))
    other = dataset(pixels=b"ab", **STUDY[TWO])
    assert (await bench.send(archive, other)).outcome is IngestOutcome.REPLACED
    assert await served(bench, ONE) == dataset(**STUDY[ONE])
    assert await served(bench, TWO) == other
    assert len(await bench.objects()) == 2


async def test_a_torn_object_of_another_study_is_no_orphan(bench, dataset):
    """What lies at the key belongs to an instance that is served: it can still be healed."""
    archive = bench.archive()
    first = await bench.send(archive, dataset(**STUDY[ONE]))
    key = first.instance.key
    bench.store._objects[key] = bench.store._objects[key][:-60]
    await bench.send(archive, dataset(**STUDY[TWO]))
    assert key in await bench.objects()
    await bench.send(archive, dataset(**STUDY[ONE]))
    assert await served(bench, ONE) == dataset(**STUDY[ONE])
    assert await served(bench, TWO) == dataset(**STUDY[TWO])


async def test_one_is_deleted(bench, dataset, origin):
    archive = bench.archive()
    for path in (ONE, TWO):
        await bench.send(archive, dataset(**STUDY[path]))
    await archive.delete(ONE, origin)
    assert await archive.locate(ONE) is None
    assert await served(bench, TWO) == dataset(**STUDY[TWO])
    assert len(await bench.objects()) == 1


async def test_both_are_flushed(bench, dataset):
    archive = bench.archive(durability=Durability.WRITE_BEHIND)
    for path in (ONE, TWO):
        await bench.send(archive, dataset(**STUDY[path]))
    assert {i.identity.path async for i in bench.index.unflushed()} == {ONE, TWO}
    await archive.stop()
    assert [i async for i in bench.index.unflushed()] == []


async def test_the_collision_is_logged_and_audited_once(bench, dataset, caplog):
    archive = bench.archive()
    for path in (ONE, TWO, ONE, TWO):
        await bench.send(archive, dataset(**STUDY[path]))
    (event,) = [e for e in bench.trail.events if e.kind is AuditKind.CONFLICT]
    assert event.details["conflict"] == ConflictKind.INSTANCE.value
    assert event.details["values"] == ("1.2.3", "1.9")
    assert caplog.text.count("is in several studies, which are kept apart") == 1
