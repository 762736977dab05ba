"""The contract of object stores, kept by one of a third party that is made of two others."""

import sys
from pathlib import Path

import pytest
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.testing.memory_store import MemoryStore
from pacs_core.testing.object_store_contract import ObjectStoreContract
from pacs_core.testing.object_store_harness import get, identity, listing, put

SOURCE = Path(__file__).parents[1] / "distributions" / "pacs-tiers" / "src"
sys.path.insert(0, str(SOURCE))

from pacs_tiers.store import TieredStore  # noqa: E402


class TestTiers(ObjectStoreContract):
    def make_store(self, directory):
        hot, cold = FilesystemStore(directory / "hot"), FilesystemStore(directory / "cold")
        store = TieredStore(hot, cold, directory / "main")
        store.parts = (hot, cold)
        return store

    def parts_of(self, store):
        return store.parts

    async def send_away(self, store, key):
        assert await store.cool(key)

    async def test_an_object_may_come_and_go(self, tmp_path):
        """What was recalled is cooled again, without a copy being made."""
        async with self.running(tmp_path) as store:
            stored = await put(store, b"data", identity())
            for _ in range(3):
                assert await store.cool(stored.key)
                assert not await store.cool(stored.key)
                assert [key async for key in store.recall([stored.key])] == [stored.key]
                assert await get(store, stored.key) == b"data"
            assert await listing(store) == {stored.key: 4}


@pytest.mark.anyio
async def test_what_finds_no_room_is_not_recalled(tmp_path):
    hot, cold = MemoryStore(capacity=10), MemoryStore()
    store = TieredStore(hot, cold, tmp_path)
    await store.start()
    stored = await put(store, bytes(8), identity(1))
    await store.cool(stored.key)
    await put(store, bytes(8), identity(2))
    assert [key async for key in store.recall([stored.key])] == []
    await store.delete((await put(cold, b"", identity(3))).key)
