"""A deletion bin in memory, for tests of what deletes."""

from collections.abc import Collection, Sequence

from attrs import define, field

from pacs_core.contracts import DeletedInstance, DeletionBin, Origin


@define(eq=False)
class MemoryDeletionBin(DeletionBin):
    """Keeps what anybody deletes, as long as it is there itself.

    Attributes
    ----------
    deleted : dict of str to DeletedInstance
        What is in it, by key.
    """

    deleted: dict[str, DeletedInstance] = field(factory=dict)

    def takes(self, origin: Origin) -> bool:
        """Take all."""
        return True

    async def put(self, deleted: DeletedInstance) -> None:
        """Put an instance in."""
        self.deleted[deleted.instance.key] = deleted

    async def take_out(self, keys: Sequence[str]) -> None:
        """Forget instances."""
        for key in keys:
            self.deleted.pop(key, None)

    async def waiting(self, keys: Sequence[str]) -> Collection[str]:
        """Return which keys are of something in the bin."""
        return {key for each in self.deleted.values() for key in each.keys} & set(keys)
