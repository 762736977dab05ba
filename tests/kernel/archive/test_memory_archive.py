"""The store and index of these tests keep the contracts themselves, also through a wrapper."""

from collections import defaultdict

from pacs_memory_archive import MemoryIndex, MemoryStore

from pacs_core.contracts import WrappingStore, WrappingWriter
from pacs_core.testing.index_contract import IndexContract
from pacs_core.testing.object_store_contract import ObjectStoreContract


class TestMemoryStore(ObjectStoreContract):
    places = defaultdict(dict)

    def make_store(self, directory):
        return MemoryStore(objects=self.places[directory])


class TestNearlineMemoryStore(TestMemoryStore):
    def make_store(self, directory):
        return MemoryStore(objects=self.places[directory], always_online=False)

    async def send_away(self, store, key):
        store.send_away([key])


class Wrapping(WrappingStore):
    """Passes on all, by writers of its own."""

    def writer(self, identity, *, durable=True):
        return WrappingWriter(super().writer(identity, durable=durable))

    def writer_at(self, key, *, durable=True):
        return WrappingWriter(super().writer_at(key, durable=durable))


class TestWrappingStore(TestNearlineMemoryStore):
    def make_store(self, directory):
        return Wrapping(super().make_store(directory))

    def parts_of(self, store):
        return [store.wrapped]

    async def send_away(self, store, key):
        store.wrapped.send_away([key])


class TestMemoryIndex(IndexContract):
    async def make_index(self, tmp_path):
        return MemoryIndex()
