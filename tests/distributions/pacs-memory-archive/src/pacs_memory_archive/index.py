"""The index of the kernel's tests, with a catalog of its own."""

from pacs_core.testing import memory_index
from pacs_memory_archive.attributes import CATALOG


class MemoryIndex(memory_index.MemoryIndex):
    """Keeps what SQLite's would, by and large."""

    def __init__(self) -> None:
        super().__init__(CATALOG)
