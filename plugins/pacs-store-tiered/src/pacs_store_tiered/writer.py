"""Writer of a tiered store, which takes no key that a lower tier has."""

from pacs_core.contracts import ObjectExistsError, ObjectWriter, StoredObject, WrappingWriter
from pacs_store_tiered.locks import KeyLocks
from pacs_store_tiered.tiers import Tiers


class TieredWriter(WrappingWriter):
    """Writes to the top.

    Parameters
    ----------
    tiers : Tiers
    locks : KeyLocks
    wrapped : ObjectWriter
        Of the top.
    """

    def __init__(self, tiers: Tiers, locks: KeyLocks, wrapped: ObjectWriter) -> None:
        super().__init__(wrapped)
        self._tiers = tiers
        self._locks = locks

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """See base."""
        key = self.key(variant)
        async with self._locks.locked(key):
            if await self._tiers.has_below(key):
                raise ObjectExistsError(key)
            return await super().commit(variant, beginning=beginning)
