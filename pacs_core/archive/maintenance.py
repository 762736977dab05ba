"""The index made again from the store, and compared with it.

Both read file meta information and header of each object, some objects at a time, so that memory
stays bounded however large the archive is.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from attrs import define, evolve, field, frozen

from pacs_core.archive.fixity import Fixity
from pacs_core.archive.incoming_instance import SOP_INSTANCE, STUDY
from pacs_core.archive.locks import KeyedLocks
from pacs_core.archive.object_scan import (
    AT_ONCE,
    Difference,
    DifferenceKind,
    map_concurrently,
    try_record,
    with_digest,
)
from pacs_core.archive.objects import read_meta, same_dataset
from pacs_core.archive.recall import has_object, is_online
from pacs_core.archive.settings import CharacterSetOf, no_character_set
from pacs_core.contracts import (
    Index,
    InstancePath,
    InstanceRecord,
    Level,
    ObjectNotFoundError,
    ObjectStore,
    Query,
    SingleValue,
    StoredInstance,
    StoredObject,
)
from pacs_core.dataset import Attributes, keyword_of

_log = logging.getLogger(__name__)

NAMED = 1000
"""Differences that a report names; it counts all of them, and all are logged."""


@define
class RebuildReport:
    """What a rebuild has done so far.

    Attributes
    ----------
    objects : int
        Objects seen in the store.
    indexed : int
        Instances in the index.
    set_aside, unreadable : int
        Objects that are not in the index, because another is served under their UID, or because
        they are no valid instances.
    differences : list of Difference
        The first of those, by name.
    """

    objects: int = 0
    indexed: int = 0
    set_aside: int = 0
    unreadable: int = 0
    differences: list[Difference] = field(factory=list)

    def note(self, difference: Difference | None) -> None:
        """Count an object, and what there is to say about it."""
        self.objects += 1
        if difference is None:
            self.indexed += 1
            return
        self.name(difference)

    def name(self, difference: Difference) -> None:
        """Count and log what there is to say about an object."""
        _log.warning("index rebuild: %s", difference)
        self.set_aside += difference.kind is DifferenceKind.SET_ASIDE
        self.unreadable += difference.kind is DifferenceKind.UNREADABLE
        if len(self.differences) < NAMED:
            self.differences.append(difference)


@frozen
class _Rebuild:
    store: ObjectStore
    index: Index
    character_set_of: CharacterSetOf
    locks: KeyedLocks = field(factory=KeyedLocks)

    async def take(self, stored: StoredObject) -> Difference | None:
        record = await try_record(self.store, stored, self.index.wanted_tags, self.character_set_of)
        if not isinstance(record, InstanceRecord):
            return record
        if not record.instance.digest:
            record = await with_digest(self.store, record)
        async with self.locks.hold(record.instance.identity.sop_instance_uid):
            return await self._add(record)

    async def _add(self, record: InstanceRecord) -> Difference | None:
        newcomer = record.instance
        existing = (await self.index.add(record)).existing
        if existing is None or existing.key == newcomer.key:
            return None
        served, other = existing, newcomer
        if await self._position(newcomer) < await self._position(existing):
            served, other = newcomer, existing
        if served is newcomer:
            await self.index.replace(record)
        return _set_aside(other, served)

    async def _position(self, instance: StoredInstance) -> tuple[int, int, str]:
        """Order objects of one UID by rank; a key without a variant is the shortest."""
        try:
            async with await self.store.open(instance.key) as reader:
                rank = Fixity.read(await read_meta(reader)).rank
        except ObjectNotFoundError:
            # A node at work has replaced it meanwhile.
            rank = -1
        return -rank, len(instance.key), instance.key

    async def follow(self, path: InstancePath, served: StoredInstance | None) -> Difference | None:
        """Do what was done to the index that answers while this one was filled."""
        if served is None:
            await self.index.remove(path)
            return None
        stored = StoredObject(served.key, served.size)
        record = await try_record(self.store, stored, self.index.wanted_tags, self.character_set_of)
        if not isinstance(record, InstanceRecord):
            await self.index.remove(path)
            return record
        await self.index.replace(evolve(record, instance=served))
        return None


def _set_aside(other: StoredInstance, served: StoredInstance) -> Difference:
    uid = other.identity.sop_instance_uid
    return Difference(DifferenceKind.SET_ASIDE, other.key, uid, f"{served.key} is served")


async def rebuild_index(
    store: ObjectStore,
    index: Index,
    *,
    progress: Callable[[RebuildReport], None] | None = None,
    character_set_of: CharacterSetOf = no_character_set,
) -> RebuildReport:
    """Make the index again from the store alone.

    Meanwhile the node may be at work, see :meth:`Index.rebuilding`; a rebuild that was interrupted
    is simply run again. Of several objects with one SOP Instance UID the one is served that took
    the place of others last; else the one with the shortest key, the first in alphabetical order
    among those: in every store this is the key without a variant, hence the instance that arrived
    first. The others are reported as set aside. Digests are those that objects have of themselves;
    for one that has none, it is taken of what is there.

    Parameters
    ----------
    store : ObjectStore
    index : Index
    progress : callable, optional
        Called now and then with the report so far.
    character_set_of : CharacterSetOf
        As the archive has it when it ingests: objects name their sender.

    Returns
    -------
    RebuildReport
    """
    report = RebuildReport()
    async with index.rebuilding() as building:
        rebuild = _Rebuild(store, building.index, character_set_of)
        async with aclosing(map_concurrently(rebuild.take, store.objects())) as taken:
            async for difference in taken:
                report.note(difference)
                if progress is not None and report.objects % AT_ONCE == 0:
                    progress(report)
        if progress is not None:
            progress(report)
        async with aclosing(building.changes()) as changes:
            async for path, served in changes:
                if (difference := await rebuild.follow(path, served)) is not None:
                    report.name(difference)
    return report


@frozen
class _Verification:
    store: ObjectStore
    index: Index
    compared: frozenset[int]
    character_set_of: CharacterSetOf

    async def of_object(self, stored: StoredObject) -> list[Difference]:
        """Compare an object with what the index says; one that is not online is passed over."""
        if not await is_online(self.store, stored.key):
            return []
        record = await try_record(self.store, stored, self.index.wanted_tags, self.character_set_of)
        if record is None:
            return []
        if isinstance(record, Difference):
            return [record]
        instance = record.instance
        uid = instance.identity.sop_instance_uid
        indexed = await self.index.locate(instance.identity.path)
        if indexed is None:
            return [Difference(DifferenceKind.ORPHAN, stored.key, uid)]
        if indexed.key != stored.key:
            return [await self._described(_set_aside(instance, indexed), instance, indexed)]
        details = [*_unlike(indexed, instance), *await self._unlike_attributes(record)]
        return [Difference(DifferenceKind.DIFFERS, stored.key, uid, text) for text in details]

    async def _described(
        self, difference: Difference, other: StoredInstance, served: StoredInstance
    ) -> Difference:
        try:
            same = await same_dataset(self.store, other, served)
        except ObjectNotFoundError:
            return difference
        content = "the same content" if same else "other content"
        return evolve(difference, detail=f"{content}: {served.key} is served")

    async def _unlike_attributes(self, record: InstanceRecord) -> list[str]:
        indexed = await self._indexed_attributes(record.instance)
        return [
            f"{keyword_of(tag)} is {_shown(indexed, tag)}, the object has "
            f"{_shown(record.attributes, tag)}"
            for tag in sorted(self.compared)
            if indexed.get(tag, ()) != record.attributes.get(tag, ())
        ]

    async def _indexed_attributes(self, instance: StoredInstance) -> Attributes:
        path = instance.identity.path
        names = (SingleValue(STUDY, path[0]), SingleValue(SOP_INSTANCE, path[1]))
        query = Query(Level.IMAGE, names, self.compared, limit=1)
        found: Attributes = {}
        async for result in self.index.search(query):
            found = result
        return found

    async def of_row(self, instance: StoredInstance) -> Difference | None:
        """Look whether an indexed instance has its object."""
        if await has_object(self.store, instance.key):
            return None
        uid = instance.identity.sop_instance_uid
        return Difference(DifferenceKind.MISSING, instance.key, uid)


def _traits(instance: StoredInstance) -> dict[str, object]:
    return {
        "size": instance.size,
        "dataset offset": instance.dataset_offset,
        "transfer syntax": instance.transfer_syntax_uid,
        "SOP Class UID": instance.identity.sop_class_uid,
        "Study Instance UID": instance.identity.study_instance_uid,
        "Series Instance UID": instance.identity.series_instance_uid,
    }


def _unlike(indexed: StoredInstance, found: StoredInstance) -> list[str]:
    actual = _traits(found)
    unlike = [
        f"{name} is {value}, the object has {actual[name]}"
        for name, value in _traits(indexed).items()
        if value != actual[name]
    ]
    if found.digest not in (b"", indexed.digest):
        unlike.append(f"digest is {indexed.digest.hex()!r}, the object has {found.digest.hex()}")
    return unlike


def _shown(attributes: Attributes, tag: int) -> str:
    return repr("\\".join(str(value) for value in attributes.get(tag, ())))[:80]


async def find_gap(store: ObjectStore, index: Index) -> str:
    """Return why an index that was just started may lack instances; empty if it should not.

    An index without any instance, beside a store with objects, was lost or never made: this is
    noted in the index, so that what comes later does not make it look like a whole one.
    """
    reason = await index.gap()
    if not reason and await index.is_empty() and await _has_objects(store):
        reason = "it was empty or missing while the object store had objects"
        await index.note_gap(reason)
    return reason


async def _has_objects(store: ObjectStore) -> bool:
    objects = store.objects()
    try:
        async for _ in objects:
            return True
    finally:
        if isinstance(objects, AsyncGenerator):
            await objects.aclose()
    return False


async def verify_index(
    store: ObjectStore, index: Index, character_set_of: CharacterSetOf = no_character_set
) -> AsyncIterator[Difference]:
    """Name every difference between store and index.

    Attributes are compared where they belong to the instance itself: those of series, study and
    patient may lawfully come from another instance. On a node that is at work, instances that
    come or go meanwhile may show up as differences. What the index itself says of its state comes
    first; where it is damaged, the rest is not looked at. Of objects that are not online it is only
    asked whether they are there.
    """
    if reason := await index.gap():
        yield Difference(DifferenceKind.GAP, "index", detail=reason)
    if damage := await index.damage():
        for detail in damage:
            yield Difference(DifferenceKind.DAMAGE, "index", detail=detail)
        return
    own = index.searchable_tags(Level.IMAGE) - index.searchable_tags(Level.SERIES)
    verification = _Verification(store, index, own & index.wanted_tags, character_set_of)
    async with aclosing(map_concurrently(verification.of_object, store.objects())) as compared:
        async for differences in compared:
            for difference in differences:
                yield difference
    rows = index.instances(Query(Level.IMAGE))
    async with aclosing(map_concurrently(verification.of_row, rows)) as looked_for:
        async for missing in looked_for:
            if missing is not None:
                yield missing
