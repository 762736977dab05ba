"""An index that is a dictionary, and looks at everything for every query."""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from itertools import islice

from anyio.lowlevel import checkpoint
from attrs import evolve, frozen

from pacs_core.contracts import (
    Durability,
    Index,
    InstanceRecord,
    Level,
    Query,
    StoredInstance,
    matches,
)
from pacs_core.dataset import Attributes, MutableAttributes, Value, tag_of, texts
from pacs_memory_archive.attributes import COMPUTED, KEPT, SEARCHABLE, WANTED

_PATIENT_ID = tag_of("PatientID")
_ISSUER = tag_of("IssuerOfPatientID")
_STUDY = tag_of("StudyInstanceUID")
_MODALITY = tag_of("Modality")
_SOP_CLASS = tag_of("SOPClassUID")
_INSTANCE_NUMBER = tag_of("InstanceNumber")

Path = tuple[str, ...]
"""Identifies an entity: patient, study, series and instance, as far as its level goes."""


@frozen
class _Row:
    record: InstanceRecord
    path: Path


class MemoryIndex(Index):
    """Keeps records in a dictionary by SOP Instance UID.

    The attributes of patient, study and series are those of their first instance.
    """

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._unflushed: set[str] = set()

    @property
    def wanted_tags(self) -> frozenset[int]:
        """Tags of the attributes that the index keeps."""
        return WANTED

    def searchable_tags(self, level: Level) -> frozenset[int]:
        """Tags of the level and those above it, computed ones included."""
        return SEARCHABLE[level]

    async def add(
        self, record: InstanceRecord, *, durability: Durability = Durability.COMMIT
    ) -> StoredInstance | None:
        """Add an instance unless its UID is taken."""
        await checkpoint()
        record = evolve(record, attributes=_encodable(record.attributes))
        uid = record.instance.identity.sop_instance_uid
        if uid in self._rows:
            return self._rows[uid].record.instance
        self._rows[uid] = self._row(record)
        if durability is Durability.WRITE_BEHIND:
            self._unflushed.add(uid)
        return None

    async def unflushed(self) -> AsyncIterator[StoredInstance]:
        """Iterate over what is not settled, as it was at the start."""
        for uid in sorted(self._unflushed):
            await checkpoint()
            if uid in self._unflushed:
                yield self._rows[uid].record.instance

    async def settle(self, sop_instance_uids: Sequence[str]) -> None:
        """Forget that objects were not on disk."""
        await checkpoint()
        self._unflushed.difference_update(sop_instance_uids)

    def _row(self, record: InstanceRecord) -> _Row:
        identity = record.instance.identity
        series = identity.series_instance_uid
        for row in self._rows.values():
            if row.path[2] == series:
                return _Row(record, (*row.path[:3], identity.sop_instance_uid))
        patient = "\\".join(
            "".join(texts(record.attributes, tag)[:1]) for tag in (_PATIENT_ID, _ISSUER)
        )
        study = identity.study_instance_uid
        for row in self._rows.values():
            if row.path[1] == study:
                patient = row.path[0]
        return _Row(record, (patient, study, series, identity.sop_instance_uid))

    async def replace(self, record: InstanceRecord) -> StoredInstance | None:
        """Add an instance, in place of another if need be."""
        await checkpoint()
        record = evolve(record, attributes=_encodable(record.attributes))
        uid = record.instance.identity.sop_instance_uid
        former = self._rows.pop(uid, None)
        self._unflushed.discard(uid)
        self._rows[uid] = self._row(record)
        return former.record.instance if former else None

    async def remove(self, sop_instance_uid: str) -> StoredInstance | None:
        """Remove an instance."""
        await checkpoint()
        row = self._rows.pop(sop_instance_uid, None)
        self._unflushed.discard(sop_instance_uid)
        return row.record.instance if row else None

    async def locate(self, sop_instance_uid: str) -> StoredInstance | None:
        """Return the instance with this UID."""
        await checkpoint()
        row = self._rows.get(sop_instance_uid)
        return row.record.instance if row else None

    async def clear(self) -> None:
        """Remove everything."""
        await checkpoint()
        self._rows.clear()
        self._unflushed.clear()

    async def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Iterate over matching entities, in the order in which they arrived."""
        known = query.returning & SEARCHABLE[query.level]
        for _path, attributes in self._page(query):
            await checkpoint()
            yield {tag: attributes.get(tag, ()) for tag in known}

    async def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Iterate over the instances below matching entities."""
        found = {path for path, _ in self._page(query)}
        rows = [row for row in self._rows.values() if row.path[: query.level.depth + 1] in found]
        for row in sorted(rows, key=_retrieval_order):
            await checkpoint()
            yield row.record.instance

    def _page(self, query: Query) -> Sequence[tuple[Path, Attributes]]:
        stop = None if query.limit is None else query.offset + query.limit
        return list(islice(self._matching(query), query.offset, stop))

    def _matching(self, query: Query) -> Iterator[tuple[Path, Attributes]]:
        described = self._described()
        for path, rows in self._entities(query.level).items():
            views = [described[row.path] for row in rows]
            if all(any(matches(c, view) for view in views) for c in query.conditions):
                yield path, views[0]

    def _entities(self, level: Level) -> dict[Path, list[_Row]]:
        entities: dict[Path, list[_Row]] = {}
        for row in self._rows.values():
            entities.setdefault(row.path[: level.depth + 1], []).append(row)
        return entities

    def _described(self) -> dict[Path, Attributes]:
        """Return the attributes of every entity, those of all that it belongs to included."""
        described: dict[Path, Attributes] = {(): {}}
        for level in Level:
            for path, rows in self._entities(level).items():
                own = _only(KEPT[level], rows[0].record.attributes)
                computed = _only(COMPUTED[level], _computed(rows)) if COMPUTED[level] else {}
                study = {_STUDY: path[1:2]} if level is Level.STUDY else {}
                described[path] = {**described[path[:-1]], **own, **computed, **study}
        return described


def _encodable(attributes: Attributes) -> Attributes:
    """Return attributes without lone surrogates, which no answer could carry."""
    return {tag: tuple(_clean(value) for value in values) for tag, values in attributes.items()}


def _clean(value: Value) -> Value:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return _encodable(value)


def _only(tags: Collection[int], attributes: Attributes) -> Attributes:
    return {tag: attributes[tag] for tag in tags if tag in attributes}


def _retrieval_order(row: _Row) -> tuple[str, str, int, str]:
    number = "".join(texts(row.record.attributes, _INSTANCE_NUMBER)[:1])
    _patient, study, series, instance = row.path
    return study, series, int(number) if number.lstrip("+-").isdigit() else 0, instance


def _computed(rows: Sequence[_Row]) -> Attributes:
    """Return what follows from the instances of a patient, a study or a series (PS3.4 C.3.4)."""
    studies = str(len({row.path[:2] for row in rows}))
    series = str(len({row.path[:3] for row in rows}))
    instances = str(len(rows))
    counts = {
        "NumberOfPatientRelatedStudies": studies,
        "NumberOfPatientRelatedSeries": series,
        "NumberOfPatientRelatedInstances": instances,
        "NumberOfStudyRelatedSeries": series,
        "NumberOfStudyRelatedInstances": instances,
        "NumberOfSeriesRelatedInstances": instances,
    }
    computed: MutableAttributes = {tag_of(name): (count,) for name, count in counts.items()}
    computed[tag_of("ModalitiesInStudy")] = _distinct(rows, _MODALITY)
    computed[tag_of("SOPClassesInStudy")] = _distinct(rows, _SOP_CLASS)
    return computed


def _distinct(rows: Iterable[_Row], tag: int) -> tuple[str, ...]:
    return tuple(sorted({value for row in rows for value in texts(row.record.attributes, tag)}))
