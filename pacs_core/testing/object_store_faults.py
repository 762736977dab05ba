# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of object stores where something goes wrong, or two want the same."""

from pathlib import Path

import anyio
import pytest

from pacs_core.contracts import (
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStore,
    StorageFullError,
    StoredObject,
)
from pacs_core.testing.object_store_harness import (
    MEBIBYTE,
    PREAMBLE,
    ObjectStoreHarness,
    get,
    identity,
    listing,
    odd_chunks,
    put,
)


async def _put_in_parts(store: ObjectStore, size: int, parts: int) -> None:
    async with store.writer(identity()) as writer:
        for _ in range(parts):
            await writer.write([bytes(size // parts)])
        await writer.commit()


class ObjectStoreFaults(ObjectStoreHarness):
    """Part of :class:`~pacs_core.testing.object_store_contract.ObjectStoreContract`."""

    # No room

    @pytest.mark.parametrize("chunks", [1, 8])
    async def test_without_room_nothing_is_left_and_others_go_on(
        self, tmp_path: Path, chunks: int
    ) -> None:
        async with self.running(tmp_path) as store:
            with self.without_room(tmp_path):
                with pytest.raises(StorageFullError):
                    await _put_in_parts(store, 2 * MEBIBYTE, chunks)
                small = await put(store, b"small", identity(2))
            assert await listing(store) == {small.key: 5}
            assert await get(store, (await put(store, PREAMBLE, identity())).key) == PREAMBLE

    # Never overwrite

    async def test_a_taken_key_is_refused_and_a_variant_taken(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            first = await put(store, b"first", identity())
            async with store.writer(identity()) as writer:
                await writer.write([b"second"])
                with pytest.raises(ObjectExistsError) as caught:
                    await writer.commit()
                assert caught.value.key == first.key
                second = await writer.commit("b")
            assert await get(store, first.key) == b"first"
            assert await get(store, second.key) == b"second"

    @pytest.mark.parametrize("size", [10, 2 * MEBIBYTE])
    async def test_of_writers_that_race_one_wins(self, tmp_path: Path, size: int) -> None:
        racers = 8
        lost: list[int] = []
        won: list[StoredObject] = []

        async def race(store: ObjectStore, number: int) -> None:
            async with store.writer(identity()) as writer:
                await writer.write([bytes([number]) * size])
                try:
                    won.append(await writer.commit())
                except ObjectExistsError:
                    lost.append(number)
                    await writer.commit(f"v{number}")

        async with self.running(tmp_path) as store:
            async with anyio.create_task_group() as tasks:
                for number in range(racers):
                    tasks.start_soon(race, store, number)
            assert len(won) == 1
            assert len(lost) == racers - 1
            contents = {await get(store, key) for key in await listing(store)}
        assert contents == {bytes([number]) * size for number in range(racers)}

    async def test_stores_that_share_objects_race(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as one:
            if not one.shared:
                pytest.skip("the store does not claim to be shared")
            async with self.running(tmp_path) as other:
                stored = await put(one, PREAMBLE, identity())
                assert await get(other, stored.key) == PREAMBLE
                with pytest.raises(ObjectExistsError):
                    await put(other, b"", identity())
                await other.delete(stored.key)
                with pytest.raises(ObjectNotFoundError):
                    await one.open(stored.key)
                assert await put(one, b"again", identity()) == StoredObject(stored.key, 5)

    # Nothing half-written

    @pytest.mark.parametrize("size", [10, 3 * MEBIBYTE])
    async def test_an_object_is_invisible_before_its_commit(
        self, tmp_path: Path, size: int
    ) -> None:
        async with self.running(tmp_path) as store, store.writer(identity()) as writer:
            await writer.write([bytes(size)])
            assert await listing(store) == {}
            stored = await writer.commit()
            assert await listing(store) == {stored.key: size}

    @pytest.mark.parametrize("size", [0, 10, 3 * MEBIBYTE])
    async def test_an_abort_leaves_no_trace(self, tmp_path: Path, size: int) -> None:
        async with self.running(tmp_path) as store:
            writer = store.writer(identity())
            await writer.write([bytes(size)])
            await writer.abort()
            await writer.abort()
            assert await listing(store) == {}
            await put(store, PREAMBLE, identity())

    async def test_an_exception_leaves_no_trace(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:

            async def fail() -> None:
                async with store.writer(identity()) as writer:
                    await writer.write([bytes(2 * MEBIBYTE)])
                    raise LookupError("on the way")

            with pytest.raises(LookupError, match="on the way"):
                await fail()
            assert await listing(store) == {}

    async def test_an_abort_after_the_commit_does_nothing(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            writer = store.writer(identity())
            await writer.write([PREAMBLE])
            stored = await writer.commit()
            await writer.abort()
            assert await get(store, stored.key) == PREAMBLE

    @pytest.mark.parametrize("steps", range(6))
    async def test_a_cancelled_object_is_whole_or_absent(self, tmp_path: Path, steps: int) -> None:
        """Cancel after some turns of the event loop, somewhere in writing or committing."""
        data = PREAMBLE * 20_000
        stored: list[StoredObject] = []

        async def store_it(store: ObjectStore) -> None:
            async with store.writer(identity()) as writer:
                for chunk in odd_chunks(data):
                    await writer.write([chunk])
                stored.append(await writer.commit())

        async with self.running(tmp_path) as store:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store_it, store)
                for _ in range(4**steps):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            found = await listing(store)
            assert set(found.values()) <= {len(data)}
            assert {kept.key for kept in stored} <= set(found)
            for key in found:
                assert await get(store, key) == data
                await store.delete(key)
            await put(store, PREAMBLE, identity())

    async def test_cancelled_before_it_begins(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            with anyio.CancelScope() as scope:
                scope.cancel()
                async with store.writer(identity()) as writer:
                    await writer.write([bytes(3 * MEBIBYTE)])
                    await writer.commit()
            assert await listing(store) == {}
