"""Deletion that a store does not carry out: nothing stays that a rebuild would serve."""

import anyio
import pytest

from pacs_core.archive import rebuild_index
from pacs_core.contracts import (
    Availability,
    DeletionError,
    DeletionReport,
    InstanceNotFoundError,
    InstancePath,
    Level,
    NotOnlineError,
    Query,
    SingleValue,
    http_status_of,
)
from pacs_core.dataset import tag_of, texts

from .conftest import ORIGIN

pytestmark = pytest.mark.anyio
PATH = InstancePath("1.2.3", "1.2.3.4")
STUDY = Query(Level.IMAGE, (SingleValue(tag_of("StudyInstanceUID"), "1.2.3"),))
NAME = tag_of("PatientName")


async def refuse(key):
    raise OSError(f"{key} is on a shelf")


async def test_what_the_store_cannot_delete_is_still_served(bench, dataset):
    """The row comes back with all that it had, so that the deletion can be made again."""
    archive = bench.archive()
    await bench.send(archive, dataset())
    before = await archive.locate(PATH)
    delete, bench.store.delete = bench.store.delete, refuse
    report = await archive.delete_all(STUDY, ORIGIN)
    assert report == DeletionReport({}, {PATH: f"OSError: {before.key} is on a shelf"})
    with pytest.raises(DeletionError, match=r"1 instance is still there: OSError: .* on a shelf"):
        report.raise_unless_deleted("study 1.2.3")
    assert await archive.locate(PATH) == before
    query = Query(Level.STUDY, STUDY.conditions, frozenset({NAME}))
    assert [texts(found, NAME) async for found in archive.search(query)] == [("Doe^Jane",)]
    failed = [e for e in bench.trail.events if e.outcome.value == "failure"]
    assert [event.details["reason"] for event in failed] == [f"{before.key} is on a shelf"]
    bench.store.delete = delete
    assert (await archive.delete_all(STUDY, ORIGIN)).studies == {"1.2.3": 1}
    assert await bench.objects() == {}


@pytest.mark.parametrize("comes", [True, False])
async def test_what_was_set_aside_and_is_offline_is_recalled_or_stops_the_deletion(
    bench, dataset, comes
):
    bench.store.always_online = False
    archive = bench.archive(recall_timeout=0.05)
    served = (await bench.send(archive, dataset())).instance.key
    await bench.send(archive, dataset(pixels=b"of another time"))
    (aside,) = (await bench.objects()).keys() - {served}
    away, open_object = {aside}, bench.store.open

    async def open_online(key):
        if key in away:
            raise NotOnlineError(key, Availability.NEARLINE)
        return await open_object(key)

    async def recall(keys):
        if not comes:
            await anyio.sleep_forever()
        away.difference_update(keys)
        for key in keys:
            yield key

    bench.store.open, bench.store.recall = open_online, recall
    report = await archive.delete_all(STUDY, ORIGIN)
    if comes:
        assert (report.instances, await bench.objects()) == (1, {})
        return
    assert list(report.failures) == [PATH]
    assert f"object {aside} is NEARLINE: it did not come" in report.failures[PATH]
    assert [e.outcome.value for e in bench.trail.events][-1] == "failure"
    assert await archive.locate(PATH) is not None
    away.clear()
    assert (await archive.delete_all(STUDY, ORIGIN)).instances == 1
    assert (await rebuild_index(bench.store, bench.index)).indexed == 0


def test_every_door_answers_alike_for_what_was_not_deleted():
    one, two = (InstancePath("1.2", f"1.2.{n}") for n in (1, 2))
    report = DeletionReport.merge(
        [DeletionReport({"1.2": 3}, {one: "busy"}), DeletionReport({"1.2": 1}, {two: "busy"})]
    )
    assert report.studies == {"1.2": 4}
    with pytest.raises(DeletionError, match=r"^2 instances are still there: busy$") as refused:
        report.raise_unless_deleted("study 1.2")
    assert http_status_of(refused.value) == 500
    with pytest.raises(InstanceNotFoundError, match=r"^there is no study 1\.2$") as missing:
        DeletionReport().raise_unless_deleted("study 1.2")
    assert http_status_of(missing.value) == 404
    DeletionReport({"1.2": 1}).raise_unless_deleted("study 1.2")
