# ruff: noqa: S608 - the names of tables and columns come from the catalog
"""The changes that the writer makes, each within a transaction: add, replace, remove, clear."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
from attrs import define, field, frozen

from pacs_core.contracts import (
    ChangeKind,
    Conflict,
    ConflictKind,
    Durability,
    IndexResult,
    InstancePath,
    InstanceRecord,
    Level,
    StoredInstance,
)
from pacs_core.dataset import texts
from pacs_core.relational import VARYING, Catalog, Several, Stored
from pacs_index_postgresql.conflicts import (
    conflicts_of_series,
    conflicts_of_study,
    studies_of_instance,
)
from pacs_index_postgresql.headers import NO_HEADER, Headers
from pacs_index_postgresql.insertion import Insertion
from pacs_index_postgresql.locations import (
    ABOVE,
    LOCATE,
    ROWS_OF_PATHS,
    columns_of_paths,
    numbers_of,
    stored_instance,
)
from pacs_index_postgresql.locks import ORDER, STRUCTURE, take
from pacs_index_postgresql.rows import Rows
from pacs_index_postgresql.text import LONGEST_KEY, encode

# Theory of operation
#
# Adding an instance is the one change that happens for every object, so it has a short way. Once a
# series is known, with what the attributes above the instance said (`_known`), other instances of
# it that say the same, any number of them, are one statement: `Insertion`. It is a transaction of
# its own, one round trip with its commit.
#
# `_known` may be wrong, since another node may have removed the series meanwhile. It need not be
# right: foreign keys refuse the row, the entry is dropped, and the long way finds out. An id is
# never given twice, so a row cannot end in somebody else's series.
#
# The long way looks for the path itself first, then for patient, study and series, creates what is
# missing, and notes what contradicts what is there. It holds the lock `STRUCTURE`, so that nodes do
# this one after the other; the short way does not wait for it. A header that is removed while the
# short way adds to it is kept from that by the foreign key, and the removal is tried again.
#
# Order of changes: whoever writes changes holds the lock `ORDER` from before their numbers are
# given to the commit. So a reader that has seen a number never finds a smaller one later. While
# nobody follows, nobody takes it.
#
# That somebody follows, and which correction was the last, each transaction reads after it has the
# right to write `instance` (a lock that does not keep others from it). Who begins to follow, or
# corrects, takes a lock that waits for all of those and keeps new ones out for a moment: so no
# transaction that did not see it ends after it.

_CLEARED: Final = """
    unflushed several instance series_variant series_header series study_variant study_header
    study patient correction
"""
_SETTLE: Final = f"DELETE FROM unflushed WHERE instance IN ({ROWS_OF_PATHS})"
_NOTE_UNFLUSHED: Final = f"INSERT INTO unflushed {ROWS_OF_PATHS} ON CONFLICT DO NOTHING"
_FIND: Final = f"""
    SELECT instance.id, instance.parent, instance.header, instance.twin, unflushed.instance
    FROM instance {ABOVE} LEFT JOIN unflushed ON unflushed.instance = instance.id
    WHERE SOPInstanceUID = $1 AND StudyInstanceUID = $2"""
_CLOSE_RANKS: Final = """
    UPDATE instance SET twin = $1 WHERE SOPInstanceUID = $2
    AND twin = (SELECT max(twin) FROM instance WHERE SOPInstanceUID = $2) AND twin > $1"""
_FORGET: Final = (
    "UPDATE metadata_state SET through = least(through, $1::bigint - 1), revision = revision + 1"
)
_NOTE: Final = """
    INSERT INTO change (kind, time, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID,
    SOPClassUID, transfer_syntax_uid, object_key, size, dataset_offset, digest, corrections)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"""
_STATE: Final = "SELECT EXISTS (SELECT FROM consumer), (SELECT max(number) FROM correction)"
_PATIENT_ID: Final = 0x0010_0020
_ISSUER: Final = 0x0010_0021
_ADDED: Final = IndexResult()

Placement = tuple[int, int]
"""Where an instance belongs: its series, and the header of that."""


@define
class LastSeen:
    """The number of the last correction that any transaction of this process has seen."""

    number: int = 0

    def note(self, number: int | None) -> None:
        """Note that a transaction has seen a correction."""
        self.number = max(self.number, number or 0)


@frozen
class PlacedRecord:
    """A record with all that its row needs."""

    record: InstanceRecord
    place: Placement
    row: list[Stored]
    several: Several
    unflushed: bool = False
    twin: int = 0


@define
class Changes:
    """Makes changes through the connection of a transaction. Whatever rolls back :meth:`forget`."""

    _catalog: Catalog
    _schema: str
    _capacity: int
    _last_seen: LastSeen
    _known: OrderedDict[tuple[str, str], tuple[Placement, tuple[object, ...]]] = field(
        factory=OrderedDict
    )
    _studies: Headers = field(init=False)
    _series: Headers = field(init=False)
    _upper: tuple[int, ...] = field(init=False)
    _instances: Rows = field(init=False)
    _instance_matches: list[str] = field(init=False)
    _insertion: Insertion = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._studies = Headers(Level.STUDY, self._catalog.non_key_attributes(Level.STUDY))
        self._series = Headers(Level.SERIES, self._catalog.non_key_attributes(Level.SERIES))
        images = self._catalog.at(Level.IMAGE)
        self._instances = Rows(self._catalog.non_key_attributes(Level.IMAGE))
        self._instance_matches = [
            *(m.column for a in images for m in a.matches),
            *(a.sound for a in images),
        ]
        self._insertion = Insertion(self._schema, self._instances)
        upper = (a.tag for level in VARYING for a in self._catalog.non_key_attributes(level))
        self._upper = (_PATIENT_ID, _ISSUER, *upper)

    def forget(self) -> None:
        """Forget which series exist."""
        self._known.clear()

    def place_known(self, record: InstanceRecord, durability: Durability) -> PlacedRecord | None:
        """Return a record with its place, if its series is known and says the same."""
        identity = record.instance.identity
        known = self._known.get((identity.study_instance_uid, identity.series_instance_uid))
        if known is None or known[1] != tuple(map(record.attributes.get, self._upper)):
            return None
        return self._placed(record, known[0], durability)

    def _placed(
        self, record: InstanceRecord, place: Placement, durability: Durability, twin: int = 0
    ) -> PlacedRecord:
        row, several = self._instances.row(record.attributes)
        behind = durability is Durability.WRITE_BEHIND
        return PlacedRecord(record, place, row, several, behind, twin)

    async def insert(
        self,
        connection: Any,
        placed: Sequence[PlacedRecord],
        durability: Durability | None = None,
        *,
        told: bool = True,
    ) -> set[str]:
        """Insert records that are placed, in one round trip; those whose UID is taken are not.

        `durability` and `told` are as :meth:`Insertion.run` has them.

        Returns
        -------
        set of str
            The SOP Instance UIDs of those that were inserted.
        """
        inserted, last = await self._insertion.run(connection, placed, durability, told=told)
        self._last_seen.note(last)
        return inserted

    async def begin(self, connection: Any) -> "Transaction":
        """Begin what changes more than instances: one node after the other."""
        await take(connection, STRUCTURE, self._schema)
        await connection.execute("LOCK TABLE instance IN ROW EXCLUSIVE MODE")
        active, last = await connection.fetchrow(_STATE)
        self._last_seen.note(last)
        if active:
            await take(connection, ORDER, self._schema)
        return Transaction(self, connection, active)

    def remember(self, record: InstanceRecord, place: Placement) -> None:
        """Remember where a record belongs, for others like it."""
        identity = record.instance.identity
        key = (identity.study_instance_uid, identity.series_instance_uid)
        self._known[key] = (place, tuple(map(record.attributes.get, self._upper)))
        self._known.move_to_end(key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)


@define
class Transaction:
    """Changes within a transaction that holds the lock `STRUCTURE`."""

    _changes: Changes
    connection: Any
    _active: bool
    _placements: list[tuple[InstanceRecord, Placement]] = field(factory=list)

    def remember(self) -> None:
        """Remember, once all is committed, where records belong."""
        for record, place in self._placements:
            self._changes.remember(record, place)

    async def locate(self, path: InstancePath) -> StoredInstance | None:
        """Return the instance with this path."""
        row = await self.connection.fetchrow(LOCATE, encode(path[1]), encode(path[0]))
        return stored_instance(row) if row else None

    async def add(self, record: InstanceRecord, durability: Durability) -> IndexResult:
        """Add an instance unless there is one with its path."""
        path = record.instance.identity.path
        if (existing := await self.locate(path)) is not None:
            return IndexResult(existing)
        place, conflicts = await self._place(record)
        conflicts += await self._insert(record, place, durability, told=True)
        self._placements.append((record, place))
        return IndexResult(None, tuple(conflicts)) if conflicts else _ADDED

    async def _insert(
        self, record: InstanceRecord, place: Placement, durability: Durability, *, told: bool
    ) -> list[Conflict]:
        """Insert an instance that is not there; return what its UID contradicts."""
        changes, conflicts = self._changes, list[Conflict]()
        placed = changes._placed(record, place, durability)
        path = record.instance.identity.path
        while not await changes.insert(self.connection, [placed], told=told):
            if await self.locate(path) is not None:
                raise asyncpg.SerializationError("another node has just added this instance")
            # The UID is taken by another study.
            studies = await studies_of_instance(self.connection, path.sop_instance_uid)
            if len(set(studies)) == 1:
                values = (*studies, path.study_instance_uid)
                conflicts = [Conflict(ConflictKind.INSTANCE, path.sop_instance_uid, values)]
            placed = changes._placed(record, place, durability, len(studies))
        return conflicts

    async def _place(self, record: InstanceRecord) -> tuple[Placement, list[Conflict]]:
        """Return the place of a record, made if there was none, and what it contradicts."""
        connection, changes = self.connection, self._changes
        identity = record.instance.identity
        study_uid, series_uid = identity.study_instance_uid, identity.series_instance_uid
        keys = _patient_keys(record)
        patient, study, series = await self._find(keys, study_uid, series_uid)
        conflicts: list[Conflict] = []
        content = changes._studies.rows.row(record.attributes)
        if study is None:
            shown = dict(zip(changes._studies.rows.columns, content[0], strict=True))
            conflicts += await conflicts_of_study(connection, study_uid, keys, patient, shown)
            if not patient:
                patient = await connection.fetchval(
                    "INSERT INTO patient (PatientID, IssuerOfPatientID, alone) "
                    "VALUES ($1, $2, $3) RETURNING id",
                    *keys,
                )
            study, above = await changes._studies.create(
                connection, patient, study_uid, NO_HEADER, content
            )
        else:
            above, found = await changes._studies.find(connection, study, NO_HEADER, content)
            conflicts += [
                Conflict(ConflictKind.STUDY_ATTRIBUTE, study_uid, each.values, each.keyword)
                for each in found
            ]
        content = changes._series.rows.row(record.attributes)
        if series is None:
            conflicts += await conflicts_of_series(connection, study_uid, series_uid)
            place = await changes._series.create(connection, study, series_uid, above, content)
            return place, conflicts
        header, found = await changes._series.find(connection, series, above, content)
        conflicts += [
            Conflict(
                ConflictKind.SERIES_ATTRIBUTE, series_uid, each.values, each.keyword, study_uid
            )
            for each in found
        ]
        return (series, header), conflicts

    async def _find(
        self, keys: tuple[str, str, str], study_uid: str, series_uid: str
    ) -> tuple[int | None, int | None, int | None]:
        found = await self.connection.fetchrow(
            "SELECT patient.id, study.id, series.id FROM patient "
            "LEFT JOIN study ON StudyInstanceUID = $1 AND study.parent = patient.id "
            "LEFT JOIN series ON SeriesInstanceUID = $2 AND series.parent = study.id "
            "WHERE PatientID = $3 AND IssuerOfPatientID = $4 AND alone = $5",
            study_uid,
            series_uid,
            *keys,
        )
        return tuple(found) if found else (None, None, None)

    async def remove(self, path: InstancePath) -> StoredInstance | None:
        """Remove an instance, and what it leaves empty."""
        found, _ = await self._remove(path)
        if found is not None:
            await self._note(ChangeKind.REMOVED, found)
        return found

    async def _remove(self, path: InstancePath) -> tuple[StoredInstance | None, bool]:
        """Remove an instance; return it, and whether its object was noted not to be on disk."""
        found = await self.locate(path)
        if found is None:
            return None, False
        connection, changes = self.connection, self._changes
        identity = found.identity
        changes._known.pop((identity.study_instance_uid, identity.series_instance_uid), None)
        row, series, header, twin, unflushed = await connection.fetchrow(
            _FIND, encode(path[1]), encode(path[0])
        )
        await self.forget_metadata([row])
        await connection.execute(
            "DELETE FROM several WHERE owner = $1 AND match = ANY($2::text[])",
            row,
            changes._instance_matches,
        )
        await connection.execute("DELETE FROM unflushed WHERE instance = $1", row)
        await connection.execute("DELETE FROM instance WHERE id = $1", row)
        await connection.execute(_CLOSE_RANKS, twin, path.sop_instance_uid)
        if not await self._exists("instance WHERE parent = $1 AND header = $2", series, header):
            above, _, _ = await changes._series.remove(connection, header)
            if not await self._exists("series_header WHERE above = $1", above):
                _, patient, removed = await changes._studies.remove(connection, above)
                if removed and not await self._exists("study WHERE parent = $1", patient):
                    await connection.execute("DELETE FROM patient WHERE id = $1", patient)
        return found, unflushed is not None

    async def _exists(self, where: str, *values: int) -> bool:
        return bool(await self.connection.fetchval(f"SELECT EXISTS (SELECT FROM {where})", *values))

    async def replace(self, record: InstanceRecord) -> IndexResult:
        """Put an instance in the place of the one that has its path."""
        replaced, unflushed = await self._remove(record.instance.identity.path)
        is_update = replaced is not None and replaced.key == record.instance.key
        behind = Durability.WRITE_BEHIND if is_update and unflushed else Durability.COMMIT
        place, conflicts = await self._place(record)
        conflicts += await self._insert(record, place, behind, told=False)
        kind = ChangeKind.ADDED if replaced is None else ChangeKind.REPLACED
        await self._note(ChangeKind.UPDATED if is_update else kind, record.instance)
        if replaced is not None:
            series = replaced.identity.series_instance_uid
            conflicts = [
                c for c in conflicts if c.kind is not ConflictKind.INSTANCE and c.uid != series
            ]
        return IndexResult(replaced, tuple(conflicts))

    async def _note(self, kind: ChangeKind, instance: StoredInstance) -> None:
        """Write a change, if somebody follows."""
        if not self._active:
            return
        identity = instance.identity
        await self.connection.execute(
            _NOTE,
            kind.value,
            time.time(),
            identity.study_instance_uid,
            identity.series_instance_uid,
            identity.sop_instance_uid,
            identity.sop_class_uid,
            instance.transfer_syntax_uid,
            encode(instance.key),
            instance.size,
            instance.dataset_offset,
            instance.digest or None,
            numbers_of(instance),
        )

    async def settle(self, paths: Sequence[InstancePath]) -> None:
        """Forget that objects were not on disk."""
        await self.connection.execute(_SETTLE, *columns_of_paths(paths))

    async def note_gap(self, reason: str) -> None:
        """Note why instances may be lacking; empty takes the note back."""
        await self.connection.execute("DELETE FROM gap")
        if reason:
            await self.connection.execute("INSERT INTO gap VALUES ($1)", encode(reason))

    async def forget_metadata(self, rows: Sequence[int]) -> None:
        """Forget the metadata of some instances; the state first, which orders those who write."""
        if rows:
            await self.connection.execute(_FORGET, min(rows))
            await self.connection.execute(
                "DELETE FROM metadata WHERE instance = ANY($1::bigint[])", rows
            )

    async def clear(self) -> None:
        """Remove everything."""
        await self.connection.execute(
            "UPDATE metadata_state SET through = 0, revision = revision + 1"
        )
        for table in ("metadata", *_CLEARED.split()):
            await self.connection.execute(f"DELETE FROM {table}")
        self._changes.forget()


def _patient_keys(record: InstanceRecord) -> tuple[str, str, str]:
    patient_id = encode("\\".join(texts(record.attributes, _PATIENT_ID)))[:LONGEST_KEY]
    issuer = encode("\\".join(texts(record.attributes, _ISSUER)))[:LONGEST_KEY]
    alone = "" if patient_id else record.instance.identity.study_instance_uid
    return patient_id, issuer, alone
