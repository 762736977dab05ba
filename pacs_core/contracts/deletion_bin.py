"""The contract of the deletion bin: what is deleted waits there, and may come back."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from attrs import frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.instance import Origin, StoredInstance


@frozen
class DeletedInstance:
    """An instance that was deleted, while its objects wait in the store.

    Attributes
    ----------
    instance : StoredInstance
        As the index had it.
    aside : tuple of str
        Keys of what was set aside of it.
    time : float
        When it was deleted, in seconds since the epoch (UTC).
    origin : Origin or None
        Who has deleted it.
    """

    instance: StoredInstance
    aside: tuple[str, ...] = ()
    time: float = 0.0
    origin: Origin | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of all its objects."""
        return (self.instance.key, *self.aside)


class DeletionBin(Component, ABC):
    """Keeps account of what was deleted, so that it can be had back for a while.

    Objects stay where they are in the store, byte for byte. The archive takes their rows out of the
    index, so that no door finds them, and looks into the bin wherever it would take an object
    without a row for one that it lacks: when the index is rebuilt or verified. Whoever wants one
    back calls :meth:`Archive.restore`, and :meth:`Archive.purge` once it has waited long enough;
    then :meth:`take_out`.

    An instance is put in before its row goes. So after a crash in between, what is in the bin may
    be served: :meth:`Archive.purge` leaves that alone, and :meth:`Archive.restore` finds it there.
    """

    @abstractmethod
    def takes(self, origin: Origin) -> bool:
        """Tell whether what `origin` deletes goes into the bin; else it is gone at once."""

    @abstractmethod
    async def put(self, deleted: DeletedInstance) -> None:
        """Put an instance in; durable when this returns.

        One whose key is there already takes the place of that.
        """

    @abstractmethod
    async def take_out(self, keys: Sequence[str]) -> None:
        """Forget instances, by the keys of their objects; others are passed over."""

    @abstractmethod
    async def waiting(self, keys: Sequence[str]) -> Collection[str]:
        """Return which of these keys, at most 500, are of something that is in the bin."""
