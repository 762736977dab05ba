"""The contract of indexes."""

from pathlib import Path

from pacs_core.contracts import Index
from pacs_core.testing.index_contract import IndexContract

from {{ cookiecutter.__package }} import Catalog, MemoryIndex


class TestMemoryIndex(IndexContract):
    async def make_index(self, tmp_path: Path) -> Index:
        return MemoryIndex(Catalog())
