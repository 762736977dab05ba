"""The store and index of these tests keep the contracts themselves."""

from collections import defaultdict

from pacs_memory_archive import MemoryIndex, MemoryStore

from pacs_core.testing.index_contract import IndexContract
from pacs_core.testing.object_store_contract import ObjectStoreContract


class TestMemoryStore(ObjectStoreContract):
    places = defaultdict(dict)

    def make_store(self, directory):
        return MemoryStore(objects=self.places[directory])


class TestMemoryIndex(IndexContract):
    async def make_index(self, tmp_path):
        return MemoryIndex()
