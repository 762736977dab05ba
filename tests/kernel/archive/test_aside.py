"""What was set aside: found, compared, served instead, deleted; and rebuilt as it was."""

import pytest
from pacs_memory_archive import MemoryIndex

from pacs_core.archive import NotSetAsideError, compare, rebuild_index, verify_index
from pacs_core.contracts import (
    AuditFailedError,
    DamagedObjectError,
    IngestOutcome,
    InstanceNotFoundError,
    InstancePath,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def held(bench, dataset):
    """An archive that serves one object, and has set aside another; with its key."""
    archive = bench.archive()
    await bench.send(archive, dataset())
    await bench.send(archive, dataset(pixels=b"other", PatientName="Roe^Richard"))
    (item,) = [item async for item in archive.aside.find_all()]
    bench.trail.events.clear()
    return archive, item


async def test_what_was_set_aside_is_found(bench, dataset, held):
    archive, item = held
    await bench.send(archive, dataset("1.2.3.5"), "1.2.3.5")
    await bench.put(dataset("1.2.3.6"), "1.2.3.6")
    assert [found async for found in archive.aside.find_all()] == [item]
    assert item.served == await bench.index.locate(InstancePath("1.2.3", "1.2.3.4"))
    assert item.instance.key in await bench.objects()
    assert await archive.aside.find(item.instance.key) == item


async def test_promoting_serves_it_and_sets_aside_what_was_served(bench, dataset, origin, held):
    archive, item = held
    promoted = await archive.aside.promote(item.instance.key, origin)
    assert await bench.served() == dataset(pixels=b"other", PatientName="Roe^Richard")
    assert len(await bench.objects()) == 2
    (now,) = [found async for found in archive.aside.find_all()]
    assert (now.instance.key, now.served) == (item.served.key, promoted)
    (event,) = bench.trail.events
    assert (event.kind.value, event.details["decision"]) == ("duplicate", "promoted")
    found = [difference.kind.value async for difference in verify_index(bench.store, bench.index)]
    assert found == ["set-aside"]
    back = await archive.aside.promote(now.instance.key, origin)
    assert await bench.served() == dataset()
    assert back == await bench.index.locate(InstancePath("1.2.3", "1.2.3.4"))


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_rebuild_serves_what_was_promoted(bench, origin, held, times):
    archive, item = held
    for _ in range(times):
        (item,) = [item async for item in archive.aside.find_all()]
        await archive.aside.promote(item.instance.key, origin)
    rows = await bench.rows()
    bench.index = MemoryIndex()
    await rebuild_index(bench.store, bench.index)
    assert await bench.rows() == rows


async def test_both_stay_known_as_what_they_are(bench, dataset, origin, held):
    archive, item = held
    await archive.aside.promote(item.instance.key, origin)
    other = dataset(pixels=b"other", PatientName="Roe^Richard")
    assert (await bench.send(archive, other)).outcome is IngestOutcome.IDENTICAL
    assert (await bench.send(archive, dataset())).outcome is IngestOutcome.SET_ASIDE


async def test_discarding_deletes_it(bench, dataset, origin, held):
    archive, item = held
    await archive.aside.discard(item.instance.key, origin)
    assert list(await bench.objects()) == [item.served.key]
    assert await bench.served() == dataset()
    (event,) = bench.trail.events
    assert (event.kind.value, event.details["decision"]) == ("duplicate", "discarded")


async def test_what_is_served_unknown_or_an_orphan_is_not_set_aside(bench, dataset, origin, held):
    archive, item = held
    orphan = await bench.put(dataset("1.2.3.6"), "1.2.3.6")
    bench.store._objects["junk"] = b"junk"
    before = await bench.objects()
    for key, message in (
        (item.served.key, "is served"),
        ("nothing", "no object"),
        (orphan.key, "pacs index rebuild"),
        ("junk", "no valid instance"),
    ):
        for do in (archive.aside.promote, archive.aside.discard):
            with pytest.raises(NotSetAsideError, match=message):
                await do(key, origin)
    assert await bench.objects() == before


async def test_what_is_damaged_is_not_promoted(bench, decay, origin, held):
    archive, item = held
    decay(bench, item.instance.key, lambda data: data[:-1] + b"!")
    before = await bench.objects()
    with pytest.raises(DamagedObjectError):
        await archive.aside.promote(item.instance.key, origin)
    assert await bench.objects() == before
    assert not bench.trail.events


async def test_what_cannot_be_recorded_is_not_done(bench, origin, held):
    archive, item = held
    before, rows = await bench.objects(), await bench.rows()
    bench.trail.failure = AuditFailedError("no audit")
    for do in (archive.aside.promote, archive.aside.discard):
        with pytest.raises(AuditFailedError):
            await do(item.instance.key, origin)
    assert (await bench.objects(), await bench.rows()) == (before, rows)


async def test_an_object_of_old_is_promoted_and_gets_a_digest(bench, dataset, origin):
    archive = bench.archive()
    await bench.send(archive, dataset())
    old = await bench.put(dataset(pixels=b"old"), variant="old")
    promoted = await archive.aside.promote(old.key, origin)
    assert promoted.digest
    assert await bench.served() == dataset(pixels=b"old")
    async with await archive.open(promoted) as reader:
        assert (await reader.read(promoted.dataset_offset, 10**6)) == dataset(pixels=b"old")


async def test_what_was_served_may_be_damaged(bench, dataset, decay, origin, held):
    archive, item = held
    decay(bench, item.served.key, lambda data: data[:-1] + b"!")
    with pytest.raises(DamagedObjectError):
        await archive.open(item.served)
    promoted = await archive.aside.promote(item.instance.key, origin)
    async with await archive.open(promoted):
        pass
    with pytest.raises(InstanceNotFoundError):
        await archive.open(item.instance)


async def test_how_two_objects_differ(bench, held):
    _, item = held
    found = await compare(bench.store, item.instance, item.served, bench.index.wanted_tags)
    assert found.attributes == {0x0010_0010: ("Roe^Richard",)}
    assert found.other_attributes == {0x0010_0010: ("Doe^Jane",)}
    objects = await bench.objects()
    pairs = zip(
        objects[item.instance.key][item.instance.dataset_offset :],
        objects[item.served.key][item.served.dataset_offset :],
        strict=False,
    )
    assert found.position == next(n for n, (one, other) in enumerate(pairs) if one != other)
    assert (found.damage, found.other_damage) == ("", "")
    same = await compare(bench.store, item.served, item.served, bench.index.wanted_tags)
    assert (same.attributes, same.position) == ({}, None)


async def test_one_that_is_the_beginning_of_the_other(bench, dataset):
    whole = dataset() + b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0"
    one, other = await bench.put(dataset()), await bench.put(whole, variant="b")
    wanted = bench.index.wanted_tags
    for pair in ((one, other), (other, one)):
        assert (await compare(bench.store, *pair, wanted)).position == len(dataset())


async def test_deleting_an_instance_deletes_what_was_set_aside_of_it(bench, dataset, origin, held):
    archive, item = held
    await bench.send(archive, dataset("1.2.3.45"), "1.2.3.45")
    await archive.delete(item.served.identity.path, origin)
    deleted = [e.details["key"] for e in bench.trail.events if e.kind.value == "delete"]
    assert deleted == [item.served.key, item.instance.key]
    assert len(await bench.objects()) == 1
    bench.index = MemoryIndex()
    await rebuild_index(bench.store, bench.index)
    assert await bench.index.locate(item.served.identity.path) is None


@pytest.mark.parametrize("promotions", [0, 1, 2])
async def test_deleting_an_instance_deletes_what_was_set_aside_of_another_series(
    bench, dataset, origin, promotions
):
    """The series is no part of what names an instance, but may be part of an object's key."""
    archive = bench.archive()
    await bench.send(archive, dataset("1.2.3.45"), "1.2.3.45")
    await bench.send(archive, dataset())
    await bench.send(archive, dataset(pixels=b"other", series="1.2.3.2"))
    for _ in range(promotions):
        (item,) = [item async for item in archive.aside.find_all()]
        await archive.aside.promote(item.instance.key, origin)
    assert len(await bench.objects()) == 3
    await archive.delete(InstancePath("1.2.3", "1.2.3.4"), origin)
    assert len(await bench.objects()) == 1
    bench.index = MemoryIndex()
    report = await rebuild_index(bench.store, bench.index)
    assert (report.indexed, report.set_aside) == (1, 0)
