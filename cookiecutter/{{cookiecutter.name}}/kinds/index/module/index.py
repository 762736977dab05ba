"""An index that keeps records in a dictionary, and looks at all of them for every query."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from anyio.lowlevel import checkpoint
from attrs import evolve
from pacs_core.contracts import (
    Durability,
    Index,
    InstanceRecord,
    Level,
    Query,
    StoredInstance,
    matches,
)
from pacs_core.dataset import Attributes, Value, tag_of, texts

from {{ cookiecutter.__package }}.catalog import Catalog, Leaf

_PATIENT: Final = (tag_of("PatientID"), tag_of("IssuerOfPatientID"))
_NUMBER: Final = tag_of("InstanceNumber")


class MemoryIndex(Index):
    """Knows instances as long as it lives.

    Patient, study and series have the attributes of the instance that came first.

    Parameters
    ----------
    catalog : Catalog
        The attributes to keep.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._records: dict[str, tuple[Leaf, InstanceRecord]] = {}
        self._unflushed: dict[str, StoredInstance] = {}

    @property
    def wanted_tags(self) -> frozenset[int]:
        """See base."""
        return self._catalog.wanted

    def searchable_tags(self, level: Level) -> frozenset[int]:
        """See base."""
        return self._catalog.searchable(level)

    async def add(
        self, record: InstanceRecord, *, durability: Durability = Durability.COMMIT
    ) -> StoredInstance | None:
        """See base."""
        await checkpoint()
        uid = record.instance.identity.sop_instance_uid
        if uid in self._records:
            return self._records[uid][1].instance
        self._put(uid, record)
        if durability is Durability.WRITE_BEHIND:
            self._unflushed[uid] = record.instance
        return None

    async def replace(self, record: InstanceRecord) -> StoredInstance | None:
        """See base."""
        await checkpoint()
        uid = record.instance.identity.sop_instance_uid
        former = self._take(uid)
        self._put(uid, record)
        return former

    async def remove(self, sop_instance_uid: str) -> StoredInstance | None:
        """See base."""
        await checkpoint()
        return self._take(sop_instance_uid)

    async def locate(self, sop_instance_uid: str) -> StoredInstance | None:
        """See base."""
        await checkpoint()
        found = self._records.get(sop_instance_uid)
        return found[1].instance if found else None

    async def clear(self) -> None:
        """See base."""
        await checkpoint()
        self._records.clear()
        self._unflushed.clear()

    async def unflushed(self) -> AsyncIterator[StoredInstance]:
        """See base."""
        for instance in list(self._unflushed.values()):
            await checkpoint()
            yield instance

    async def settle(self, sop_instance_uids: Sequence[str]) -> None:
        """See base."""
        await checkpoint()
        for uid in sop_instance_uids:
            self._unflushed.pop(uid, None)

    async def search(self, query: Query) -> AsyncIterator[Attributes]:
        """See base."""
        returning = query.returning & self.searchable_tags(query.level)
        for attributes in self._found(query).values():
            await checkpoint()
            yield {tag: attributes.get(tag, ()) for tag in returning}

    async def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """See base."""
        found = self._found(query)
        depth = query.level.depth + 1
        held = [each for each in self._records.values() if each[0][:depth] in found]
        for _, record in sorted(held, key=_retrieval_order):
            await checkpoint()
            yield record.instance

    def _put(self, uid: str, record: InstanceRecord) -> None:
        record = evolve(record, attributes=_encodable(record.attributes))
        self._records[uid] = (self._leaf(record), record)

    def _take(self, uid: str) -> StoredInstance | None:
        self._unflushed.pop(uid, None)
        found = self._records.pop(uid, None)
        return found[1].instance if found else None

    def _leaf(self, record: InstanceRecord) -> Leaf:
        """Return where an instance belongs: a known series stays in its study."""
        identity = record.instance.identity
        patient = "\\".join("".join(texts(record.attributes, tag)[:1]) for tag in _PATIENT)
        study, series = identity.study_instance_uid, identity.series_instance_uid
        for leaf, _ in self._records.values():
            if leaf[2] == series:
                return (*leaf[:3], identity.sop_instance_uid)
            if leaf[1] == study:
                patient = leaf[0]
        return (patient, study, series, identity.sop_instance_uid)

    def _found(self, query: Query) -> dict[Leaf, Attributes]:
        """Return the entities that match, with their attributes, in the order of their arrival."""
        described, depth = self._described(), query.level.depth + 1
        views: dict[Leaf, list[Attributes]] = {}
        for leaf, _ in self._records.values():
            views.setdefault(leaf[:depth], []).append(described[leaf])
        found = [
            path
            for path, below in views.items()
            if all(any(matches(each, view) for view in below) for each in query.conditions)
        ]
        end = None if query.limit is None else query.offset + query.limit
        return {path: described[path] for path in found[query.offset : end]}

    def _described(self) -> dict[Leaf, Attributes]:
        """Return the attributes of every entity, those of all that it belongs to included."""
        described: dict[Leaf, Attributes] = {(): {}}
        for level in Level:
            members: dict[Leaf, list[tuple[Leaf, InstanceRecord]]] = {}
            for leaf, record in self._records.values():
                members.setdefault(leaf[: level.depth + 1], []).append((leaf, record))
            for path, below in members.items():
                own = self._catalog.describe(level, path, below)
                described[path] = {**described[path[:-1]], **own}
        return described


def _encodable(attributes: Attributes) -> Attributes:
    """Return attributes without lone surrogates, which no answer could carry."""
    return {tag: tuple(map(_clean, values)) for tag, values in attributes.items()}


def _clean(value: Value) -> Value:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return _encodable(value)


def _retrieval_order(held: tuple[Leaf, InstanceRecord]) -> tuple[str, str, int, str]:
    (_, study, series, instance), record = held
    number = "".join(texts(record.attributes, _NUMBER)[:1])
    return study, series, int(number) if number.isdecimal() else 0, instance
