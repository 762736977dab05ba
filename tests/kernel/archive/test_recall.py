"""Objects that are not online: recalled for whoever opens them, and asked for together."""

from contextlib import suppress

import anyio
import pytest
from pacs_memory_archive import MemoryStore

from pacs_core.archive import ContentCheck, rebuild_index, recalling, verify_index
from pacs_core.contracts import (
    Availability,
    IngestOutcome,
    Level,
    NotOnlineError,
    Query,
    SingleValue,
    UidList,
    dimse_error_of,
    http_status_of,
)
from pacs_core.dataset import tag_of
from pacs_core.dimse import CommandField

pytestmark = pytest.mark.anyio

STUDY = tag_of("StudyInstanceUID")
COUNT = 5


class Robot(MemoryStore):
    """A store whose tapes come slowly, or not at all."""

    def __init__(self):
        super().__init__(always_online=False)
        self.seconds = 0.0
        self.broken = set()
        self.asked = 0

    async def availability(self, keys):
        self.asked += 1
        return await super().availability(keys)

    async def recall(self, keys):
        self.recalls.append(tuple(keys))
        for key in keys:
            await anyio.sleep(self.seconds)
            if key in self.broken:
                await anyio.sleep_forever()
            if self.away.pop(key, None) in {Availability.NEARLINE, None}:
                yield key


@pytest.fixture
async def bench(make_bench, dataset):
    """An archive with a study of some instances, all of them away."""
    bench = make_bench(Robot())
    for number in range(COUNT):
        uid = f"1.2.3.{number}"
        await bench.send(bench.archive(), dataset(uid), uid, size=1000)
    bench.store.send_away(await bench.rows())
    return bench


def study(uid="1.2.3"):
    return Query(Level.STUDY, (SingleValue(STUDY, uid),))


async def instances(bench):
    return [row async for row in bench.index.instances(study())]


async def test_whoever_opens_an_object_waits_for_it(bench, dataset):
    archive, (first, second, *_) = bench.archive(), await instances(bench)
    bench.store.seconds = 0.01
    async with await archive.open(first) as reader:
        data = await reader.read(first.dataset_offset, first.size)
        assert data == dataset(first.identity.sop_instance_uid)
    reader, head = await archive.open_and_read(second, 8)
    async with reader:
        assert head == data[:8]
    assert bench.store.recalls == [(first.key,), (second.key,)]


async def test_headers_frames_and_datasets_are_recalled(bench):
    archive, rows = bench.archive(), await instances(bench)
    assert (await archive.header(rows[0])).elements
    assert (await archive.read_dataset(rows[1])).Modality == "CT"
    assert bench.store.recalls == [(rows[0].key,), (rows[1].key,)]


@pytest.mark.parametrize("where", [Availability.OFFLINE, Availability.UNAVAILABLE])
async def test_nobody_waits_for_what_no_robot_brings(bench, where):
    first = (await instances(bench))[0]
    bench.store.send_away([first.key], where)
    with pytest.raises(NotOnlineError, match=f"object {first.key} is {where.value}"):
        await bench.archive().open(first)
    assert bench.store.recalls == []


async def test_what_does_not_come_is_given_up(bench):
    archive, (first, second, *_) = bench.archive(recall_timeout=0.05), await instances(bench)
    bench.store.broken = {first.key}
    with pytest.raises(
        NotOnlineError, match=r"is NEARLINE: it did not come when recalled"
    ) as error:
        await archive.open(first)
    with pytest.raises(NotOnlineError, match="given up a moment ago"):
        await archive.open(first)
    assert bench.store.recalls == [(first.key,)]
    async with await archive.open(second):
        pass
    assert dimse_error_of(error.value, CommandField.C_STORE_RQ).status == 0xA700
    assert dimse_error_of(error.value, CommandField.C_MOVE_RQ).status == 0xA702
    assert http_status_of(error.value) == 503


async def test_many_are_asked_for_together(bench):
    archive, keys = bench.archive(), [row.key for row in await instances(bench)]
    seen = []

    async def report(progress):
        seen.append((progress.online, progress.waiting))

    progress = await archive.recall(study(), report)
    assert (progress.online, progress.waiting, progress.failed) == (COUNT, 0, 0)
    assert seen == [(0, COUNT)]
    assert [sorted(each) for each in bench.store.recalls] == [sorted(keys)]
    assert (await archive.recall(study(), report)).online == 0
    assert len(bench.store.recalls) == 1


async def test_a_recall_goes_on_as_long_as_something_comes(bench):
    bench.store.seconds = 0.4
    keys = [row.key for row in await instances(bench)]
    bench.store.broken = {keys[-1]}
    progress = await bench.archive(recall_timeout=1.2).recall(study())
    assert (progress.online, progress.failed) == (COUNT - 1, 1)


async def test_a_recall_can_be_given_up(bench):
    bench.store.broken = set(await bench.rows())
    with anyio.move_on_after(0.05) as scope:
        await bench.archive().recall(study())
    assert scope.cancelled_caught


async def test_a_report_that_fails_ends_the_recall(bench):
    bench.store.broken = set(await bench.rows())

    async def report(_progress):
        raise ConnectionError

    with suppress(BaseExceptionGroup), pytest.raises((ConnectionError, BaseExceptionGroup)):
        await bench.archive().recall(study(), report)


async def test_the_least_available_speaks_for_all(bench):
    archive, keys = bench.archive(), [row.key for row in await instances(bench)]
    assert await archive.availability(study()) is Availability.NEARLINE
    bench.store.send_away(keys[:1], Availability.OFFLINE)
    assert await archive.availability(study()) is Availability.OFFLINE
    await archive.recall(study())
    assert await archive.availability(study()) is Availability.OFFLINE
    bench.store.away.clear()
    assert await archive.availability(study()) is Availability.ONLINE
    assert await archive.availability(study("9.9")) is Availability.UNAVAILABLE


async def test_each_has_its_own_in_one_question(bench, dataset):
    archive, stored = bench.archive(), await instances(bench)
    for each in stored:
        assert each.identity.study_instance_uid == stored[0].identity.study_instance_uid
    bench.store.away.clear()
    bench.store.send_away([stored[0].key], Availability.OFFLINE)
    bench.store.send_away([stored[1].key])
    bench.store.asked = 0
    paths = [
        (each.identity.study_instance_uid, each.identity.series_instance_uid, uid)
        for each in stored
        for uid in [each.identity.sop_instance_uid]
    ]
    asked = [*paths[::-1], (*paths[0][:2], "9.9"), ("9.8", *paths[0][1:])]
    query = Query(Level.IMAGE, (UidList(tag_of("SOPInstanceUID"), tuple(p[-1] for p in asked)),))
    online = [Availability.ONLINE] * (COUNT - 2)
    expected = [*online, Availability.NEARLINE, Availability.OFFLINE]
    expected += [Availability.UNAVAILABLE] * 2
    assert list(await archive.availabilities(query, asked)) == expected
    assert bench.store.asked == 1
    studies = [paths[0][:1], ("9.9",)]
    query = Query(Level.STUDY, (UidList(STUDY, tuple(uid for (uid,) in studies)),))
    found = await archive.availabilities(query, studies)
    assert list(found) == [Availability.OFFLINE, Availability.UNAVAILABLE]


async def test_a_store_that_has_all_online_is_not_asked(make_bench, dataset):
    bench = make_bench(Robot())
    bench.store.always_online = True
    archive = bench.archive()
    await bench.send(archive, dataset())
    assert await archive.availability(study()) is Availability.ONLINE
    assert (await archive.recall(study())).online == 0
    assert (bench.store.asked, bench.store.recalls) == (0, [])


async def test_what_is_sent_again_is_compared_with_what_was_recalled(bench, dataset):
    result = await bench.send(bench.archive(), dataset("1.2.3.0"), "1.2.3.0")
    assert result.outcome is IngestOutcome.IDENTICAL
    other = await bench.send(bench.archive(), dataset("1.2.3.0", b"other!"), "1.2.3.0")
    assert other.outcome is IngestOutcome.SET_ASIDE
    assert len(bench.store.recalls) == 1


async def test_what_cannot_be_compared_is_not_acknowledged(bench, dataset):
    bench.store.broken = set(await bench.rows())
    with pytest.raises(NotOnlineError):
        await bench.send(bench.archive(recall_timeout=0.05), dataset("1.2.3.0"), "1.2.3.0")


async def test_verification_recalls_nothing(bench, tmp_path):
    store = recalling(bench.store)
    assert [each async for each in verify_index(store, bench.index)] == []
    check = ContentCheck(store, bench.index, bench.trail, tmp_path / "progress")
    assert [each async for each in check.run(lambda _: None)] == []
    assert (check.progress.checked, check.progress.unchecked) == (0, COUNT)
    first = (await instances(bench))[0]
    await bench.store.delete(first.key)
    found = [each async for each in verify_index(store, bench.index)]
    assert [(each.kind.value, each.key) for each in found] == [("missing", first.key)]
    assert bench.store.recalls == []


async def test_metadata_are_prepared_of_what_is_online_only(bench):
    preparation, (first, second, *_) = bench.archive().preparation, await instances(bench)
    del bench.store.away[first.key]
    assert await preparation.source.make(first)
    assert await preparation.source.make(second) is None
    assert bench.store.recalls == []


async def test_a_rebuild_recalls_everything(bench):
    rows = await bench.rows()
    report = await rebuild_index(recalling(bench.store), bench.index)
    assert (report.indexed, report.unreadable) == (COUNT, 0)
    assert await bench.rows() == rows
