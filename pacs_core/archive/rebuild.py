"""The index made again from the store alone.

File meta information and header of each object are read, some objects at a time, so that memory
stays bounded however large the archive is. Instances are first indexed as they are stored. The
entries of the log of corrections, which lie among the objects, are then entered, and applied to the
instances that they are about.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from attrs import define, evolve, field, frozen

from pacs_core.archive.correction_objects import CORRECTION_CLASS, read_correction
from pacs_core.archive.corrections import Corrections
from pacs_core.archive.deletion_bin import NodeBin
from pacs_core.archive.fixity import Fixity
from pacs_core.archive.locks import KeyedLocks
from pacs_core.archive.object_scan import (
    AT_ONCE,
    describe_set_aside,
    map_concurrently,
    try_record,
    with_digest,
)
from pacs_core.archive.objects import read_meta
from pacs_core.archive.settings import CharacterSetOf, no_character_set
from pacs_core.contracts import (
    Correction,
    Difference,
    DifferenceKind,
    Index,
    InstancePath,
    InstanceRecord,
    InvalidInstanceError,
    Level,
    ObjectNotFoundError,
    ObjectStore,
    Query,
    StoredInstance,
    StoredObject,
)

# Theory of operation
#
# A rebuild has to come to the same index as the node had, from objects alone, in whatever order the
# store lists them, and while the node goes on. Each of these is met by a rule of its own:
#
#   objects alone    what an index knows and a dataset does not say (its digest, which of several
#                    objects of one UID is served) is written into the object when it is stored,
#                    as Private Information of its file meta information
#
#   any order        of two objects with one UID the better (`_position`) wins whichever comes
#                    first; a lock for each UID keeps two that come at once from both losing
#
#   the node at work the new index is filled beside the one that answers, if it can be; what was
#                    done to that one meanwhile is done again at the end (`follow`)
#
# Corrections are entries of a log, which lie among the objects. They are applied in a second pass:
# a correction may be about what an earlier one has made, so the log must be whole before the first
# is applied, and the first objects are indexed long before the last entry is found.
#
# Nothing is resumed after a rebuild that died: starting again is as simple as it was before. Until
# it is done, the index either answers as before or knows that it may lack instances.

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
    corrections : int
        Entries of the log of corrections among them.
    indexed : int
        Instances in the index.
    set_aside, unreadable : int
        Objects that are not in the index, because another is served under their UID, or because
        they are no valid instances.
    differences : list of Difference
        The first of those, by name.
    """

    objects: int = 0
    corrections: int = 0
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

    def displace(self, difference: Difference) -> None:
        """Count an instance that was in the index, and is not any more."""
        self.indexed -= 1
        self.name(difference)

    def name(self, difference: Difference) -> None:
        """Count and log what there is to say about an object."""
        _log.warning("index rebuild: %s", difference)
        self.set_aside += difference.kind is DifferenceKind.SET_ASIDE
        self.unreadable += difference.kind is DifferenceKind.UNREADABLE
        if len(self.differences) < NAMED:
            self.differences.append(difference)


@frozen
class IndexFilling:
    """An index that is filled from objects, in whatever order they come.

    Attributes
    ----------
    store : ObjectStore
    index : Index
    character_set_of : CharacterSetOf
    corrections : Corrections
        Those that the index has.
    found : dict of str to Correction
        Entries of the log that were taken, and are not in the index yet, by key.
    locks : KeyedLocks
        By SOP Instance UID.
    """

    store: ObjectStore
    index: Index
    character_set_of: CharacterSetOf
    corrections: Corrections
    found: dict[str, Correction] = field(factory=dict)
    locks: KeyedLocks = field(factory=KeyedLocks)

    async def take(self, stored: StoredObject) -> Difference | None:
        """Index an object, as the corrections make it that the index has; keep an entry of the log.

        Taking one again is harmless.
        """
        record = await try_record(
            self.store,
            stored,
            self.index.wanted_tags,
            self.character_set_of,
            self.corrections,
        )
        if not isinstance(record, InstanceRecord):
            return record
        if record.instance.identity.sop_class_uid == CORRECTION_CLASS:
            try:
                self.found[stored.key] = await read_correction(self.store, stored.key)
            except (InvalidInstanceError, ObjectNotFoundError, OSError) as error:
                return Difference(DifferenceKind.UNREADABLE, stored.key, detail=str(error))
            return None
        if not record.instance.digest:
            record = await with_digest(self.store, record)
        async with self.locks.hold(record.instance.identity.sop_instance_uid):
            return await self._add(record)

    async def correct(self) -> AsyncGenerator[Difference, None]:
        """Enter what the store has of corrections, and apply it to the instances.

        The whole log must be known before: a correction may apply to what another has made.
        """
        if not self.found or (log := self.index.correction_log) is None:
            return
        ordered = sorted(self.found.values(), key=lambda entry: (entry.number, entry.time))
        number = max([entry.number for entry in await log.corrections()], default=0)
        for entry in ordered:
            # One that was never acknowledged may have the number of one that was.
            number = max(number + 1, entry.number)
            await log.add(evolve(entry, number=number))
        await self.corrections.refresh()
        async with aclosing(map_concurrently(self._correct, self._paths())) as corrected:
            async for difference in corrected:
                if difference is not None:
                    yield difference
        for entry in await log.corrections():
            await log.settle(entry.number)

    async def _paths(self) -> AsyncIterator[InstancePath]:
        paths: dict[InstancePath, None] = {}
        for entry in self.corrections.entries:
            if entry.is_in_force:
                query = Query(Level.IMAGE, entry.entity.conditions)
                async for instance in self.index.instances(query):
                    paths[instance.identity.path] = None
        for path in paths:
            yield path

    async def _correct(self, path: InstancePath) -> Difference | None:
        async with self.locks.hold(path.sop_instance_uid):
            stored = await self.index.locate(path)
            if stored is None:
                return None
            record = await try_record(
                self.store,
                StoredObject(stored.key, stored.size),
                self.index.wanted_tags,
                self.character_set_of,
                self.corrections,
            )
            if not isinstance(record, InstanceRecord):
                return record
            # The first pass may have taken the digest of what is there: that is not done twice.
            instance = evolve(record.instance, digest=stored.digest)
            if instance.identity.path == path:
                await self.index.replace(evolve(record, instance=instance))
                return None
            await self.index.remove(path)
            # The correction gave it another UID: under that one it may meet others.
            return await self._add(evolve(record, instance=instance))

    async def _add(self, record: InstanceRecord) -> Difference | None:
        newcomer = record.instance
        existing = (await self.index.add(record)).existing
        if existing is None or existing.key == newcomer.key:
            return None
        # What was added first stays unless the newcomer is better: a store lists in no order.
        served, other = existing, newcomer
        if await self._position(newcomer) < await self._position(existing):
            served, other = newcomer, existing
        if served is newcomer:
            await self.index.replace(record)
        return describe_set_aside(other, served)

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
        # The node may have made a correction after the log was read.
        if not self.corrections.knows(served.corrections):
            await self.corrections.refresh()
        record = await try_record(
            self.store, stored, self.index.wanted_tags, self.character_set_of, self.corrections
        )
        if not isinstance(record, InstanceRecord):
            await self.index.remove(path)
            return record
        await self.index.replace(evolve(record, instance=served))
        return None


async def rebuild_index(
    store: ObjectStore,
    index: Index,
    *,
    progress: Callable[[RebuildReport], None] | None = None,
    character_set_of: CharacterSetOf = no_character_set,
    waiting_bin: NodeBin | None = None,
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
    waiting_bin : NodeBin, optional
        What is in it was deleted, and is left out.

    Returns
    -------
    RebuildReport
    """
    report = RebuildReport()
    async with index.rebuilding() as building:
        corrections = Corrections(building.index.correction_log)
        rebuild = IndexFilling(store, building.index, character_set_of, corrections)
        objects = (waiting_bin or NodeBin()).leave_out(store.objects())
        async with aclosing(map_concurrently(rebuild.take, objects)) as taken:
            async for difference in taken:
                report.note(difference)
                if progress is not None and report.objects % AT_ONCE == 0:
                    progress(report)
        report.corrections = len(rebuild.found)
        # They were counted as objects without a difference, but are no instances.
        report.indexed -= report.corrections
        async with aclosing(rebuild.correct()) as displaced:
            async for difference in displaced:
                report.displace(difference)
        if progress is not None:
            progress(report)
        async with aclosing(building.changes()) as changes:
            async for path, served in changes:
                if (difference := await rebuild.follow(path, served)) is not None:
                    report.name(difference)
    return report
