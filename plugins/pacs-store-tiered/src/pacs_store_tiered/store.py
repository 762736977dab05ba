"""An object store of up to three others: what is not needed often lies where room costs less."""

import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Availability,
    DamagedObjectError,
    InstanceIdentity,
    NotOnlineError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    QueueStatus,
    StoredInstance,
    StoredObject,
    WrappingStore,
    WrappingWriter,
)
from pacs_store_tiered.copying import copy_verified
from pacs_store_tiered.locks import KeyLocks
from pacs_store_tiered.reader import TieredReader

# Theory of operation
#
# All tiers make the same keys, and an object keeps its key wherever it lies. Which tier has it is
# written nowhere: the tiers are asked, from the top. So there is no map that could be lost, or say
# something else than the tiers do, and a rebuild of the index, which lists them, needs none.
#
# An object moves down in this order: it is copied; the copy is made durable; the copy is read back
# and compared; only then the upper one is deleted, which is the moment at which readers find the
# lower one. A crash after any step leaves at least one whole object, at most two with the same
# bytes, and the next run of the migration goes on from there. Recall copies to the top in the same
# manner, and deletes nothing: moving down again costs a comparison then.
#
# Who looks from the top while an object moves down finds it: the lower one is there before the
# upper one goes. Who commits must not take a key that a lower tier has; a lock on the key, held
# for the commit and for the whole of a move, keeps the two apart. Deleting takes it as well, and
# begins at the top, so that what a crash leaves can be deleted again.
#
# A tier below the top that fails to answer, or that is said to be offline, makes nothing fail that
# lies elsewhere. What no other tier has is OFFLINE then: the index knows that it exists.

_log = logging.getLogger(__name__)

_GONE: Final = Availability.UNAVAILABLE
_SAMPLE: Final = InstanceIdentity("1.2.3", "1.2.4", "1.2.5", "1.2.840.10008.5.1.4.1.1.2")


def _note_nothing(_key: str) -> None:
    """Take no note of what is read."""


class TieredWriter(WrappingWriter):
    """Writes to the top, never over what a lower tier has."""

    def __init__(self, store: "TieredStore", wrapped: ObjectWriter) -> None:
        super().__init__(wrapped)
        self._store = store

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """See base."""
        key = self.key(variant)
        async with self._store.locked(key):
            if await self._store.has_below(key):
                raise ObjectExistsError(key)
            return await super().commit(variant, beginning=beginning)


class TieredStore(WrappingStore):
    """Keeps each object in one of some stores, or in several while it moves or was recalled.

    Parameters
    ----------
    tiers : mapping of str to ObjectStore
        From the top; at least two.
    directory : Path
        For locks.
    nearline, offline : collection of str
        Tiers from which nobody reads directly, and those that are not asked.

    Attributes
    ----------
    tiers : mapping of str to ObjectStore
    note_use : callable
        Called with each key that is opened or recalled; quick.
    """

    def __init__(
        self,
        tiers: Mapping[str, ObjectStore],
        directory: Path,
        *,
        nearline: Collection[str] = (),
        offline: Collection[str] = (),
    ) -> None:
        self.tiers = dict(tiers)
        self._stores = list(self.tiers.values())
        super().__init__(self._stores[0])
        self.shared = all(each.shared for each in self._stores)
        self.always_online = False  # a lower tier may be away
        self.note_use: Callable[[str], None] = _note_nothing
        self._names = list(self.tiers)
        self._nearline = {self._names.index(name) for name in nearline}
        self._offline = {self._names.index(name) for name in offline}
        self._locks = KeyLocks(directory)
        self._readers: WeakSet[TieredReader] = WeakSet()

    async def start(self) -> None:
        """Make the directory of the locks.

        Raises
        ------
        ValueError
            The tiers make different keys.
        """
        self._locks.directory.mkdir(parents=True, exist_ok=True)
        writers = {name: store.writer(_SAMPLE) for name, store in self.tiers.items()}
        keys = {name: each.key("0a") for name, each in writers.items()}
        if len(set(keys.values())) > 1:
            said = ", ".join(f"{name} {key!r}" for name, key in keys.items())
            raise ValueError(f"the tiers must make the same keys; give them one layout: {said}")

    def is_nearline(self, tier: str) -> bool:
        """Tell whether nobody reads from a tier directly."""
        return self._names.index(tier) in self._nearline

    def is_offline(self, tier: str) -> bool:
        """Tell whether a tier is said to be away."""
        return self._names.index(tier) in self._offline

    @asynccontextmanager
    async def locked(self, key: str) -> AsyncIterator[None]:
        """Hold the lock on a key."""
        async with self._locks.locked(key):
            yield

    # --- storing

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return TieredWriter(self, super().writer(identity, durable=durable))

    def writer_at(self, key: str, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return TieredWriter(self, super().writer_at(key, durable=durable))

    @property
    def queues(self) -> Sequence[QueueStatus]:
        """See base."""
        return [each for store in self._stores for each in store.queues]

    async def deposit(self, keys: Sequence[str]) -> None:
        """See base; an object that moved down is where it is to stay already."""
        await self.wrapped.deposit(keys)

    async def has_below(self, key: str) -> bool:
        """Tell whether a tier below the top has an object, as far as they can be asked."""
        for place in range(1, len(self._stores)):
            if (await self._ask(place, [key]))[0] not in (_GONE, Availability.OFFLINE):
                return True
        return False

    # --- reading

    async def open(self, key: str) -> ObjectReader:
        """See base."""
        return (await self._open(key))[0]

    async def open_and_read(self, key: str, offset: int, length: int) -> tuple[ObjectReader, bytes]:
        """See base."""
        return await self._open(key, (offset, length))

    async def _open(
        self, key: str, first: tuple[int, int] | None = None
    ) -> tuple[ObjectReader, bytes]:
        away: OSError | None = None
        for place, store in enumerate(self._stores):
            if place in self._offline:
                away = NotOnlineError(key, Availability.OFFLINE, self._why(place))
                continue
            try:
                if place in self._nearline:
                    await self._refuse_if_there(place, key)
                    continue
                if first is None:
                    opened, data = await store.open(key), b""
                else:
                    opened, data = await store.open_and_read(key, *first)
            except ObjectNotFoundError:
                continue
            except (NotOnlineError, DamagedObjectError):
                raise
            except OSError as error:
                if not place:
                    raise
                away = NotOnlineError(key, Availability.OFFLINE, f"{self._why(place)}: {error}")
                continue
            self.note_use(key)
            reader = TieredReader(self, key, place, opened)
            self._readers.add(reader)
            return reader, data
        raise away or ObjectNotFoundError(key)

    async def _refuse_if_there(self, place: int, key: str) -> None:
        (found,) = await self._stores[place].availability([key])
        if found is not _GONE:
            raise NotOnlineError(key, _at_most_nearline(found), f"it is {self._names[place]}")

    def _why(self, place: int) -> str:
        return f"the tier {self._names[place]} cannot be asked"

    async def open_below(self, key: str, place: int) -> list[tuple[int, ObjectReader]]:
        """Open an object in the first tier below one, though it be nearline, for a reader of it."""
        for below in range(place + 1, len(self._stores)):
            with suppress(ObjectNotFoundError):
                return [(below, await self._stores[below].open(key))]
        return []

    # --- deleting, listing

    async def delete(self, key: str) -> None:
        """See base; refuses while a tier is offline, in which the object may lie as well."""
        if self._offline:
            why = ", ".join(map(self._why, self._offline))
            raise NotOnlineError(key, Availability.OFFLINE, f"not deleted, for {why}")
        async with self.locked(key):
            found = 0
            for store in self._stores:
                with suppress(ObjectNotFoundError):
                    await store.delete(key)
                    found += 1
            for reader in list(self._readers):
                reader.is_deleted |= reader.key == key
        if not found:
            raise ObjectNotFoundError(key)

    async def objects(self) -> AsyncIterator[StoredObject]:
        """See base; one of which two tiers have a copy comes twice, lest a moving one be missed."""
        for place, store in enumerate(self._stores):
            if place in self._offline:
                continue
            async with closing(store.objects()) as found:
                async for stored in found:
                    yield stored

    async def variants(self, key: str) -> Sequence[str]:
        """See base."""
        found: dict[str, None] = {}
        for place, store in enumerate(self._stores):
            if place not in self._offline:
                found |= dict.fromkeys(await store.variants(key))
        return list(found)

    # --- what is not online

    async def availability(self, keys: Sequence[str]) -> Sequence[Availability]:
        """See base."""
        best = dict.fromkeys(keys, _GONE)
        for place in range(len(self._stores)):
            missing = [key for key, found in best.items() if found.rank >= _OFFLINE_RANK]
            for key, found in zip(missing, await self._ask(place, missing), strict=True):
                best[key] = min(best[key], found, key=lambda each: each.rank)
        return [best[key] for key in keys]

    async def _ask(self, place: int, keys: Sequence[str]) -> Sequence[Availability]:
        """Ask one tier; a lower one that does not answer is offline."""
        if not keys:
            return []
        if place in self._offline:
            return [Availability.OFFLINE] * len(keys)
        try:
            found = await self._stores[place].availability(keys)
        except OSError as error:
            if not place:
                raise
            _log.warning("%s: %s", self._why(place), error)
            return [Availability.OFFLINE] * len(keys)
        return [_at_most_nearline(each) for each in found] if place in self._nearline else found

    async def places(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the highest tier that has each object; what is out of reach is left out."""
        found: dict[str, str] = {}
        for place, name in enumerate(self._names):
            missing = [key for key in keys if key not in found]
            told = zip(missing, await self._ask(place, missing), strict=True)
            found |= {key: name for key, each in told if each.rank < _OFFLINE_RANK}
        return found

    async def recall(self, keys: Sequence[str]) -> AsyncIterator[str]:
        """See base."""
        places = await self.places(keys)
        for place, store in enumerate(self._stores):
            here = [key for key in keys if places.get(key) == self._names[place]]
            if not here:
                continue
            async with closing(store.recall(here)) as recalled:
                async for key in recalled:
                    if place in self._nearline and not await self._bring(key):
                        continue
                    self.note_use(key)
                    yield key

    async def _bring(self, key: str) -> bool:
        try:
            await self.fetch(key)
        except (OSError, ObjectNotFoundError) as error:
            _log.error("object %s cannot be recalled: %s", key, error)
            return False
        return True

    # --- moving

    async def fetch(self, key: str, *, expected: StoredInstance | None = None) -> int:
        """Copy an object to the top, and leave it where it is as well; return its size, or 0.

        0 if it was there already.

        Raises
        ------
        ObjectNotFoundError, DamagedObjectError, StorageFullError
        """
        async with self.locked(key):
            tier = (await self.places([key])).get(key)
            if tier is None:
                raise ObjectNotFoundError(key)
            if tier == self._names[0]:
                return 0
            source = self.tiers[tier]
            return await copy_verified(key, source, self.wrapped, expected=expected)

    async def move(
        self, key: str, target: str, *, expected: StoredInstance | None = None, **options: Any
    ) -> int:
        """Move an object down to a tier; return the bytes that it took, 0 if it was there.

        Copies of it above that tier are deleted once the one in it is known to be whole.

        Parameters
        ----------
        key : str
        target : str
            Name of the tier.
        expected : StoredInstance, optional
            What it should be; one that is damaged is not moved.
        pace : callable, optional
            See :func:`copy_verified`.

        Raises
        ------
        ObjectNotFoundError
            There is none.
        DamagedObjectError
            It is damaged, or the target has another object under its key. Nothing was deleted.
        StorageFullError
            The target has no room.
        OSError
            A tier does not answer.
        """
        last = self._names.index(target)
        size = 0
        async with self.locked(key):
            for place in range(last):
                if place in self._offline:
                    continue
                source = self._stores[place]
                if (await source.availability([key]))[0] is _GONE:
                    continue
                size = await copy_verified(
                    key, source, self._stores[last], expected=expected, **options
                )
                await source.delete(key)
            if not size and not await self.places([key]):
                raise ObjectNotFoundError(key)
        return size


_OFFLINE_RANK: Final = Availability.OFFLINE.rank


def _at_most_nearline(availability: Availability) -> Availability:
    return Availability.NEARLINE if availability is Availability.ONLINE else availability
