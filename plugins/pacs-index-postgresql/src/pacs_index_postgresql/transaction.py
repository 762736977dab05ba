# ruff: noqa: S608 - the names of tables and columns come from the catalog
"""A transaction of changes that are more than instances: the long way, see :mod:`.changes`."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from attrs import define, field

from pacs_core.contracts import (
    ChangeKind,
    Conflict,
    ConflictKind,
    Durability,
    IndexResult,
    InstancePath,
    InstanceRecord,
    StoredInstance,
)
from pacs_core.dataset import texts
from pacs_core.relational import change_values
from pacs_index_postgresql.conflicts import (
    conflicts_of_series,
    conflicts_of_study,
    studies_of_instance,
)
from pacs_index_postgresql.headers import NO_HEADER
from pacs_index_postgresql.locations import (
    ABOVE,
    LOCATE,
    ROWS_OF_PATHS,
    columns_of_paths,
    stored_instance,
)
from pacs_index_postgresql.text import LONGEST_KEY, encode

if TYPE_CHECKING:
    from pacs_index_postgresql.changes import Changes, Placement

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
    SOPClassUID, transfer_syntax_uid, object_key, size, dataset_offset, digest, corrections,
    origin)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"""
PATIENT_ID: Final = 0x0010_0020
ISSUER: Final = 0x0010_0021
_ADDED: Final = IndexResult()


@define
class Transaction:
    """Changes within a transaction that holds the lock `STRUCTURE`."""

    _changes: "Changes"
    connection: Any
    _active: bool
    _placements: "list[tuple[InstanceRecord, Placement]]" = field(factory=list)

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
        self, record: InstanceRecord, place: "Placement", durability: Durability, *, told: bool
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

    async def _place(self, record: InstanceRecord) -> "tuple[Placement, list[Conflict]]":
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
        values = change_values(kind, time.time(), instance, encode(instance.key))
        await self.connection.execute(_NOTE, *values)

    async def settle(self, paths: Sequence[InstancePath]) -> None:
        """Forget that objects were not on disk."""
        await self.connection.execute(_SETTLE, *columns_of_paths(paths))

    async def note_gap(self, reason: str) -> None:
        """Note why instances may be lacking; empty notes that none is."""
        await self.connection.execute("DELETE FROM gap")
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
    patient_id = encode("\\".join(texts(record.attributes, PATIENT_ID)))[:LONGEST_KEY]
    issuer = encode("\\".join(texts(record.attributes, ISSUER)))[:LONGEST_KEY]
    alone = "" if patient_id else record.instance.identity.study_instance_uid
    return patient_id, issuer, alone
