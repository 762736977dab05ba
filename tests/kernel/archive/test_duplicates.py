"""Instances under a SOP Instance UID that is taken already."""

import hashlib

import pytest

from pacs_core.archive import DuplicatePolicy
from pacs_core.contracts import (
    AuditFailedError,
    DuplicateInstanceError,
    IngestOutcome,
    InstancePath,
    InvalidInstanceError,
)

pytestmark = pytest.mark.anyio

KEEP, REPLACE, REJECT = DuplicatePolicy
LONG = bytes(range(256)) * 4000


@pytest.mark.parametrize("policy", DuplicatePolicy)
@pytest.mark.parametrize("size", [1000, 300_000])
async def test_the_same_again_is_acknowledged_and_not_written(bench, dataset, policy, size):
    archive = bench.archive(policy=policy)
    data = dataset(pixels=LONG)
    first = await bench.send(archive, data, size=size)
    again = await bench.send(archive, data, size=size + 1)
    assert again.outcome is IngestOutcome.IDENTICAL
    assert again.instance == first.instance
    assert len(await bench.objects()) == 1
    assert not bench.trail.events


DIFFERENCES = {
    "first byte of the pixels": lambda d: d(pixels=b"\xff" + LONG[1:]),
    "last byte": lambda d: d(pixels=LONG[:-1] + b"\0"),
    "longer": lambda d: d(pixels=LONG + b"ab"),
    "shorter": lambda d: d(pixels=LONG[:-2]),
    "header": lambda d: d(pixels=LONG, PatientName="Roe^Richard"),
    "appended element": lambda d: d(pixels=LONG) + b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0",
    "another series": lambda d: d(pixels=LONG, series="1.9.1"),
}


@pytest.mark.parametrize("difference", DIFFERENCES.values(), ids=DIFFERENCES)
@pytest.mark.parametrize("size", [1000, 300_000, 10_000_000])
async def test_keep_first_sets_other_content_aside_once(bench, dataset, difference, size):
    archive = bench.archive()
    data, other = dataset(pixels=LONG), difference(dataset)
    first = await bench.send(archive, data, size=size)
    for _ in range(3):
        result = await bench.send(archive, other, size=size)
        assert result.outcome is IngestOutcome.SET_ASIDE
        assert result.instance == first.instance
    assert await bench.served() == data
    assert sorted((await bench.datasets()).values()) == sorted([data, other])
    assert list(await bench.rows()) == [first.instance.key]


@pytest.mark.parametrize("difference", DIFFERENCES.values(), ids=DIFFERENCES)
async def test_replace_serves_the_newcomer_and_deletes_the_former(bench, dataset, difference):
    archive = bench.archive(policy=REPLACE)
    other = difference(dataset)
    first = await bench.send(archive, dataset(pixels=LONG), size=1000)
    result = await bench.send(archive, other, size=1000)
    assert result.outcome is IngestOutcome.REPLACED
    assert await bench.served() == other
    assert list((await bench.datasets()).values()) == [other]
    assert list(await bench.rows()) == [result.instance.key] != [first.instance.key]


async def test_the_beginning_of_what_is_stored_is_other_content(bench, dataset):
    archive = bench.archive()
    whole = DIFFERENCES["appended element"](dataset)
    await bench.send(archive, whole, size=1000)
    result = await bench.send(archive, dataset(pixels=LONG), size=1000)
    assert result.outcome is IngestOutcome.SET_ASIDE
    assert sorted((await bench.datasets()).values()) == sorted([dataset(pixels=LONG), whole])


async def test_replace_can_go_back_and_forth(bench, dataset):
    archive = bench.archive(policy=REPLACE)
    contents = [dataset(), dataset(pixels=b"ab")] * 3
    for data in contents:
        await bench.send(archive, data)
        assert await bench.served() == data
        assert len(await bench.objects()) == 1


async def test_reject_reads_no_further_than_the_difference(bench, dataset, chunks, origin):
    archive = bench.archive(policy=REJECT)
    await bench.send(archive, dataset(pixels=LONG))
    taken = []

    async def arriving():
        async for chunk in chunks(dataset(pixels=b"\xff" + LONG[1:]), 1000):
            taken.append(len(chunk))
            yield chunk

    with pytest.raises(DuplicateInstanceError, match=r"1\.2\.3\.4"):
        await archive.ingest(
            arriving(),
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid="1.2.3.4",
            origin=origin,
        )
    assert sum(taken) == 1000
    assert list((await bench.datasets()).values()) == [dataset(pixels=LONG)]


@pytest.mark.parametrize(
    ("policy", "decision", "outcome"),
    [
        (KEEP, "set-aside", "warning"),
        (REPLACE, "replaced", "warning"),
        (REJECT, "rejected", "failure"),
    ],
)
async def test_every_decision_is_recorded(bench, dataset, policy, decision, outcome):
    archive = bench.archive(policy=policy)
    first = await bench.send(archive, dataset())
    try:
        await bench.send(archive, dataset(pixels=b"ab"))
    except DuplicateInstanceError:
        assert policy is REJECT
    (event,) = bench.trail.events
    assert event.kind.value == "duplicate"
    assert event.outcome.value == outcome
    assert event.origin.calling_ae_title == "MODALITY"
    assert event.details["decision"] == decision
    assert event.details["existing_key"] == first.instance.key
    assert event.details["sop_instance_uid"] == "1.2.3.4"
    newcomer = event.details["newcomer_key"]
    assert newcomer in await bench.objects() if policy is not REJECT else newcomer is None


async def test_what_cannot_be_recorded_is_not_replaced(bench, dataset):
    archive = bench.archive(policy=REPLACE)
    await bench.send(archive, dataset())
    bench.trail.failure = AuditFailedError("no audit")
    with pytest.raises(AuditFailedError):
        await bench.send(archive, dataset(pixels=b"ab"))
    assert await bench.served() == dataset()
    assert list((await bench.datasets()).values()) == [dataset()]


async def test_setting_aside_fails_if_it_cannot_be_recorded_and_can_be_tried_again(bench, dataset):
    archive = bench.archive()
    await bench.send(archive, dataset())
    bench.trail.failure = AuditFailedError("no audit")
    for _ in range(2):
        with pytest.raises(AuditFailedError):
            await bench.send(archive, dataset(pixels=b"ab"))
    bench.trail.failure = None
    result = await bench.send(archive, dataset(pixels=b"ab"))
    assert result.outcome is IngestOutcome.SET_ASIDE
    assert await bench.served() == dataset()
    assert len(await bench.objects()) == 2


async def test_what_was_set_aside_before_stays_if_recording_fails(bench, dataset):
    archive = bench.archive()
    await bench.send(archive, dataset())
    await bench.send(archive, dataset(pixels=b"ab"))
    bench.trail.failure = AuditFailedError("no audit")
    with pytest.raises(AuditFailedError):
        await bench.send(archive, dataset(pixels=b"ab"))
    assert dataset(pixels=b"ab") in (await bench.datasets()).values()


@pytest.mark.parametrize("policy", [KEEP, REPLACE])
async def test_a_truncated_newcomer_is_refused_whatever_is_stored(bench, dataset, policy):
    archive = bench.archive(policy=policy)
    await bench.send(archive, dataset(pixels=LONG))
    for data in (dataset(pixels=LONG), dataset(pixels=b"\xff" + LONG)):
        with pytest.raises(InvalidInstanceError, match="truncated"):
            await bench.send(archive, data[:-1], size=1000)
    assert list((await bench.datasets()).values()) == [dataset(pixels=LONG)]


async def test_the_same_bytes_in_another_transfer_syntax_are_other_content(bench, dataset):
    archive = bench.archive()
    await bench.send(archive, dataset())
    private = await bench.send(archive, dataset(), syntax="1.2.840.10008.1.2.4.70")
    assert private.outcome is IngestOutcome.SET_ASIDE
    assert len(await bench.objects()) == 2


async def test_a_newcomer_takes_the_place_of_a_lost_object(bench, dataset):
    archive = bench.archive(policy=REJECT)
    first = await bench.send(archive, dataset())
    await bench.store.delete(first.instance.key)
    result = await bench.send(archive, dataset(pixels=b"ab"))
    assert result.outcome is IngestOutcome.STORED
    assert await bench.served() == dataset(pixels=b"ab")


async def test_a_decayed_variant_does_not_swallow_its_newcomer(bench, dataset):
    good, decayed = dataset(pixels=b"ab"), dataset(pixels=b"ax")
    digest = hashlib.sha256(b"1.2.840.10008.1.2.1\0" + good).hexdigest()[:32]
    await bench.add(await bench.put(decayed, variant=digest))
    result = await bench.send(bench.archive(), good)
    assert result.outcome is IngestOutcome.SET_ASIDE
    assert sorted((await bench.datasets()).values()) == sorted([good, decayed])


async def test_an_identical_orphan_is_cleared_away(bench, dataset):
    await bench.put(dataset())
    result = await bench.send(bench.archive(), dataset())
    assert result.outcome is IngestOutcome.STORED
    assert list(await bench.objects()) == [result.instance.key]
    assert await bench.served() == dataset()


async def test_an_orphan_in_a_shared_store_may_be_anothers_and_stays(bench, dataset):
    bench.store.shared = True
    orphan = await bench.put(dataset())
    result = await bench.send(bench.archive(), dataset())
    assert result.outcome is IngestOutcome.STORED
    assert set(await bench.objects()) == {orphan.key, result.instance.key}


async def test_an_orphan_of_other_content_stays_for_verification(bench, dataset):
    orphan = await bench.put(dataset(pixels=b"ab"))
    result = await bench.send(bench.archive(), dataset())
    assert result.outcome is IngestOutcome.STORED
    assert set(await bench.objects()) == {orphan.key, result.instance.key}
    assert await bench.served() == dataset()


async def test_received_is_told_of_duplicates_and_stored_of_what_is_served_anew(bench, dataset):
    archive = bench.archive(policy=REPLACE)
    async with bench.listening() as listener:
        for pixels in (b"ab", b"ab", b"cd"):
            await bench.send(archive, dataset(pixels=pixels))
    kinds = [event.kind.value for event in listener.events]
    assert kinds == ["received", "stored", "received", "received", "stored"]
    assert listener.events[-1].instance == await bench.index.locate(
        InstancePath("1.2.3", "1.2.3.4")
    )
