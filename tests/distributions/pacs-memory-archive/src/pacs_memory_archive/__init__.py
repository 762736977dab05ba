"""Object store and index in memory: the contracts in their simplest form, for tests."""

from pacs_core.contracts import IndexDescriptor, ObjectStoreDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_memory_archive.index import MemoryIndex
from pacs_memory_archive.store import MemoryStore

__all__ = ["MemoryIndex", "MemoryStore", "pacs_indexes", "pacs_object_stores"]


@hookimpl
def pacs_object_stores(setup: Setup) -> list[ObjectStoreDescriptor]:
    """Offer the store ``memory``."""
    return [ObjectStoreDescriptor("memory", lambda setup: MemoryStore())]


@hookimpl
def pacs_indexes(setup: Setup) -> list[IndexDescriptor]:
    """Offer the index ``memory``."""
    return [IndexDescriptor("memory", lambda setup: MemoryIndex())]
