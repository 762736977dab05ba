"""What is promised of instances is promised of objects that are where they are to stay."""

import pytest
from pacs_memory_archive import MemoryStore

from pacs_core.contracts import QueueStatus, WrappingStore

pytestmark = pytest.mark.anyio


class LaterStore(WrappingStore):
    """Keeps account of what it was asked to deposit, or cannot."""

    def __init__(self):
        super().__init__(MemoryStore())
        self.deposited, self.problem = [], None

    @property
    def queues(self):
        return (QueueStatus("later", "write-behind", 7),)

    async def deposit(self, keys):
        if self.problem:
            raise self.problem
        self.deposited += keys


async def test_durable_means_deposited(make_bench, dataset):
    store = LaterStore()
    bench = make_bench(store=store)
    archive = bench.archive()
    await bench.send(archive, dataset())
    (instance,) = (await bench.rows()).values()
    assert store.deposited == []
    await archive.make_durable([instance])
    assert store.deposited == [instance.key]
    store.problem = OSError("the bucket is away")
    with pytest.raises(OSError, match="the bucket is away"):
        await archive.make_durable([instance])
    assert QueueStatus("later", "write-behind", 7) in archive.queues
