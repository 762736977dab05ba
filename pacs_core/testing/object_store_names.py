# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of object stores about keys, copies and what is not online."""

from pathlib import Path

import pytest

from pacs_core.contracts import (
    Availability,
    NotOnlineError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStore,
)
from pacs_core.testing.object_store_harness import (
    MEBIBYTE,
    PREAMBLE,
    ObjectStoreHarness,
    get,
    identity,
    listing,
    put,
)

_ABSENT = "1.2.826.0.1.9/1.2.826.0.1.9.9/1.2.826.0.1.9.9.9.dcm"


async def recall(store: ObjectStore, *keys: str) -> list[str]:
    """Recall objects; return those that are online."""
    return [key async for key in store.recall(keys)]


class ObjectStoreNames(ObjectStoreHarness):
    """Part of :class:`~pacs_core.testing.object_store_contract.ObjectStoreContract`."""

    # Keys that are known before the commit

    async def test_a_key_is_known_from_the_start(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            for variant in ("", "a", "0f9", "f" * 64):
                async with store.writer(identity()) as writer:
                    key = writer.key(variant)
                    await writer.write([PREAMBLE])
                    assert writer.key(variant) == key
                    assert (await writer.commit(variant)).key == key

    async def test_a_key_is_that_of_whoever_was_first(self, tmp_path: Path) -> None:
        """The first commit finds its key taken, the second takes another; nothing is written."""
        async with self.running(tmp_path) as store:
            first = await put(store, b"first", identity())
            async with store.writer(identity(), durable=False) as writer:
                await writer.write([bytes(MEBIBYTE), b"second"])
                assert writer.key() == first.key
                for _ in range(2):
                    with pytest.raises(ObjectExistsError):
                        await writer.commit()
                key = writer.key("b")
                assert (await writer.commit("b")).key == key
            assert await get(store, key) == bytes(MEBIBYTE) + b"second"

    @pytest.mark.parametrize("variant", ["..", "a/b", "a.b", "\u00e9", "f" * 65])
    async def test_hostile_variants_have_no_key(self, tmp_path: Path, variant: str) -> None:
        async with self.running(tmp_path) as store, store.writer(identity()) as writer:
            with pytest.raises(ValueError, match="variant"):
                writer.key(variant)
            await writer.write([PREAMBLE])
            assert (await writer.commit()).size == len(PREAMBLE)

    # Copies

    @pytest.mark.parametrize("durable", [True, False])
    @pytest.mark.parametrize("variant", ["", "b"])
    async def test_a_copy_has_the_key_of_its_original(
        self, tmp_path: Path, variant: str, durable: bool
    ) -> None:
        data = PREAMBLE + bytes(2 * MEBIBYTE)
        async with self.running(tmp_path / "one") as one, self.running(tmp_path / "two") as two:
            key = (await put(one, data, identity(), variant)).key
            async with two.writer_at(key, durable=durable) as writer:
                assert writer.key() == key
                async with await one.open(key) as reader:
                    async for chunk in reader.chunks():
                        await writer.write([chunk])
                assert await writer.commit() == (await _only(one))
            assert await get(two, key) == data
            await two.flush([key])

    async def test_a_copy_never_takes_the_place_of_an_object(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            stored = await put(store, b"first", identity())
            async with store.writer_at(stored.key) as writer:
                await writer.write([b"second"])
                with pytest.raises(ObjectExistsError):
                    await writer.commit()
            assert await get(store, stored.key) == b"first"

    async def test_a_copy_has_no_variants(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            stored = await put(store, b"first", identity())
            async with store.writer_at(stored.key) as writer:
                await writer.write([b"second"])
                with pytest.raises(ValueError, match="variant"):
                    writer.key("b")
                with pytest.raises(ValueError, match="variant"):
                    await writer.commit("b")
            assert await listing(store) == {stored.key: 5}

    @pytest.mark.parametrize("key", ["", "..", "../../etc/passwd", "/etc/passwd", "1\x00.dcm"])
    async def test_a_copy_of_a_hostile_key_is_refused(self, tmp_path: Path, key: str) -> None:
        async with self.running(tmp_path) as store:
            with pytest.raises(ValueError, match="key"):
                store.writer_at(key)

    # What tells objects apart

    async def test_an_object_is_described_alike_wherever(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            stored = await put(store, PREAMBLE, identity())
            found = [each async for each in store.objects()]
            assert [(each, each.identity) for each in found] == [(stored, stored.identity)]

    async def test_another_object_under_a_key_is_another(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            first = await put(store, PREAMBLE, identity())
            if not first.identity:
                pytest.skip("the store cannot tell objects apart")
            await store.delete(first.key)
            second = await put(store, PREAMBLE * 2, identity())
            assert (second.key, second.identity) != (first.key, first.identity)

    # What is not online

    async def test_what_is_there_and_what_is_not(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            keys = [(await put(store, PREAMBLE, identity(number))).key for number in range(3)]
            await store.delete(keys[1])
            asked = [*keys, _ABSENT, "../../etc/passwd"]
            gone, there = Availability.UNAVAILABLE, Availability.ONLINE
            assert list(await store.availability(asked)) == [there, gone, there, gone, gone]
            assert list(await store.availability([])) == []
            assert sorted(await recall(store, *asked)) == sorted([keys[0], keys[2]])

    async def test_what_was_sent_away_is_recalled(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            away = await put(store, b"away", identity(1))
            here = await put(store, b"here", identity(2))
            await self.send_away(store, away.key)
            assert not store.always_online
            await self._assert_away(store, away.key)
            found = await store.availability([here.key, away.key])
            assert list(found) == [Availability.ONLINE, Availability.NEARLINE]
            assert sorted(await recall(store, away.key, here.key)) == sorted([away.key, here.key])
            assert await get(store, away.key) == b"away"
            assert list(await store.availability([away.key])) == [Availability.ONLINE]
            assert await listing(store) == {away.key: 4, here.key: 4}

    async def test_what_was_sent_away_keeps_its_key(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            away = await put(store, b"away", identity())
            await self.send_away(store, away.key)
            async with store.writer(identity()) as writer:
                await writer.write([b"other"])
                with pytest.raises(ObjectExistsError):
                    await writer.commit()
                await writer.commit("b")
            assert (await listing(store))[away.key] == 4
            await self._assert_away(store, away.key)

    async def test_what_was_sent_away_can_be_deleted(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            away = await put(store, b"away", identity())
            await self.send_away(store, away.key)
            await store.delete(away.key)
            with pytest.raises(ObjectNotFoundError):
                await store.open(away.key)
            assert await recall(store, away.key) == []
            assert await listing(store) == {}
            assert (await put(store, b"again", identity())).key == away.key

    async def _assert_away(self, store: ObjectStore, key: str) -> None:
        with pytest.raises(NotOnlineError) as caught:
            await store.open(key)
        assert (caught.value.key, caught.value.availability) == (key, Availability.NEARLINE)


async def _only(store: ObjectStore) -> object:
    (stored,) = [each async for each in store.objects()]
    return stored
