"""The index made from the store, and compared with it."""

import pytest
from attrs import evolve

from pacs_core.archive import DifferenceKind, rebuild_index, verify_index
from pacs_core.archive.object_scan import AT_ONCE
from pacs_core.contracts import InstanceIdentity, InstancePath, InstanceRecord, Level, Query
from pacs_core.dataset import tag_of

pytestmark = pytest.mark.anyio

EVERYTHING = 3 * AT_ONCE + 5


async def _fill(bench, dataset):
    archive = bench.archive()
    for number in range(EVERYTHING):
        uid = f"1.2.3.{number}"
        data = dataset(uid, study=f"1.2.{number % 3}", series=f"1.2.{number % 3}.1")
        await bench.send(archive, data, uid, size=1000)


async def _snapshot(bench):
    query = Query(Level.IMAGE, returning=bench.index.searchable_tags(Level.IMAGE))
    found = [result async for result in bench.index.search(query)]
    return sorted(found, key=lambda result: result[tag_of("SOPInstanceUID")])


async def _differences(bench):
    return [difference async for difference in verify_index(bench.store, bench.index)]


async def _put_bytes(bench, data, uid="1.9"):
    async with bench.store.writer(InstanceIdentity("1", "1.1", uid, "1.2")) as writer:
        await writer.write([data])
        return (await writer.commit()).key


async def test_a_rebuilt_index_is_the_same(bench, dataset):
    await _fill(bench, dataset)
    before, rows = await _snapshot(bench), await bench.rows()
    reports = []
    report = await rebuild_index(
        bench.store, bench.index, progress=lambda report: reports.append(report.objects)
    )
    assert (report.objects, report.indexed) == (EVERYTHING, EVERYTHING)
    assert not report.differences
    assert await _snapshot(bench) == before
    assert await bench.rows() == rows
    assert reports == [AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE, EVERYTHING]


async def test_an_interrupted_rebuild_is_run_again(bench, dataset):
    await _fill(bench, dataset)
    before = await _snapshot(bench)

    def interrupt(report):
        raise KeyError("interrupted")

    with pytest.raises(KeyError):
        await rebuild_index(bench.store, bench.index, progress=interrupt)
    assert len(await _snapshot(bench)) < EVERYTHING
    await rebuild_index(bench.store, bench.index)
    assert await _snapshot(bench) == before


async def test_the_natural_key_is_served_and_variants_are_named(bench, dataset):
    archive = bench.archive()
    variants = [await bench.put(dataset(pixels=b"00"), variant="abc")]
    first = await bench.send(archive, dataset())
    variants += [await bench.put(dataset(pixels=b"11"), variant=letter) for letter in "zyx"]
    report = await rebuild_index(bench.store, bench.index)
    assert list(await bench.rows()) == [first.instance.key]
    assert (report.objects, report.indexed, report.set_aside) == (5, 1, 4)
    assert {difference.key for difference in report.differences} == {v.key for v in variants}
    assert {difference.kind for difference in report.differences} == {DifferenceKind.SET_ASIDE}


async def test_objects_that_cannot_be_read_are_named(bench, dataset):
    first = await bench.send(bench.archive(), dataset())
    whole = next(iter((await bench.objects()).values()))
    bad = {
        await _put_bytes(bench, b"", "1.1"): "ends within",
        await _put_bytes(bench, b"x" * 1000, "1.2"): "DICM",
        await _put_bytes(bench, whole[:200], "1.3"): "ends within",
        await _put_bytes(bench, whole[: first.instance.dataset_offset + 30], "1.4"): "truncated",
        await _put_bytes(bench, whole.replace(b"1.2.3.4\0", b"1.2.3.5\0", 1), "1.5"): "says SOP",
        await _put_bytes(bench, whole.replace(b"\2\0\x10\0UI", b"\2\0\x11\0UI", 1), "1.6"): (
            "no Transfer Syntax"
        ),
    }
    report = await rebuild_index(bench.store, bench.index)
    named = {difference.key: difference.detail for difference in report.differences}
    assert named.keys() == bad.keys()
    assert all(text in named[key] for key, text in bad.items()), named
    assert (report.unreadable, report.indexed) == (len(bad), 1)
    assert {d.key for d in await _differences(bench)} == bad.keys()


async def test_store_and_index_in_step_have_no_differences(bench, dataset):
    await _fill(bench, dataset)
    assert await _differences(bench) == []


async def test_verification_names_what_is_missing_and_what_is_too_much(bench, dataset):
    await _fill(bench, dataset)
    lost = await bench.index.locate(InstancePath("1.2.1", "1.2.3.7"))
    await bench.store.delete(lost.key)
    orphan = await bench.put(dataset("1.2.3.999"), "1.2.3.999")
    found = {(d.kind, d.key, d.sop_instance_uid) for d in await _differences(bench)}
    assert found == {
        (DifferenceKind.MISSING, lost.key, "1.2.3.7"),
        (DifferenceKind.ORPHAN, orphan.key, "1.2.3.999"),
    }


async def test_verification_tells_what_is_set_aside(bench, dataset):
    await bench.send(bench.archive(), dataset())
    await bench.send(bench.archive(), dataset(pixels=b"ab"))
    await bench.put(dataset(), variant="copy")
    found = await _differences(bench)
    assert {difference.kind for difference in found} == {DifferenceKind.SET_ASIDE}
    assert sorted(d.detail.split(":")[0] for d in found) == ["other content", "the same content"]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"size": 7}, "size is 7, the object has"),
        ({"dataset_offset": 7}, "dataset offset is 7"),
        ({"transfer_syntax_uid": "1.2.840.10008.1.2"}, "transfer syntax is 1.2.840.10008.1.2,"),
    ],
)
async def test_verification_compares_whereabouts(bench, dataset, change, detail):
    result = await bench.send(bench.archive(), dataset())
    (attributes,) = await _snapshot(bench)
    await bench.index.replace(InstanceRecord(evolve(result.instance, **change), attributes))
    (difference,) = await _differences(bench)
    assert difference.kind is DifferenceKind.DIFFERS
    assert detail in difference.detail


async def test_verification_compares_attributes(bench, dataset):
    result = await bench.send(bench.archive(), dataset())
    (attributes,) = await _snapshot(bench)
    attributes = {**attributes, tag_of("InstanceNumber"): ("9",)}
    await bench.index.replace(InstanceRecord(result.instance, attributes))
    (difference,) = await _differences(bench)
    assert difference.detail == "InstanceNumber is '9', the object has '1'"
    assert str(difference).startswith("differs  1.2.3/")
