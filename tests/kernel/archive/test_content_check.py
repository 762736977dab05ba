"""All datasets read again: what is damaged is found once, however often it is interrupted."""

import json
import time
from contextlib import aclosing

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from pacs_core.archive import ContentCheck, DifferenceKind
from pacs_core.archive.pacing import ReadPace
from pacs_core.contracts import InstancePath

from .conftest import ORIGIN

pytestmark = pytest.mark.anyio

UIDS = [f"1.2.3.{number}" for number in range(1, 13)]


async def filled(bench, dataset, decay, damaged=()):
    archive = bench.archive()
    for number, uid in enumerate(UIDS):
        result = await bench.send(archive, dataset(uid, InstanceNumber=str(number)), uid)
        if uid in damaged:
            decay(bench, result.instance.key, lambda data: data[:-1] + b"!")
    return archive


def check(bench, path, rate=0.0):
    return ContentCheck(bench.store, bench.index, bench.trail, path, rate)


async def run(checking, stop_after=None):
    """Return what is named, and how many were read; interrupted after so many."""
    steps, found = [], []

    def advance(number):
        steps.append(number)
        if len(steps) == stop_after:
            raise KeyboardInterrupt

    try:
        async with aclosing(checking.run(advance)) as differences:
            found.extend([difference async for difference in differences])
    except KeyboardInterrupt:
        pass
    return found, len(steps)


async def test_what_is_damaged_is_named_and_recorded(bench, dataset, decay, tmp_path):
    await filled(bench, dataset, decay, UIDS[3:5])
    checking = check(bench, tmp_path / "state.json")
    found, steps = await run(checking)
    assert [(d.kind, d.sop_instance_uid) for d in found] == [
        (DifferenceKind.DAMAGED, uid) for uid in UIDS[3:5]
    ]
    assert steps == checking.progress.checked == len(UIDS)
    assert [event.kind.value for event in bench.trail.events] == ["instance-damaged"] * 2
    assert not (tmp_path / "state.json").exists()


@pytest.mark.parametrize("stop_after", range(1, len(UIDS) + 1))
async def test_it_goes_on_where_it_was_interrupted(bench, dataset, decay, tmp_path, stop_after):
    await filled(bench, dataset, decay, [UIDS[0], UIDS[6], UIDS[11]])
    first = check(bench, tmp_path / "state.json")
    await run(first, stop_after)
    second = check(bench, tmp_path / "state.json")
    assert second.resume() is (stop_after > 1)
    await run(second)
    assert second.progress.checked in (len(UIDS), len(UIDS) + 1)
    assert len({*second.progress.damaged}) == 3


async def test_what_it_had_come_to_may_be_deleted(bench, dataset, decay, origin, tmp_path):
    path = tmp_path / "state.json"
    archive = await filled(bench, dataset, decay)
    keys = [row.key async for row in check(bench, path)._instances()]
    path.write_text(json.dumps({"checked": 6, "marks": keys[2:6]}))
    for uid in UIDS[4:6]:
        await archive.delete(InstancePath("1.2.3", uid), origin)
    again = check(bench, path)
    assert again.resume()
    assert (await run(again))[1] == len(UIDS) - 6
    path.write_text(json.dumps({"checked": 6, "marks": ["gone"]}))
    again = check(bench, path)
    assert again.resume()
    assert (await run(again))[1] == len(UIDS) - 2


@pytest.mark.parametrize("state", ["", "[]", "{", '{"marks": 1, "other": 2}', "\0"])
async def test_a_state_of_no_use_begins_anew(bench, dataset, decay, tmp_path, state, caplog):
    await filled(bench, dataset, decay)
    (tmp_path / "state.json").write_text(state)
    checking = check(bench, tmp_path / "state.json")
    assert not checking.resume()
    assert "begins anew" in caplog.text
    assert (await run(checking))[1] == len(UIDS)


async def test_what_is_replaced_while_it_is_read_is_not_named(bench, dataset, decay, tmp_path):
    archive = await filled(bench, dataset, decay, UIDS[:1])
    checking = check(bench, tmp_path / "state.json")
    located = bench.index.locate

    async def heal_first(*arguments):
        bench.index.locate = located
        await bench.send(archive, dataset(UIDS[0], InstanceNumber="0"), UIDS[0])
        return await located(*arguments)

    bench.index.locate = heal_first
    assert (await run(checking))[0] == []


async def test_what_has_no_digest_is_counted(bench, dataset, tmp_path):
    await bench.add(await bench.put(dataset()))
    checking = check(bench, tmp_path / "state.json")
    assert (await run(checking))[0] == []
    assert (checking.progress.checked, checking.progress.unchecked) == (0, 1)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=10))
def test_the_rate_is_kept(sizes):
    rate = 1e6

    async def main():
        pace, began = ReadPace(rate), time.monotonic()
        for size in sizes:
            await pace(size)
        # What was passed took at least as long as it should.
        assert time.monotonic() - began >= sum(sizes) / rate - 0.001

    anyio.run(main)


async def test_without_a_rate_nothing_is_waited_for():
    await ReadPace(0.0)(1 << 60)


async def test_an_instance_is_examined_by_itself(bench, dataset, decay):
    """What is damaged is recorded; what was deleted while it was read is not."""
    archive = await filled(bench, dataset, decay, [UIDS[1]])
    whole, damaged, gone = list((await bench.rows()).values())[:3]
    assert await archive.examine(whole, ORIGIN) == ""
    assert bench.trail.events == []
    assert "not those that were stored" in await archive.examine(damaged, ORIGIN)
    (event,) = bench.trail.events
    assert (event.kind.value, event.origin) == ("instance-damaged", ORIGIN)
    read = []

    async def delete_meanwhile(size):
        if not read:
            await archive.delete(gone.identity.path, ORIGIN)
        read.append(size)

    decay(bench, gone.key, lambda data: data[:-1] + b"!")
    assert await archive.examine(gone, ORIGIN, delete_meanwhile) == ""
    assert sum(read) == gone.size - gone.dataset_offset
    assert [each.kind.value for each in bench.trail.events].count("instance-damaged") == 1


async def test_an_archive_tells_what_differs(bench, dataset, decay):
    archive = await filled(bench, dataset, decay)
    assert [each async for each in archive.differences()] == []
    lost = next(iter(await bench.rows()))
    await bench.store.delete(lost)
    (found,) = [each async for each in archive.differences()]
    assert (found.kind, found.key, found.is_fault) == (DifferenceKind.MISSING, lost, True)
