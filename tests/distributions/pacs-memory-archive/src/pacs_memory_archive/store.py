"""The object store: that of the tests, as a plugin."""

from pacs_core.testing.memory_store import MemoryReader, MemoryStore, MemoryWriter

__all__ = ["MemoryReader", "MemoryStore", "MemoryWriter"]
