"""Readers that go on while the object that they have open moves to another tier."""

from typing import TYPE_CHECKING

from pacs_core.contracts import ObjectNotFoundError, ObjectReader

if TYPE_CHECKING:
    from pacs_store_tiered.store import TieredStore


class TieredReader(ObjectReader):
    """Reads from the tier that had the object, and from a lower one once it has moved there.

    A file that is open outlives its deletion; of a bucket each range is read by name, and is gone
    then.

    Parameters
    ----------
    store : TieredStore
    key : str
    place : int
        Of the tier, from 0.
    wrapped : ObjectReader
    """

    def __init__(self, store: "TieredStore", key: str, place: int, wrapped: ObjectReader) -> None:
        self.size = wrapped.size
        self.key = key
        self.is_deleted = False
        self._store = store
        self._place = place
        self._wrapped = wrapped

    async def read(self, offset: int, length: int) -> bytes:
        """See base."""
        while True:
            try:
                return await self._wrapped.read(offset, length)
            except ObjectNotFoundError:
                await self._follow()

    async def _follow(self) -> None:
        """Open what has moved; raise again if it was deleted, whatever has its key now."""
        if not self.is_deleted:
            for place, reader in await self._store.open_below(self.key, self._place):
                if reader.size == self.size and not self.is_deleted:
                    await self._wrapped.close()
                    self._place, self._wrapped = place, reader
                    return
                await reader.close()
        raise ObjectNotFoundError(self.key)

    async def close(self) -> None:
        """See base."""
        await self._wrapped.close()
