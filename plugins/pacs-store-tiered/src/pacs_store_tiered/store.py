"""An object store of up to three others: what is not needed often lies where room costs less."""

import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

from pacs_core.api.copying import (
    ExpectedContent,
    Pace,
    ReadPace,
    copy_verified,
    verify_content,
)
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Availability,
    DamagedObjectError,
    InstanceIdentity,
    NotOnlineError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    QueueStatus,
    StorageFullError,
    StoredInstance,
    StoredObject,
    WrappingStore,
)
from pacs_store_tiered.locks import KeyLocks
from pacs_store_tiered.observing import StoreObserver
from pacs_store_tiered.reader import TieredReader
from pacs_store_tiered.tiers import Tiers
from pacs_store_tiered.writer import TieredWriter

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

_AS_FAST_AS_IT_CAN = ReadPace(0.0)


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
    observer : StoreObserver
        Told of what is read and recalled.
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
        self.observer = StoreObserver()
        self._tiers = Tiers(tiers, nearline, offline)
        self._stores = self._tiers.stores
        super().__init__(self._stores[0])
        self.shared = all(each.shared for each in self._stores)
        self.always_online = False  # a lower tier may be away
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
        self._tiers.check_keys()

    def is_nearline(self, tier: str) -> bool:
        """Tell whether nobody reads from a tier directly."""
        return self._tiers.names.index(tier) in self._tiers.nearline

    def is_offline(self, tier: str) -> bool:
        """Tell whether a tier is said to be away."""
        return self._tiers.names.index(tier) in self._tiers.offline

    # --- storing

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return TieredWriter(self._tiers, self._locks, super().writer(identity, durable=durable))

    def writer_at(self, key: str, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return TieredWriter(self._tiers, self._locks, super().writer_at(key, durable=durable))

    @property
    def queues(self) -> Sequence[QueueStatus]:
        """See base."""
        return [each for store in self._stores for each in store.queues]

    async def deposit(self, keys: Sequence[str]) -> None:
        """See base; an object that moved down is where it is to stay already."""
        await self.wrapped.deposit(keys)

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
            if place in self._tiers.offline:
                away = NotOnlineError(key, Availability.OFFLINE, self._tiers.why_away(place))
                continue
            try:
                if place in self._tiers.nearline:
                    await self._tiers.refuse_nearline(place, key)
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
                away = NotOnlineError(
                    key, Availability.OFFLINE, f"{self._tiers.why_away(place)}: {error}"
                )
                continue
            self.observer.note_use(key)
            reader = TieredReader(self, key, place, opened)
            self._readers.add(reader)
            return reader, data
        raise away or ObjectNotFoundError(key)

    async def open_below(self, key: str, place: int) -> list[tuple[int, ObjectReader]]:
        """Open an object in the first tier below one, though it be nearline, for a reader of it."""
        for below in range(place + 1, len(self._stores)):
            with suppress(ObjectNotFoundError):
                return [(below, await self._stores[below].open(key))]
        return []

    # --- deleting, listing

    async def delete(self, key: str) -> None:
        """See base; refuses while a tier is offline, in which the object may lie as well."""
        if self._tiers.offline:
            why = ", ".join(map(self._tiers.why_away, self._tiers.offline))
            raise NotOnlineError(key, Availability.OFFLINE, f"not deleted, for {why}")
        async with self._locks.locked(key):
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
        """See base; one of which two tiers have a copy comes twice, lest a moving one be missed.

        Raises
        ------
        NotOnlineError
            At the end: what a tier has that is offline cannot be listed. An index that is made
            of the rest, or a copy, would lack it.
        """
        for place, store in enumerate(self._stores):
            if place in self._tiers.offline:
                continue
            async with closing(store.objects()) as found:
                async for stored in found:
                    yield stored
        for place in self._tiers.offline:
            why = f"its objects cannot be listed, for {self._tiers.why_away(place)}"
            raise NotOnlineError(self._tiers.names[place], Availability.OFFLINE, why)

    async def variants(self, key: str) -> Sequence[str]:
        """See base."""
        found: dict[str, None] = {}
        for place, store in enumerate(self._stores):
            if place not in self._tiers.offline:
                found |= dict.fromkeys(await store.variants(key))
        return list(found)

    # --- what is not online

    async def availability(self, keys: Sequence[str]) -> Sequence[Availability]:
        """See base."""
        return await self._tiers.availability(keys)

    async def places(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the highest tier that has each object; what is out of reach is left out."""
        return await self._tiers.places(keys)

    async def recall(self, keys: Sequence[str]) -> AsyncIterator[str]:
        """See base."""
        places = await self.places(keys)
        for place, (name, store) in enumerate(self.tiers.items()):
            here = [key for key in keys if places.get(key) == name]
            if not here:
                continue
            async with closing(store.recall(here)) as recalled:
                async for key in recalled:
                    if place in self._tiers.nearline and not await self._bring(key, name):
                        continue
                    self.observer.note_use(key)
                    yield key

    async def _bring(self, key: str, tier: str) -> bool:
        try:
            size = await self.fetch(key)
        except (OSError, ObjectNotFoundError) as error:
            _log.error("object %s cannot be recalled: %s", key, error)
            return False
        if size:
            self.observer.note_recall(key, tier, size)
        return True

    # --- moving

    async def fetch(self, key: str, *, expected: StoredInstance | None = None) -> int:
        """Copy an object to the top, and leave it where it is as well; return its size, or 0.

        0 if it was there already.

        Raises
        ------
        ObjectNotFoundError, DamagedObjectError, StorageFullError
        """
        async with self._locks.locked(key):
            tier = (await self.places([key])).get(key)
            if tier is None:
                raise ObjectNotFoundError(key)
            if self.tiers[tier] is self.wrapped:
                return 0
            return await _copy(key, self.tiers[tier], self.wrapped, expected)

    async def move(
        self,
        key: str,
        target: str,
        *,
        expected: StoredInstance | None = None,
        pace: Pace = _AS_FAST_AS_IT_CAN,
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
        pace : callable
            Waited for with the size of each chunk that was read.

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
        last = self._tiers.names.index(target)
        size = 0
        async with self._locks.locked(key):
            for place in range(last):
                if place in self._tiers.offline:
                    continue
                source = self._stores[place]
                if (await source.availability([key]))[0] is Availability.UNAVAILABLE:
                    continue
                size = await _copy(key, source, self._stores[last], expected, pace)
                await source.delete(key)
            if not size and not await self.places([key]):
                raise ObjectNotFoundError(key)
        return size

    async def mend(self, key: str, expected: StoredInstance) -> str:
        """Put a whole copy in the place of damaged ones above it; return its tier.

        An upper copy goes only once a lower one was read and found to be what is expected.

        Returns
        -------
        str
            Name of the tier that had it; empty if no other copy is whole.
        """
        content = _content_of(expected)
        async with self._locks.locked(key):
            held: list[ObjectStore] = []
            for place, store in enumerate(self._stores):
                if place in self._tiers.offline:
                    continue
                if (await store.availability([key]))[0] is Availability.UNAVAILABLE:
                    continue
                if held and await _is_whole(store, key, content):
                    for damaged in held:
                        await damaged.delete(key)
                    with suppress(StorageFullError):  # it is read where it is, then
                        await _copy(key, store, held[0], expected)
                    return self._tiers.names[place]
                held.append(store)
        return ""


def _content_of(expected: StoredInstance) -> ExpectedContent:
    return ExpectedContent(expected.size, expected.dataset_offset, expected.digest)


async def _is_whole(store: ObjectStore, key: str, content: ExpectedContent) -> bool:
    try:
        async with await store.open(key) as reader:
            await verify_content(reader, key, content)
    except (DamagedObjectError, ObjectNotFoundError, OSError) as error:
        _log.warning("object %s has no whole copy in a lower tier: %s", key, error)
        return False
    return True


async def _copy(
    key: str,
    source: ObjectStore,
    target: ObjectStore,
    expected: StoredInstance | None,
    pace: Pace = _AS_FAST_AS_IT_CAN,
) -> int:
    content = None if expected is None else _content_of(expected)
    async with await source.open(key) as reader, target.writer_at(key) as writer:
        copy = await copy_verified(reader, target, writer, expected=content, pace=pace)
    return copy.size
