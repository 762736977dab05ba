"""The index that the example of ``pacs_indexes`` imports."""

from pathlib import Path

from pacs_memory_archive import MemoryIndex


class TreeIndex(MemoryIndex):
    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
