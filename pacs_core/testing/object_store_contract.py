# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of object stores as tests: inherit, and say how a store is made."""

from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from pacs_core.contracts import (
    InstanceIdentity,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStore,
)
from pacs_core.testing.object_store_faults import ObjectStoreFaults
from pacs_core.testing.object_store_harness import (
    MEBIBYTE,
    PREAMBLE,
    get,
    identity,
    listing,
    odd_chunks,
    put,
)
from pacs_core.testing.object_store_names import ObjectStoreNames

HOSTILE_KEYS = (
    "",
    ".",
    "..",
    "/",
    "../../etc/passwd",
    "/etc/passwd",
    "1/../1/2.dcm",
    "1//2.dcm",
    "1/2/../../../3.dcm",
    "1\x00.dcm",
    "1\n.dcm",
    "1\\..\\2",
    "1.2.3/\udcff.dcm",
    "\u0661.\u0662/\u0663/\u0664.dcm",
    "file:///etc/passwd",
    "9" * 5_000,
    "1/" * 5_000,
)
"""Keys that no store makes of validated UIDs."""


class ObjectStoreContract(ObjectStoreFaults, ObjectStoreNames):
    """What every object store must do.

    Inherit in a test module, and implement :meth:`make_store`; and :meth:`without_room`, if you can
    take the store's room away, :meth:`parts_of`, if it is made of others, and :meth:`send_away`, if
    objects need not be online. The tests are async: they need anyio's pytest plugin and the fixture
    ``anyio_backend``.

    Example
    -------
    ::

        class TestBucketStore(ObjectStoreContract):
            def make_store(self, directory: Path) -> ObjectStore:
                return BucketStore(BucketConfig(url=f"file://{directory}"))
    """

    # Storing and reading

    async def test_an_object_comes_back_byte_for_byte(self, tmp_path: Path) -> None:
        data = PREAMBLE + bytes(range(256)) * 100
        async with self.running(tmp_path) as store:
            stored = await put(store, data, identity())
            assert stored.size == len(data)
            assert await get(store, stored.key) == data

    async def test_objects_outlive_the_store(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            stored = await put(store, PREAMBLE, identity())
        async with self.running(tmp_path) as store:
            assert await get(store, stored.key) == PREAMBLE
            assert await listing(store) == {stored.key: len(PREAMBLE)}

    async def test_an_empty_object_is_an_object(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store, store.writer(identity()) as writer:
            stored = await writer.commit()
            assert stored.size == 0
            assert await get(store, stored.key) == b""

    async def test_ten_megabytes_in_odd_chunks(self, tmp_path: Path) -> None:
        data = PREAMBLE + bytes(range(251)) * 41_000
        async with self.running(tmp_path) as store:
            async with store.writer(identity()) as writer:
                for chunk in odd_chunks(data):
                    await writer.write([chunk])
                stored = await writer.commit()
            assert stored.size == len(data)
            assert await get(store, stored.key) == data

    async def test_many_chunks_in_one_call(self, tmp_path: Path) -> None:
        chunks = [bytes([number % 256]) * (number % 3) for number in range(5_000)]
        async with self.running(tmp_path) as store, store.writer(identity()) as writer:
            await writer.write(chunks)
            stored = await writer.commit()
            assert await get(store, stored.key) == b"".join(chunks)

    async def test_slices_of_a_buffer(self, tmp_path: Path) -> None:
        data = bytes(range(256)) * 16
        view = memoryview(bytearray(data))
        async with self.running(tmp_path) as store, store.writer(identity()) as writer:
            await writer.write([view[:100], data[100:200], view[200:200], view[200:]])
            stored = await writer.commit()
            assert await get(store, stored.key) == data

    @pytest.mark.parametrize("size", [MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1])
    async def test_sizes_around_a_writers_buffer(self, tmp_path: Path, size: int) -> None:
        data = b"\x5a" * (size - 1) + b"!"
        async with self.running(tmp_path) as store:
            stored = await put(store, data, identity())
            assert await get(store, stored.key) == data

    @pytest.mark.parametrize("durable", [True, False])
    @pytest.mark.parametrize("size", [0, 1, MEBIBYTE, 3 * MEBIBYTE])
    async def test_a_beginning_that_is_known_last(
        self, tmp_path: Path, size: int, durable: bool
    ) -> None:
        beginning, rest = bytes(range(200)), b"\x5a" * size
        async with self.running(tmp_path) as store:
            async with store.writer(identity(), durable=durable) as writer:
                await writer.write([bytes(len(beginning)), rest[:7]])
                await writer.write([rest[7:]])
                stored = await writer.commit(beginning=beginning)
            assert stored.size == len(beginning) + size
            assert await get(store, stored.key) == beginning + rest

    @pytest.mark.parametrize("length", [1, 199, 201, 65_536])
    async def test_a_beginning_that_ends_within_a_chunk(self, tmp_path: Path, length: int) -> None:
        data, beginning = bytes(70_000), b"\xa5" * length
        async with self.running(tmp_path) as store, store.writer(identity()) as writer:
            await writer.write([data[:200], data[200:]])
            stored = await writer.commit(beginning=beginning)
            assert await get(store, stored.key) == beginning + data[length:]

    @pytest.mark.parametrize("size", [200, 2 * MEBIBYTE])
    async def test_a_beginning_where_the_key_is_taken(self, tmp_path: Path, size: int) -> None:
        async with self.running(tmp_path) as store:
            first = await put(store, b"first", identity())
            async with store.writer(identity()) as writer:
                await writer.write([bytes(100), bytes(size - 100)])
                with pytest.raises(ObjectExistsError):
                    await writer.commit(beginning=b"\1" * 100)
                second = await writer.commit("b", beginning=b"\2" * 100)
            assert await get(store, first.key) == b"first"
            assert await get(store, second.key) == b"\2" * 100 + bytes(size - 100)

    async def test_a_beginning_that_is_longer_than_the_object(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            async with store.writer(identity()) as writer:
                await writer.write([b"short"])
                with pytest.raises(ValueError, match="beginning"):
                    await writer.commit(beginning=b"longer than that")
            assert await listing(store) == {}

    async def test_objects_that_need_not_be_durable(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            async with store.writer(identity(), durable=False) as writer:
                await writer.write([PREAMBLE])
                stored = await writer.commit()
            assert await get(store, stored.key) == PREAMBLE

    async def test_objects_that_are_flushed_later(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            keys = []
            for number in range(20):
                who = identity(number, series=number % 3)
                async with store.writer(who, durable=False) as writer:
                    await writer.write([PREAMBLE])
                    keys.append((await writer.commit()).key)
            for some in ([], keys[:2], keys, keys):
                await store.flush(some)
            assert await listing(store) == dict.fromkeys(keys, len(PREAMBLE))

    async def test_objects_that_are_deposited(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            kept = await put(store, PREAMBLE, identity(1))
            gone = await put(store, PREAMBLE, identity(2))
            await store.delete(gone.key)
            await store.deposit([kept.key, gone.key, *HOSTILE_KEYS])
            await store.deposit([])
            assert await listing(store) == {kept.key: len(PREAMBLE)}
            assert await get(store, kept.key) == PREAMBLE

    async def test_a_flush_passes_over_what_is_not_there(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            kept = await put(store, PREAMBLE, identity(1))
            gone = await put(store, PREAMBLE, identity(2, study=2))
            await store.delete(gone.key)
            await store.flush([gone.key, kept.key, *HOSTILE_KEYS])
            await store.flush([gone.key] * 100)
            assert await listing(store) == {kept.key: len(PREAMBLE)}

    async def test_ranges_at_the_edges(self, tmp_path: Path) -> None:
        data = bytes(range(200))
        async with self.running(tmp_path) as store:
            stored = await put(store, data, identity())
            async with await store.open(stored.key) as reader:
                assert reader.size == len(data)
                for offset, length in ((0, 0), (0, 1), (199, 1), (199, 9), (0, 10**12), (50, 70)):
                    assert await reader.read(offset, length) == data[offset : offset + length]
                assert await reader.read(200, 1) == b""
                assert await reader.read(10**12, 1) == b""

    async def test_chunks_from_an_offset(self, tmp_path: Path) -> None:
        data = bytes(range(200))
        async with self.running(tmp_path) as store:
            stored = await put(store, data, identity())
            async with await store.open(stored.key) as reader:
                chunks = [chunk async for chunk in reader.chunks(17, size=50)]
        assert b"".join(chunks) == data[17:]
        assert max(map(len, chunks)) == 50

    async def test_closing_a_reader_twice(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            stored = await put(store, PREAMBLE, identity())
            reader = await store.open(stored.key)
            await reader.close()
            await reader.close()

    # Keys

    async def test_identities_and_variants_have_keys_of_their_own(self, tmp_path: Path) -> None:
        cases = [(number, variant) for number in range(3) for variant in ("", "a", "0f9")]
        async with self.running(tmp_path) as store:
            for number, variant in cases:
                await put(store, f"{number}{variant}".encode(), identity(number), variant)
            found = [await get(store, key) for key in await listing(store)]
        assert sorted(found) == sorted(f"{number}{variant}".encode() for number, variant in cases)

    async def test_variants_are_told_of_each_other(self, tmp_path: Path) -> None:
        """A store that cannot tell says that there are none."""
        async with self.running(tmp_path) as store:
            for number in (1, 11):
                for variant in ("", "a", "0f9"):
                    await put(store, PREAMBLE, identity(number), variant)
            ones = [(await put(store, PREAMBLE, identity(1), variant)).key for variant in "bc"]
            told = [set(await store.variants(key)) for key in ones]
            assert not await store.variants("no key")
            if type(store).variants is not ObjectStore.variants:
                assert [len(keys) for keys in told] == [4, 4]
                assert told[0] - {ones[1]} == told[1] - {ones[0]}
                await store.delete(ones[0])
                assert set(await store.variants(ones[1])) == told[1] - {ones[0]}

    async def test_the_longest_uids(self, tmp_path: Path) -> None:
        uids = [f"1.{digit * 62}" for digit in "234"]
        who = InstanceIdentity(uids[0], uids[1], uids[2], "1.2.840.10008.5.1.4.1.1.2")
        async with self.running(tmp_path) as store:
            stored = await put(store, PREAMBLE, who, "f" * 64)
            assert await get(store, stored.key) == PREAMBLE

    @pytest.mark.parametrize("key", HOSTILE_KEYS, ids=lambda key: ascii(key[:20]))
    async def test_hostile_keys_name_nothing(self, tmp_path: Path, key: str) -> None:
        async with self.running(tmp_path) as store:
            stored = await put(store, PREAMBLE, identity())
            for hostile in (key, f"{stored.key}/{key}", f"{key}/{stored.key}"):
                with pytest.raises(ObjectNotFoundError):
                    await store.open(hostile)
                with pytest.raises(ObjectNotFoundError):
                    await store.delete(hostile)
            assert await get(store, stored.key) == PREAMBLE

    @pytest.mark.parametrize("variant", ["..", "/", "a/b", "a.b", "\x00", "\u00e9", "a\n"])
    async def test_hostile_variants_are_refused(self, tmp_path: Path, variant: str) -> None:
        async with self.running(tmp_path) as store:
            with pytest.raises(ValueError, match="variant"):
                await put(store, PREAMBLE, identity(), variant)
            assert await listing(store) == {}

    # Deleting and listing

    async def test_a_deleted_object_is_gone(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            kept = await put(store, b"kept", identity(1))
            gone = await put(store, b"gone", identity(2))
            await store.delete(gone.key)
            with pytest.raises(ObjectNotFoundError):
                await store.open(gone.key)
            with pytest.raises(ObjectNotFoundError):
                await store.delete(gone.key)
            assert await listing(store) == {kept.key: 4}

    async def test_a_deleted_objects_key_is_free_again(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            stored = await put(store, b"old", identity())
            await store.delete(stored.key)
            assert await put(store, b"new", identity()) == stored
            assert await get(store, stored.key) == b"new"

    async def test_deleting_what_is_open(self, tmp_path: Path) -> None:
        """A reader ends well, or says that the object is gone; never does it give other bytes."""
        data = bytes(range(256)) * 1_000
        async with self.running(tmp_path) as store:
            stored = await put(store, data, identity())
            async with await store.open(stored.key) as reader:
                await store.delete(stored.key)
                await put(store, b"other" * 100_000, identity())
                with suppress(ObjectNotFoundError):
                    assert await reader.read(0, len(data)) == data

    async def test_deleting_while_others_write_beside_it(self, tmp_path: Path) -> None:
        """Objects of one series come and go; none that was acknowledged and kept is lost."""

        async def come_and_go(store: ObjectStore, number: int) -> None:
            for _ in range(10):
                stored = await put(store, b"short-lived", identity(number))
                await store.delete(stored.key)
            await put(store, b"kept", identity(number))

        async with self.running(tmp_path) as store:
            async with anyio.create_task_group() as tasks:
                for number in range(6):
                    tasks.start_soon(come_and_go, store, number)
            assert list((await listing(store)).values()) == [4] * 6

    async def test_all_objects_are_listed(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            expected = {}
            for number in range(300):
                who = identity(number, series=number % 5, study=number % 2)
                async with store.writer(who, durable=False) as writer:
                    await writer.write([bytes(number)])
                    expected[(await writer.commit()).key] = number
            assert await listing(store) == expected

    async def test_a_listing_that_is_left_early(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            for number in range(3):
                await put(store, PREAMBLE, identity(number))
            objects = store.objects()
            assert (await anext(objects)).size == len(PREAMBLE)
            await objects.aclose()  # type: ignore[attr-defined]
