"""Reads that are checked: what comes out is what was stored, or an error."""

import anyio
import pytest
from hypothesis import given, settings, strategies as st
from xxhash import xxh3_128_digest

from pacs_core.archive import VerifyReads
from pacs_core.archive.verified_reads import ReadChecks
from pacs_core.contracts import (
    AuditFailedError,
    DamagedObjectError,
    InstanceIdentity,
    ObjectReader,
    StoredInstance,
)

pytestmark = pytest.mark.anyio

META = bytes(range(50))
LONG = bytes(range(256)) * 4000
WHO = InstanceIdentity("1.2", "1.3", "1.4", "1.5")


class Bytes(ObjectReader):
    """An open object in memory."""

    def __init__(self, data):
        self.data, self.size, self.closed = data, len(data), False

    async def read(self, offset, length):
        await anyio.lowlevel.checkpoint()
        return self.data[offset : offset + length]

    async def close(self):
        self.closed = True


def instance_of(dataset, digest=None):
    digest = xxh3_128_digest(dataset) if digest is None else digest
    return StoredInstance(WHO, "1.2", "key", len(META) + len(dataset), len(META), digest)


def checks(trail, policy=VerifyReads.ALWAYS, ahead=0):
    return ReadChecks(policy, trail, ahead)


@pytest.fixture
def trail(bench):
    return bench.trail


class Silent:
    async def record(self, event):
        pass


reads = st.lists(st.tuples(st.integers(0, 320), st.integers(0, 320)), max_size=8)


@settings(max_examples=200)
@given(
    dataset=st.binary(min_size=1, max_size=250),
    asked=reads,
    together=st.booleans(),
    position=st.integers(0, 249),
    flip=st.integers(0, 255),
    ahead=st.sampled_from([0, 10_000]),
)
def test_what_is_read_in_any_order_is_what_was_stored(
    dataset, asked, together, position, flip, ahead
):
    position %= len(dataset)
    decayed = bytearray(dataset)
    decayed[position] ^= flip
    sound = META + dataset
    answers = []

    async def ask(reader, offset, length):
        try:
            answers.append((offset, length, await reader.read(offset, length)))
        except DamagedObjectError:
            assert flip

    async def main():
        inner = Bytes(META + bytes(decayed))
        try:
            reader = await checks(Silent(), ahead=ahead).check(instance_of(dataset), inner)
        except DamagedObjectError:
            assert flip
            assert ahead
            assert inner.closed
            return
        assert not (flip and ahead)
        if together:
            async with anyio.create_task_group() as group:
                for offset, length in asked:
                    group.start_soon(ask, reader, offset, length)
        else:
            for offset, length in asked:
                await ask(reader, offset, length)

    anyio.run(main)
    # A part from the start on may be handed out before its end is known, but never all of it.
    for offset, length, data in answers:
        if not flip:
            assert data == sound[offset : offset + length]
        else:
            assert offset + len(data) < len(sound)


@pytest.mark.parametrize("size", [1, 7, 100, 249, 250, 251, 10_000])
async def test_the_last_part_of_what_is_damaged_is_withheld(trail, size):
    dataset = bytes(range(250))
    reader = Bytes(META + b"!" + dataset[1:])
    verified = await checks(trail).check(instance_of(dataset), reader)
    handed_out = b""
    try:
        async for chunk in verified.chunks(len(META), size):
            handed_out += chunk
    except DamagedObjectError as error:
        assert "not those that were stored" in str(error)  # noqa: PT017 - what came before counts
    assert len(handed_out) < len(dataset)
    with pytest.raises(DamagedObjectError):
        await verified.read(len(META), 1)
    (event,) = trail.events
    assert (event.kind.value, event.outcome.value) == ("instance-damaged", "failure")
    assert event.details["sop_instance_uid"] == "1.4"


async def test_an_object_of_another_size_is_refused_under_every_policy(trail):
    for policy in VerifyReads:
        for data in (b"ab", b"abcd", b""):
            reader = Bytes(META + data)
            with pytest.raises(DamagedObjectError, match="of 53 bytes"):
                await checks(trail, policy).check(instance_of(b"abc"), reader)
            assert reader.closed


async def test_without_a_digest_nothing_is_checked_but_the_size(trail):
    reader = Bytes(META + b"abc")
    assert await checks(trail).check(instance_of(b"xyz", b""), reader) is reader


async def test_off_checks_nothing_but_the_size(trail):
    reader = Bytes(META + b"abc")
    assert await checks(trail, VerifyReads.OFF).check(instance_of(b"xyz"), reader) is reader


async def test_some_of_many_reads_are_sampled(trail):
    found = 0
    for _ in range(600):
        try:
            await checks(trail, VerifyReads.SAMPLED, 1000).check(
                instance_of(b"xyz"), Bytes(META + b"abc")
            )
        except DamagedObjectError:
            found += 1
    assert 0 < found < 300


async def test_a_head_that_was_read_is_not_read_again(trail):
    class Once(Bytes):
        async def read(self, offset, length):
            assert offset >= len(META) + 100
            return await super().read(offset, length)

    dataset = bytes(range(250))
    reader = Once(META + dataset)
    assert await checks(trail, ahead=1000).check(
        instance_of(dataset), reader, len(META), dataset[:100]
    )
    with pytest.raises(DamagedObjectError):
        await checks(trail, ahead=1000).check(
            instance_of(dataset), Once(META + dataset), len(META), b"!" + dataset[1:100]
        )


async def test_what_the_medium_has_lost_is_reported(trail):
    class Bad(Bytes):
        async def read(self, offset, length):
            raise OSError(5, "Input/output error")

    with pytest.raises(DamagedObjectError, match="cannot be read"):
        await checks(trail, ahead=1000).check(instance_of(b"abc"), Bad(META + b"abc"))
    assert [event.kind.value for event in trail.events] == ["instance-damaged"]


async def test_damage_that_cannot_be_recorded_is_damage_nonetheless(trail, caplog):
    trail.failure = AuditFailedError("no audit")
    with pytest.raises(DamagedObjectError):
        await checks(trail, ahead=1000).check(instance_of(b"abc"), Bytes(META + b"abd"))
    assert "was not recorded" in caplog.text


@pytest.mark.parametrize("door", ["open", "open_and_read"])
@pytest.mark.parametrize("size", [100, len(LONG)])
async def test_the_archive_hands_out_nothing_that_is_damaged(bench, dataset, decay, door, size):
    archive = bench.archive()
    result = await bench.send(archive, dataset(pixels=LONG[:size]), size=10_000)
    decay(bench, result.instance.key, lambda data: data[:-1] + b"!")
    with pytest.raises(DamagedObjectError):
        await (
            archive.open(result.instance)
            if door == "open"
            else archive.open_and_read(result.instance, 1000)
        )
    unchecked = bench.archive(verify_reads=VerifyReads.OFF)
    async with await unchecked.open(result.instance) as reader:
        assert (await reader.read(0, 10**9))[-1:] == b"!"
