"""An index that is a dictionary, and looks at everything for every query: the contract, plainly.

It can be compared with, and stands behind nodes of tests, with whatever attributes it is to keep.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from anyio.lowlevel import checkpoint
from attrs import evolve

from pacs_core.contracts import (
    ChangeKind,
    Conflict,
    Durability,
    Index,
    IndexResult,
    InstancePath,
    InstanceRecord,
    Level,
    Query,
    StoredInstance,
)
from pacs_core.dataset import Attributes, Value, tag_of
from pacs_core.testing.memory_changes import MemoryChangeLog
from pacs_core.testing.memory_corrections import MemoryCorrectionLog
from pacs_core.testing.memory_entities import Entities, Path, header_of
from pacs_core.testing.memory_leases import MemoryLeases
from pacs_core.testing.memory_metadata import KeptMetadata, MemoryMetadata


class IndexCatalog:
    """Which attributes an index keeps, by the level to which they belong (PS3.4 C.3, C.6).

    Parameters
    ----------
    kept : mapping of Level to str
        Keywords with spaces between them.

    Attributes
    ----------
    kept : mapping of Level to frozenset of int
        By tag.
    wanted : frozenset of int
        All of them.
    """

    def __init__(self, kept: Mapping[Level, str]) -> None:
        self.kept = {level: _tags(keywords) for level, keywords in kept.items()}
        self.wanted = frozenset[int]().union(*self.kept.values())

    def searchable(self, level: Level) -> frozenset[int]:
        """Return the tags of a level and those above it, computed ones included."""
        above = [each for each in Level if each.depth <= level.depth]
        return frozenset[int]().union(*(self.kept[each] | COMPUTED[each] for each in above))


def _tags(keywords: str) -> frozenset[int]:
    return frozenset(map(tag_of, keywords.split()))


COMPUTED: Final = {
    Level.PATIENT: _tags(
        "NumberOfPatientRelatedStudies NumberOfPatientRelatedSeries NumberOfPatientRelatedInstances"
    ),
    Level.STUDY: _tags(
        "ModalitiesInStudy SOPClassesInStudy NumberOfStudyRelatedSeries "
        "NumberOfStudyRelatedInstances"
    ),
    Level.SERIES: _tags("NumberOfSeriesRelatedInstances"),
    Level.IMAGE: _tags(""),
}
"""What is worked out from the instances, by tag (PS3.4 C.3.4)."""


class MemoryIndex(Index):
    """Keeps records in a dictionary by path, and works everything else out from them.

    Parameters
    ----------
    catalog : IndexCatalog
        The attributes that it keeps.
    """

    def __init__(self, catalog: IndexCatalog) -> None:
        self._catalog = catalog
        self._records: dict[InstancePath, InstanceRecord] = {}
        self._headers: Counter[Path] = Counter()
        self._uids: Counter[str] = Counter()
        self._unflushed: set[InstancePath] = set()
        self._change_log = MemoryChangeLog(self._has_study)
        self._leases = MemoryLeases()
        self._metadata = KeptMetadata(lambda: self._records)
        self._correction_log = MemoryCorrectionLog()

    @property
    def change_log(self) -> MemoryChangeLog:
        """See base."""
        return self._change_log

    @property
    def leases(self) -> MemoryLeases:
        """Leases of whoever has this index."""
        return self._leases

    def prepared_metadata(self, form: str) -> MemoryMetadata:
        """See base."""
        return MemoryMetadata(self, self._metadata, form)

    @property
    def correction_log(self) -> MemoryCorrectionLog:
        """See base."""
        return self._correction_log

    def _has_study(self, study_instance_uid: str) -> bool:
        return any(path.study_instance_uid == study_instance_uid for path in self._records)

    @property
    def wanted_tags(self) -> frozenset[int]:
        """Tags of the attributes that the index keeps."""
        return self._catalog.wanted

    def searchable_tags(self, level: Level) -> frozenset[int]:
        """Tags of the level and those above it, computed ones included."""
        return self._catalog.searchable(level)

    async def add(
        self, record: InstanceRecord, *, durability: Durability = Durability.COMMIT
    ) -> IndexResult:
        """Add an instance unless its path is taken."""
        await checkpoint()
        path = record.instance.identity.path
        if path in self._records:
            return IndexResult(self._records[path].instance)
        conflicts = self._put(record)
        self._change_log.note_instance(ChangeKind.ADDED, record.instance)
        if durability is Durability.WRITE_BEHIND:
            self._unflushed.add(path)
        return IndexResult(None, conflicts)

    async def unflushed(self) -> AsyncIterator[StoredInstance]:
        """Iterate over what is not settled, as it was at the start."""
        for path in sorted(self._unflushed):
            await checkpoint()
            if path in self._unflushed:
                yield self._records[path].instance

    async def settle(self, paths: Sequence[InstancePath]) -> None:
        """Forget that objects were not on disk."""
        await checkpoint()
        self._unflushed.difference_update(paths)

    async def replace(self, record: InstanceRecord) -> IndexResult:
        """Add an instance, in place of another if need be."""
        await checkpoint()
        path = record.instance.identity.path
        unflushed = path in self._unflushed
        former = self._take(path)
        conflicts = self._put(record)
        if former is None:
            kind = ChangeKind.ADDED
        elif former.key != record.instance.key:
            kind = ChangeKind.REPLACED
        else:
            kind = ChangeKind.UPDATED
            if unflushed:
                self._unflushed.add(path)
        self._change_log.note_instance(kind, record.instance)
        return IndexResult(former, conflicts)

    async def remove(self, path: InstancePath) -> StoredInstance | None:
        """Remove an instance."""
        await checkpoint()
        removed = self._take(path)
        if removed is not None:
            self._change_log.note_instance(ChangeKind.REMOVED, removed)
        return removed

    async def locate(self, path: InstancePath) -> StoredInstance | None:
        """Return the instance with this path."""
        await checkpoint()
        record = self._records.get(path)
        return record.instance if record else None

    async def conflicts(self) -> AsyncIterator[Conflict]:
        """Iterate over all conflicts."""
        for conflict in self._entities().conflicts():
            await checkpoint()
            yield conflict

    async def clear(self) -> None:
        """Remove everything."""
        await checkpoint()
        for held in (self._records, self._headers, self._uids, self._unflushed):
            held.clear()
        self._metadata.clear()
        self._correction_log.clear()

    async def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Iterate over matching entities, in the order in which they arrived."""
        known = query.returning & self._catalog.searchable(query.level)
        for attributes in self._entities().find(query).values():
            await checkpoint()
            yield {tag: attributes.get(tag, ()) for tag in known}

    async def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Iterate over the instances below matching entities."""
        for instance in self._entities().instances(query):
            await checkpoint()
            yield instance

    def _entities(self) -> Entities:
        return Entities(list(self._records.values()), self._catalog.kept)

    def _put(self, record: InstanceRecord) -> tuple[Conflict, ...]:
        record = evolve(record, attributes=_encodable(record.attributes))
        path, header = record.instance.identity.path, header_of(record, self._catalog.kept)
        # Nothing new can be said by an instance that says what others do.
        known = self._headers[header] and not self._uids[path.sop_instance_uid]
        before = frozenset() if known else _conflicts_named(self._entities())
        self._records[path] = record
        self._headers[header] += 1
        self._uids[path.sop_instance_uid] += 1
        if known:
            return ()
        found = self._entities().conflicts()
        return tuple(conflict for conflict in found if _name(conflict) not in before)

    def _take(self, path: InstancePath) -> StoredInstance | None:
        self._unflushed.discard(path)
        record = self._records.pop(path, None)
        if record is None:
            return None
        self._metadata.forget(path)
        self._headers[header_of(record, self._catalog.kept)] -= 1
        self._uids[path.sop_instance_uid] -= 1
        return record.instance


def _name(conflict: Conflict) -> tuple[object, ...]:
    return conflict.kind, conflict.uid, conflict.attribute, conflict.study_instance_uid


def _conflicts_named(entities: Entities) -> frozenset[tuple[object, ...]]:
    return frozenset(map(_name, entities.conflicts()))


def _encodable(attributes: Attributes) -> Attributes:
    """Return attributes without lone surrogates, which no answer could carry."""
    return {tag: tuple(_clean(value) for value in values) for tag, values in attributes.items()}


def _clean(value: Value) -> Value:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return _encodable(value)
