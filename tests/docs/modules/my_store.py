"""The store that the example of ``pacs_object_stores`` imports."""

from attrs import frozen
from pacs_memory_archive import MemoryStore


@frozen
class BucketConfig:
    capacity: int | None = None


class BucketStore(MemoryStore):
    def __init__(self, config: BucketConfig) -> None:
        super().__init__(config.capacity)
