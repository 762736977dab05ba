"""Damaged objects, and what comes again: it takes their place under every policy."""

import errno
from contextlib import suppress

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from pacs_core.archive import DuplicatePolicy
from pacs_core.contracts import (
    AuditFailedError,
    DamagedObjectError,
    DuplicateInstanceError,
    IngestOutcome,
    InstancePath,
    InvalidInstanceError,
    ObjectReader,
)

pytestmark = pytest.mark.anyio

KEEP, REPLACE, REJECT = DuplicatePolicy
LONG = bytes(range(256)) * 4000
DECAY = {
    "flipped byte": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "flipped in the header": lambda data: data.replace(b"Doe^Jane", b"Doe^Jand"),
    "cut short": lambda data: data[:-1],
    "nothing but file meta": lambda data: data[:600],
    "empty": lambda data: b"",
    "zeroed block": lambda data: data[:4096] + bytes(4096) + data[8192:],
    "zeroed start": lambda data: bytes(4096) + data[4096:],
    "longer": lambda data: data + b"\0",
    "file meta alone": lambda data: bytes(200) + data[200:],
}
SHOWS_IN_META_ALONE = {"file meta alone"}


@pytest.fixture(params=DECAY)
def damaged(request):
    return request.param


@pytest.mark.parametrize("policy", DuplicatePolicy)
async def test_the_original_sent_again_takes_its_place(bench, dataset, decay, policy, damaged):
    data, archive = dataset(pixels=LONG), bench.archive(policy=policy)
    first = await bench.send(archive, data, size=10_000)
    decay(bench, first.instance.key, DECAY[damaged])
    again = await bench.send(archive, data, size=10_000)
    assert again.outcome is IngestOutcome.REPLACED
    assert await bench.served() == data
    assert list((await bench.datasets()).values()) == [data]
    (event,) = bench.trail.events
    assert (event.kind.value, event.outcome.value) == ("instance-healed", "success")
    assert event.details["restored"] is True
    assert event.details["existing_key"] == first.instance.key
    assert event.details["newcomer_key"] == again.instance.key
    assert (await bench.send(archive, data)).outcome is IngestOutcome.IDENTICAL


@pytest.mark.parametrize("policy", DuplicatePolicy)
async def test_other_content_takes_its_place_and_the_rest_is_kept(
    bench, dataset, decay, policy, damaged
):
    data, other = dataset(pixels=LONG), dataset(pixels=LONG, PatientName="Roe")
    archive = bench.archive(policy=policy)
    first = await bench.send(archive, data, size=10_000)
    decay(bench, first.instance.key, DECAY[damaged])
    with suppress(DuplicateInstanceError):
        await bench.send(archive, other, size=10_000)
    kept = policy is not REPLACE
    if damaged in SHOWS_IN_META_ALONE:
        # What is served is whole.
        assert await bench.served() == (data if kept else other)
        return
    assert await bench.served() == other
    assert len(await bench.objects()) == 2
    (event,) = bench.trail.events
    assert (event.kind.value, event.outcome.value) == ("instance-healed", "warning")
    assert event.details["restored"] is False


async def test_objects_that_changed_places_heal_both(bench, dataset, decay):
    archive = bench.archive()
    contents = {uid: dataset(uid, pixels=uid.encode() * 100) for uid in ("1.2.3.4", "1.2.3.5")}
    keys = [(await bench.send(archive, contents[uid], uid)).instance.key for uid in contents]
    objects = bench.store._objects
    objects[keys[0]], objects[keys[1]] = objects[keys[1]], objects[keys[0]]
    for uid, data in contents.items():
        assert (await bench.send(archive, data, uid)).outcome is IngestOutcome.REPLACED
        assert await bench.served(uid) == data
    assert sorted((await bench.datasets()).values()) == sorted(contents.values())


async def test_what_equals_decayed_bytes_is_what_is_served(bench, dataset, decay):
    """It was received as such, and acknowledged."""
    archive = bench.archive()
    first = await bench.send(archive, dataset(pixels=b"ab"))
    decay(bench, first.instance.key, lambda data: data[:-2] + b"cd")
    again = await bench.send(archive, dataset(pixels=b"cd"))
    assert again.outcome is IngestOutcome.REPLACED
    assert again.instance.digest != first.instance.digest
    assert await bench.served() == dataset(pixels=b"cd")


@pytest.mark.parametrize("policy", DuplicatePolicy)
async def test_what_is_whole_is_not_replaced_by_other_content(bench, dataset, policy):
    archive = bench.archive(policy=policy)
    await bench.send(archive, dataset())
    with suppress(DuplicateInstanceError):
        await bench.send(archive, dataset(pixels=b"ab"))
    assert await bench.served() == (dataset(pixels=b"ab") if policy is REPLACE else dataset())
    assert [event.kind.value for event in bench.trail.events] == ["duplicate"]


async def test_a_cut_newcomer_takes_no_place(bench, dataset, decay):
    archive, data = bench.archive(), dataset(pixels=LONG)
    first = await bench.send(archive, data, size=10_000)
    decay(bench, first.instance.key, DECAY["flipped byte"])
    before = await bench.objects()
    with pytest.raises(InvalidInstanceError):
        await bench.send(archive, data[:-1], size=10_000)
    assert await bench.objects() == before


async def test_what_cannot_be_recorded_heals_nothing(bench, dataset, decay):
    archive, data = bench.archive(), dataset(pixels=LONG)
    first = await bench.send(archive, data, size=10_000)
    decay(bench, first.instance.key, DECAY["flipped byte"])
    before = await bench.objects()
    bench.trail.failure = AuditFailedError("no audit")
    with pytest.raises(AuditFailedError):
        await bench.send(archive, data, size=10_000)
    assert await bench.objects() == before
    assert await bench.rows() == {first.instance.key: first.instance}


async def test_a_damaged_object_set_aside_does_not_swallow_its_newcomer(bench, dataset, decay):
    archive, other = bench.archive(), dataset(pixels=b"ab")
    first = await bench.send(archive, dataset())
    await bench.send(archive, other)
    (aside,) = set(await bench.objects()) - {first.instance.key}
    decay(bench, aside, lambda data: data[:-1] + b"!")
    assert (await bench.send(archive, other)).outcome is IngestOutcome.SET_ASIDE
    assert other in (await bench.datasets()).values()


class Failing(ObjectReader):
    """Reads as a bad medium does: nothing beyond a point."""

    def __init__(self, reader, code, beyond):
        self.size, self._reader, self._error, self._beyond = reader.size, reader, code, beyond

    async def read(self, offset, length):
        if offset + length > self._beyond:
            raise OSError(self._error, "bad medium")
        return await self._reader.read(offset, length)

    async def close(self):
        await self._reader.close()


def failing(bench, monkeypatch, code, beyond):
    opened = bench.store.open

    async def open_failing(key):
        return Failing(await opened(key), code, beyond)

    monkeypatch.setattr(bench.store, "open", open_failing)


@pytest.mark.parametrize("beyond", [0, 600_000])
async def test_an_object_on_a_bad_medium_is_healed(bench, dataset, monkeypatch, beyond):
    archive, data = bench.archive(), dataset(pixels=LONG)
    await bench.send(archive, data, size=10_000)
    with monkeypatch.context() as patch:
        failing(bench, patch, errno.EIO, beyond)
        assert (await bench.send(archive, data, size=10_000)).outcome is IngestOutcome.REPLACED
    assert await bench.served() == data


async def test_an_object_that_may_be_read_tomorrow_is_left_alone(bench, dataset, monkeypatch):
    archive, data = bench.archive(), dataset(pixels=LONG)
    await bench.send(archive, data, size=10_000)
    before = await bench.objects()
    with monkeypatch.context() as patch:
        failing(bench, patch, errno.EACCES, 0)
        with pytest.raises(OSError, match="bad medium"):
            await bench.send(archive, data, size=10_000)
    assert await bench.objects() == before


async def test_bytes_that_read_differently_each_time_are_not_written(bench, dataset, monkeypatch):
    """The newcomer is compared with what is stored, and then copied from it."""
    archive, data = bench.archive(), dataset(pixels=LONG)
    await bench.send(archive, data, size=10_000)
    opened, reads = bench.store.open, []

    class Fickle(Failing):
        async def read(self, offset, length):
            reads.append(offset)
            found = await self._reader.read(offset, length)
            return found if len(reads) < 5 else bytes(len(found))

    async def open_fickle(key):
        return Fickle(await opened(key), 0, 0)

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "open", open_fickle)
        with pytest.raises(OSError, match="differently"):
            await bench.send(archive, data[:-1] + b"!", size=10_000)
    assert list((await bench.datasets()).values()) == [data]


@pytest.mark.parametrize("policy", DuplicatePolicy)
@pytest.mark.parametrize("pauses", range(4))
async def test_two_workers_heal_at_once(bench, dataset, decay, policy, pauses):
    data, other = dataset(pixels=LONG), dataset(pixels=LONG[:-2] + b"!!")
    bench.store.shared = True
    one, two = bench.archive(policy=policy), bench.archive(policy=policy)
    first = await bench.send(one, data, size=10_000)
    decay(bench, first.instance.key, DECAY["zeroed block"])

    async def send(archive, content, pauses):
        with suppress(DuplicateInstanceError):
            await bench.send(archive, content, size=10_000, pauses=pauses)

    async with anyio.create_task_group() as group:
        group.start_soon(send, one, data, 0)
        group.start_soon(send, two, data, pauses)
    assert await bench.served() == data
    decay(
        bench,
        (await bench.index.locate(InstancePath("1.2.3", "1.2.3.4"))).key,
        DECAY["zeroed block"],
    )
    async with anyio.create_task_group() as group:
        group.start_soon(send, one, data, 0)
        group.start_soon(send, two, other, pauses)
    assert await bench.served() in (data, other)
    if policy is KEEP:
        assert {data, other} <= set((await bench.datasets()).values())


@st.composite
def decays(draw, size):
    """What may have become of a dataset of so many bytes."""
    start = draw(st.integers(0, size - 1))
    length = draw(st.integers(1, size - start))
    how = draw(st.sampled_from(["flip", "zero", "cut", "append", "drop", "double"]))
    bit = 1 << draw(st.integers(0, 7))

    def change(data):
        before, block, after = data[:start], data[start : start + length], data[start + length :]
        return {
            "flip": before + bytes([block[0] ^ bit]) + block[1:] + after,
            "zero": before + bytes(length) + after,
            "cut": before,
            "append": data + block,
            "drop": before + after,
            "double": before + block + block + after,
        }[how]

    return change


@settings(max_examples=150)
@given(data=st.data(), policy=st.sampled_from(DuplicatePolicy), size=st.integers(1, 4000))
def test_whatever_has_become_of_it_the_original_heals_it(make_bench, dataset, data, policy, size):
    content = dataset(pixels=LONG[:200])
    change = data.draw(decays(len(content)))

    async def main():
        bench = make_bench()
        archive = bench.archive(policy=policy)
        stored = (await bench.send(archive, content, size=size)).instance
        sound = bench.store._objects[stored.key]
        offset = stored.dataset_offset
        bench.store._objects[stored.key] = decayed = sound[:offset] + change(sound[offset:])
        if decayed != sound:
            with pytest.raises(DamagedObjectError):
                await archive.open(stored)
        again = await bench.send(archive, content, size=size)
        expected = IngestOutcome.IDENTICAL if decayed == sound else IngestOutcome.REPLACED
        assert again.outcome is expected
        assert list((await bench.datasets()).values()) == [content]
        async with await archive.open(again.instance) as reader:
            assert await reader.read(again.instance.dataset_offset, 10**6) == content

    anyio.run(main)
