"""The store and index of these tests keep the contracts themselves."""

from pacs_memory_archive import MemoryIndex

from pacs_core.testing.index_contract import IndexContract


class TestMemoryIndex(IndexContract):
    async def make_index(self, tmp_path):
        return MemoryIndex()
