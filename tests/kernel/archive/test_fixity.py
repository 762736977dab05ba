"""Digests: taken of what arrives, kept in index and object, found again by a rebuild."""

import pytest
from attrs import evolve
from hypothesis import given, strategies as st
from pacs_memory_archive import MemoryIndex
from xxhash import xxh3_128_digest

from pacs_core.archive import DuplicatePolicy, rebuild_index, verify_index
from pacs_core.archive.fixity import CREATOR_UID, ROOM, Fixity
from pacs_core.contracts import InstancePath, InstanceRecord
from pacs_core.dataset import file_meta, read_file_meta

pytestmark = pytest.mark.anyio

REPLACE = DuplicatePolicy.REPLACE
CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def meta_with(creator, information):
    return file_meta(
        CT, "1.2", EXPLICIT, private_creator_uid=creator, private_information=information
    )


@given(digest=st.binary(min_size=16, max_size=16), rank=st.integers(0, (1 << 64) - 1))
def test_what_an_object_says_about_itself_is_read_again(digest, rank):
    said = Fixity(digest, rank)
    packed = said.pack()
    assert len(packed) == len(ROOM)
    meta = file_meta(
        CT, "1.2", EXPLICIT, private_creator_uid=CREATOR_UID, private_information=packed
    )
    empty = file_meta(
        CT, "1.2", EXPLICIT, private_creator_uid=CREATOR_UID, private_information=ROOM
    )
    assert meta[: -len(ROOM)] == empty[: -len(ROOM)]
    assert Fixity.read(read_file_meta(meta + bytes(8))) == (said if packed != ROOM else Fixity())


@given(information=st.binary(max_size=40).filter(lambda data: len(data) % 2 == 0))
def test_private_information_of_others_says_nothing(information):
    meta = file_meta(
        CT, "1.2", EXPLICIT, private_creator_uid="1.2", private_information=information
    )
    assert read_file_meta(meta + bytes(8)).private_information == information
    assert Fixity.read(read_file_meta(meta + bytes(8))) == Fixity()


@pytest.mark.parametrize("size", [1, 64, 1000, 1_000_000])
async def test_row_and_object_have_the_digest_of_what_arrived(bench, dataset, size):
    data = dataset(pixels=bytes(range(256)) * 20)
    result = await bench.send(bench.archive(), data, size=size)
    assert result.instance.digest == xxh3_128_digest(data)
    assert (await bench.index.locate(InstancePath("1.2.3", "1.2.3.4"))).digest == xxh3_128_digest(
        data
    )
    (stored,) = (await bench.objects()).values()
    assert Fixity.read(read_file_meta(stored)) == Fixity(xxh3_128_digest(data))
    assert stored[result.instance.dataset_offset :] == data


async def rebuilt(bench):
    bench.index = MemoryIndex()
    await rebuild_index(bench.store, bench.index)
    return await bench.rows()


async def test_a_rebuild_keeps_the_digest_of_what_has_decayed_since(bench, dataset, decay):
    await bench.send(bench.archive(), dataset())
    rows = await bench.rows()
    (key,) = rows
    decay(bench, key, lambda data: data[:-1] + b"!")
    assert await rebuilt(bench) == rows


async def test_a_rebuild_takes_the_digest_of_an_object_that_has_none(bench, dataset):
    stored = await bench.put(dataset())
    digest = xxh3_128_digest(dataset())
    assert await rebuilt(bench) == {stored.key: evolve(stored, digest=digest)}
    assert [found async for found in verify_index(bench.store, bench.index)] == []


async def test_a_rebuild_serves_what_replaced_the_former_object(bench, dataset):
    """A crash may leave the former, under the key without a variant."""
    await bench.send(bench.archive(), dataset())
    former = await bench.objects()
    result = await bench.send(bench.archive(policy=REPLACE), dataset(pixels=b"ab"))
    bench.store._objects.update(former)
    assert list(await rebuilt(bench)) == [result.instance.key]
    assert await bench.served() == dataset(pixels=b"ab")


async def test_a_rebuild_leaves_aside_what_was_set_aside(bench, dataset):
    first = await bench.send(bench.archive(), dataset())
    await bench.send(bench.archive(), dataset(pixels=b"ab"))
    assert list(await rebuilt(bench)) == [first.instance.key]


async def test_verification_names_a_row_with_another_digest(bench, dataset):
    result = await bench.send(bench.archive(), dataset())
    await bench.index.replace(InstanceRecord(evolve(result.instance, digest=bytes(16))))
    found = [str(difference) async for difference in verify_index(bench.store, bench.index)]
    assert any("digest is" in text for text in found)
