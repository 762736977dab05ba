"""The index compared with the store.

File meta information and header of each object are read, some objects at a time, so that memory
stays bounded however large the archive is.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing
from typing import Final

import anyio
from attrs import evolve, frozen

from pacs_core.archive.correction_objects import CORRECTION_CLASS, read_correction
from pacs_core.archive.corrections import Corrections
from pacs_core.archive.deletion_bin import NodeBin
from pacs_core.archive.incoming_instance import SOP_INSTANCE, STUDY
from pacs_core.archive.object_scan import (
    describe_set_aside,
    map_concurrently,
    try_record,
)
from pacs_core.archive.objects import same_dataset
from pacs_core.archive.recall import has_object, is_online
from pacs_core.archive.settings import CharacterSetOf, no_character_set
from pacs_core.contracts import (
    Correction,
    Difference,
    DifferenceKind,
    Index,
    InstanceRecord,
    InvalidInstanceError,
    Level,
    NotOnlineError,
    ObjectNotFoundError,
    ObjectStore,
    Query,
    SingleValue,
    StoredInstance,
    StoredObject,
)
from pacs_core.dataset import Attributes, keyword_of

_LOOKS: Final = 20
_PAUSE: Final = 0.05
"""Seconds between two looks at an index that is empty."""
_ON_THEIR_WAY: Final = 500
"""Objects that a node may have made, and not indexed yet, when it is killed."""

# Theory of operation
#
# Store and index are compared from both sides, since neither knows what it lacks. Every object is
# asked what it is and looked up in the index: that finds orphans, what was set aside, and rows that
# say other things than their objects. Every row is then looked for in the store: that finds lost
# objects. Both go over the whole archive some at a time, and hold nothing that grows with it.
#
# Only what belongs to the instance itself is compared by value. The index has one row for a series,
# a study and a patient, taken from one instance of theirs, and others may contradict it (PS3.3 does
# not let them, but they do): that is a conflict, with reports of its own, and no fault of the
# index.
#
# A comparison on a node at work is of two things that move. It asks the index about each object at
# that moment instead of comparing two lists, so few differences are those of time; what remains
# goes away when it is run again.


@frozen
class _Verification:
    store: ObjectStore
    index: Index
    compared: frozenset[int]
    character_set_of: CharacterSetOf
    corrections: Corrections

    async def of_object(self, stored: StoredObject) -> list[Difference]:
        """Compare an object with what the index says; one that is not online is passed over."""
        if not await is_online(self.store, stored.key):
            return []
        record = await try_record(
            self.store, stored, self.index.wanted_tags, self.character_set_of, self.corrections
        )
        if record is None:
            return []
        if isinstance(record, Difference):
            return [record]
        instance = record.instance
        uid = instance.identity.sop_instance_uid
        if instance.identity.sop_class_uid == CORRECTION_CLASS:
            # Entries of the log lie among the objects, and have no row as instances have.
            known = any(entry.key == stored.key for entry in self.corrections.entries)
            orphan = Difference(DifferenceKind.ORPHAN, stored.key, uid, "a correction")
            return [] if known else [orphan]
        indexed = await self.index.locate(instance.identity.path)
        if indexed is None:
            return [Difference(DifferenceKind.ORPHAN, stored.key, uid)]
        # No fault: somebody may want it back, for which the content has to be looked at.
        if indexed.key != stored.key:
            return [
                await self._compare_content(
                    describe_set_aside(instance, indexed), instance, indexed
                )
            ]
        details = [*_unlike(indexed, instance), *await self._unlike_attributes(record)]
        return [Difference(DifferenceKind.DIFFERS, stored.key, uid, text) for text in details]

    async def _compare_content(
        self, difference: Difference, other: StoredInstance, served: StoredInstance
    ) -> Difference:
        try:
            same = await same_dataset(self.store, other, served)
        except ObjectNotFoundError:
            return difference
        content = "the same content" if same else "other content"
        return evolve(difference, detail=f"{content}: {served.key} is served")

    async def _unlike_attributes(self, record: InstanceRecord) -> list[str]:
        path = record.instance.identity.path
        names = (SingleValue(STUDY, path[0]), SingleValue(SOP_INSTANCE, path[1]))
        query = Query(Level.IMAGE, names, self.compared, limit=1)
        indexed: Attributes = {}
        async for result in self.index.search(query):
            indexed = result
        return [
            f"{keyword_of(tag)} is {_shown(indexed, tag)}, the object has "
            f"{_shown(record.attributes, tag)}"
            for tag in sorted(self.compared)
            if indexed.get(tag, ()) != record.attributes.get(tag, ())
        ]

    async def of_row(self, instance: StoredInstance) -> Difference | None:
        """Look whether an indexed instance has its object."""
        if await has_object(self.store, instance.key):
            return None
        uid = instance.identity.sop_instance_uid
        return Difference(DifferenceKind.MISSING, instance.key, uid)

    async def of_correction(self, entry: Correction) -> Difference | None:
        """Look whether an entry of the log has its object."""
        try:
            if await is_online(self.store, entry.key):
                await read_correction(self.store, entry.key)
        except ObjectNotFoundError:
            what = f"correction {entry.number}"
            return Difference(DifferenceKind.MISSING, entry.key, detail=what)
        except (InvalidInstanceError, OSError) as error:
            return Difference(DifferenceKind.DAMAGED, entry.key, detail=str(error))
        return None


def _traits(instance: StoredInstance) -> dict[str, object]:
    return {
        "size": instance.size,
        "dataset offset": instance.dataset_offset,
        "transfer syntax": instance.transfer_syntax_uid,
        "SOP Class UID": instance.identity.sop_class_uid,
        "Study Instance UID": instance.identity.study_instance_uid,
        "Series Instance UID": instance.identity.series_instance_uid,
        "correction": " ".join(map(str, instance.corrections)) or "none",
    }


def _unlike(indexed: StoredInstance, found: StoredInstance) -> list[str]:
    actual = _traits(found)
    unlike = [
        f"{name} is {value}, the object has {actual[name]}"
        for name, value in _traits(indexed).items()
        if value != actual[name]
    ]
    # Objects from before there were digests say nothing of theirs.
    if found.digest not in (b"", indexed.digest):
        unlike.append(f"digest is {indexed.digest.hex()!r}, the object has {found.digest.hex()}")
    return unlike


def _shown(attributes: Attributes, tag: int) -> str:
    return repr("\\".join(str(value) for value in attributes.get(tag, ())))[:80]


async def find_gap(
    store: ObjectStore,
    index: Index,
    waiting_bin: NodeBin | None = None,
    journaled: Collection[str] = frozenset(),
) -> str:
    """Return why an index that was just started may lack instances; empty if it should not.

    An index without any instance, beside a store with objects, was lost or never made: this is
    noted in the index, so that what comes later does not make it look like a whole one.

    One that was here when the store had no objects, which is noted as well, is taken for whole: the
    few objects there are came when the node was killed before their rows, and were acknowledged to
    nobody.

    Parameters
    ----------
    store : ObjectStore
    index : Index
    waiting_bin : NodeBin, optional
    journaled : collection of str
        Keys of objects that need not have a row yet: a journal has them.
    """
    if reason := await index.gap():
        return reason
    log = index.correction_log
    # An archive from which all was deleted keeps its corrections.
    # Looked at with each start, so that an index that was lost at rest is not taken for a new one.
    if not await index.is_empty() or (log is not None and await log.corrections()):
        return ""
    is_known = await index.has_no_gap()
    listed = (waiting_bin or NodeBin()).leave_out(store.objects())
    objects = await _count_objects(listed, journaled, _ON_THEIR_WAY + 1 if is_known else 1)
    if not objects and not is_known:
        await index.note_gap("")
    # Many objects are those of a store that was not mounted at the first start.
    if objects <= (_ON_THEIR_WAY if is_known else 0) or not await _stays_empty(index):
        return ""
    reason = "it was empty or missing while the object store had objects"
    await index.note_gap(reason)
    return reason


async def _stays_empty(index: Index) -> bool:
    """Tell an empty index from one that gets its first row just now.

    Another worker, or another node, may be storing the first instance of all, whose object is there
    before its row. If its index had been lost, it would have noted that when it started.
    """
    for _ in range(_LOOKS):
        if not await index.is_empty():
            return False
        await anyio.sleep(_PAUSE)
    return True


async def _count_objects(
    objects: AsyncGenerator[StoredObject, None], but: Collection[str], most: int
) -> int:
    """Count objects of a store but some, up to so many."""
    count = 0
    try:
        async for stored in objects:
            count += stored.key not in but
            if count == most:
                break
    except NotOnlineError:  # what cannot be listed is there
        return most
    finally:
        await objects.aclose()
    return count


async def verify_index(
    store: ObjectStore,
    index: Index,
    character_set_of: CharacterSetOf = no_character_set,
    waiting_bin: NodeBin | None = None,
) -> AsyncIterator[Difference]:
    """Name every difference between store and index.

    Attributes are compared where they belong to the instance itself: those of series, study and
    patient may lawfully come from another instance. On a node that is at work, instances that
    come or go meanwhile may show up as differences. What the index itself says of its state comes
    first; where it is damaged, the rest is not looked at. Of objects that are not online it is only
    asked whether they are there. What waits in the deletion bin lawfully has no row.
    """
    if reason := await index.gap():
        yield Difference(DifferenceKind.GAP, "index", detail=reason)
    if damage := await index.damage():
        for detail in damage:
            yield Difference(DifferenceKind.DAMAGE, "index", detail=detail)
        return
    # What a level has includes those above it: only the rest is the instance's own.
    own = index.searchable_tags(Level.IMAGE) - index.searchable_tags(Level.SERIES)
    corrections = Corrections(index.correction_log)
    await corrections.refresh()
    verification = _Verification(
        store, index, own & index.wanted_tags, character_set_of, corrections
    )
    objects = (waiting_bin or NodeBin()).leave_out(store.objects())
    async with aclosing(map_concurrently(verification.of_object, objects)) as compared:
        async for differences in compared:
            for difference in differences:
                yield difference
    rows = index.instances(Query(Level.IMAGE))
    async with aclosing(map_concurrently(verification.of_row, rows)) as looked_for:
        async for missing in looked_for:
            if missing is not None:
                yield missing
    for entry in corrections.entries:
        if (lost := await verification.of_correction(entry)) is not None:
            yield lost
