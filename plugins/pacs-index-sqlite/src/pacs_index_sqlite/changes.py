"""The changes that the writer makes: add, replace, remove, clear, within a transaction."""

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from attrs import define, field

from pacs_core.contracts import (
    ChangeKind,
    Conflict,
    ConflictKind,
    IndexResult,
    InstancePath,
    InstanceRecord,
    Level,
    StoredInstance,
)
from pacs_core.dataset import texts
from pacs_core.relational import (
    VARYING,
    Catalog,
    RowMaker,
    insertion,
    instance_values,
    json_of,
    representable_record,
)
from pacs_index_sqlite.conflicts import ConflictFinder
from pacs_index_sqlite.correction_log import LastSeen
from pacs_index_sqlite.headers import NO_HEADER, Headers, headers_of
from pacs_index_sqlite.leases import LeaseTable
from pacs_index_sqlite.locations import ABOVE, ROWS_OF_PATHS, locate
from pacs_index_sqlite.metadata import Metadata
from pacs_index_sqlite.outbox import Outbox

# Theory of operation
#
# Adding an instance is the one change that happens for every object, so it has a short way. Once a
# series is known, with what the attributes above the instance said (`_known`), another instance of
# it that says the same is one INSERT: no look-ups, no comparison with other instances.
#
# `_known` may be wrong, since another process may have removed the series meanwhile. It need not be
# right: foreign keys refuse the row, the entry is dropped, and the long way finds out. An id that
# was removed is never given again (AUTOINCREMENT), so a row cannot end in somebody else's series.
#
# The long way looks for the path itself first, then for patient, study and series, creates what is
# missing, and notes what contradicts what is there. A contradiction never keeps an instance out:
# studies and series keep a header for each different set of attributes (`Headers`), and show what
# the first of them have.
#
# A SOP Instance UID is meant to be unique and is not always. The row's key is the UID with a number
# (`twin`): 0 for the first, more for the same UID in other studies. `ON CONFLICT DO NOTHING` makes
# the usual case one statement; only where it did nothing is it found out why.
#
# Removing takes with it what it leaves empty: headers, series, study, patient. Changes for
# consumers are noted last, in the same transaction, and only if somebody follows.

_FRAME: Final = (
    "parent",
    "header",
    "twin",
    "SOPInstanceUID",
    "SOPClassUID",
    "transfer_syntax_uid",
    "object_key",
    "size",
    "dataset_offset",
    "digest",
    "corrections",
    "origin",
)
_TABLES: Final = """
    unflushed several instance series_variant series_header series study_variant study_header
    study patient correction
"""
_FIND: Final = f"""
    SELECT instance.id, instance.parent, instance.header, instance.twin FROM instance {ABOVE}
    WHERE SOPInstanceUID = ? AND StudyInstanceUID = ?"""  # noqa: S608
_SETTLE: Final = f"DELETE FROM unflushed WHERE instance IN ({ROWS_OF_PATHS})"  # noqa: S608
_UNFLUSHED: Final = f"SELECT 1 FROM unflushed WHERE instance IN ({ROWS_OF_PATHS})"  # noqa: S608
_CLOSE_RANKS: Final = """
    UPDATE instance SET twin = ?1 WHERE SOPInstanceUID = ?2
    AND twin = (SELECT max(twin) FROM instance WHERE SOPInstanceUID = ?2) AND twin > ?1"""
_PATIENT_ID, _ISSUER = 0x0010_0020, 0x0010_0021
_ADDED: Final = IndexResult()

Placement = tuple[int, int]
"""Where an instance belongs: its series, and the header of that."""


@define
class Changes:
    """Makes changes through one connection. Whatever rolls back must :meth:`forget`."""

    _connection: sqlite3.Connection
    _catalog: Catalog
    _capacity: int
    _last_seen: LastSeen = field(factory=LastSeen)
    _known: OrderedDict[tuple[str, str], tuple[Placement, tuple[object, ...]]] = field(
        factory=OrderedDict
    )
    outbox: Outbox = field(init=False)
    metadata: Metadata = field(init=False)
    leases: LeaseTable = field(init=False)
    _conflict_finder: ConflictFinder = field(init=False)
    _studies: Headers = field(init=False)
    _series: Headers = field(init=False)
    _upper: tuple[int, ...] = field(init=False)
    _instances: RowMaker = field(init=False)
    _instance_matches: str = field(init=False)
    _insert_instance: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.outbox = Outbox(self._connection, self._last_seen)
        self.metadata = Metadata(self._connection)
        self.leases = LeaseTable(self._connection)
        self._conflict_finder = ConflictFinder(self._connection)
        self._studies = headers_of(self._connection, self._catalog, Level.STUDY)
        self._series = headers_of(self._connection, self._catalog, Level.SERIES)
        images = self._catalog.at(Level.IMAGE)
        self._instances = RowMaker(self._catalog.non_key_attributes(Level.IMAGE))
        self._instance_matches = json_of(
            [m.column for a in images for m in a.matches] + [a.sound for a in images]
        )
        self._insert_instance = (
            insertion("instance", _FRAME, self._instances.columns)
            + " ON CONFLICT (SOPInstanceUID, twin) DO NOTHING"
        )
        upper = (a.tag for level in VARYING for a in self._catalog.non_key_attributes(level))
        self._upper = (_PATIENT_ID, _ISSUER, *upper)

    def forget(self) -> None:
        """Forget which series exist."""
        self._known.clear()

    def add(self, record: InstanceRecord, *, unflushed: bool = False) -> IndexResult:
        """Add an instance unless there is one with its path.

        With `unflushed`, note that its object is not on disk yet.
        """
        result = self._add(record, unflushed)
        if self.outbox.active and result.existing is None:
            self.outbox.note(ChangeKind.ADDED, record.instance)
        return result

    def settle(self, paths: Sequence[InstancePath]) -> None:
        """Forget that objects were not on disk."""
        self._connection.execute(_SETTLE, (json_of(paths),))

    def note_unflushed(self, paths: Sequence[InstancePath]) -> None:
        """Note that the objects of those instances that are here may not be on disk."""
        self._connection.execute(
            f"INSERT OR IGNORE INTO unflushed {ROWS_OF_PATHS}",
            (json_of(paths),),
        )

    def note_gap(self, reason: str) -> None:
        """Note why instances may be lacking; empty notes that none is."""
        self._connection.execute("DELETE FROM gap")
        self._connection.execute("INSERT INTO gap VALUES (?)", (reason,))

    def _add(self, record: InstanceRecord, unflushed: bool) -> IndexResult:
        identity = record.instance.identity
        key = (identity.study_instance_uid, identity.series_instance_uid)
        seen = tuple(map(record.attributes.get, self._upper))
        known = self._known.get(key)
        if known is not None and known[1] == seen:
            try:
                return self._add_to(known[0], record, unflushed)
            except sqlite3.IntegrityError:
                # Another process has removed the series, or the header.
                del self._known[key]
            except UnicodeEncodeError:
                pass  # in the row itself, before anything is written
        # What cannot be stored must not be found out half-way: headers are not rows alone.
        record = representable_record(record)
        existing = locate(self._connection, identity.path)
        if existing is not None:
            return IndexResult(existing)
        place, conflicts = self._place(record)
        self._remember(key, place, seen)
        return self._add_to(place, record, unflushed, tuple(conflicts))

    def _remember(self, key: tuple[str, str], place: Placement, seen: tuple[object, ...]) -> None:
        self._known[key] = (place, seen)
        self._known.move_to_end(key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def _add_to(
        self,
        place: Placement,
        record: InstanceRecord,
        unflushed: bool,
        conflicts: tuple[Conflict, ...] = (),
        twin: int = 0,
    ) -> IndexResult:
        instance = record.instance
        frame = (*place, twin, *instance_values(instance, instance.key))
        row, several = self._instances.row(record.attributes)
        cursor = self._connection.execute(self._insert_instance, (*frame, *row))
        if cursor.rowcount == 0:
            return self._add_twin(place, record, unflushed, conflicts)
        row_id = cursor.lastrowid or 0
        if several:
            rows = [(match, value, row_id) for match, value in several]
            self._connection.executemany("INSERT OR IGNORE INTO several VALUES (?, ?, ?)", rows)
        if unflushed:
            self._connection.execute("INSERT INTO unflushed VALUES (?)", (row_id,))
        return IndexResult(None, conflicts) if conflicts else _ADDED

    def _add_twin(
        self,
        place: Placement,
        record: InstanceRecord,
        unflushed: bool,
        conflicts: tuple[Conflict, ...],
    ) -> IndexResult:
        """Add an instance whose SOP Instance UID is taken, unless in its own study."""
        path = record.instance.identity.path
        if (existing := locate(self._connection, path)) is not None:
            return IndexResult(existing)
        studies = self._conflict_finder.studies_of_instance(path.sop_instance_uid)
        if len(set(studies)) == 1:
            values = (*studies, path.study_instance_uid)
            conflict = Conflict(ConflictKind.INSTANCE, path.sop_instance_uid, values)
            conflicts = (*conflicts, conflict)
        return self._add_to(place, record, unflushed, conflicts, len(studies))

    def _place(self, record: InstanceRecord) -> tuple[Placement, list[Conflict]]:
        """Return the place of a record, made if there was none, and what it contradicts."""
        identity = record.instance.identity
        study_uid, series_uid = identity.study_instance_uid, identity.series_instance_uid
        patient, study, series = self._find(record)
        conflicts: list[Conflict] = []
        content = self._studies.maker.row(record.attributes)
        if study is None:
            keys = _patient_keys(record)
            shown = dict(zip(self._studies.maker.columns, content[0], strict=True))
            conflicts += self._conflict_finder.of_study(study_uid, keys, patient, shown)
            if not patient:
                columns = ("PatientID", "IssuerOfPatientID", "alone")
                created = self._connection.execute(insertion("patient", columns, ()), keys)
                patient = created.lastrowid or 0
            study, above = self._studies.create(patient, study_uid, NO_HEADER, content)
        else:
            above, found = self._studies.find(study, NO_HEADER, content)
            conflicts += [
                Conflict(ConflictKind.STUDY_ATTRIBUTE, study_uid, each.values, each.keyword)
                for each in found
            ]
        content = self._series.maker.row(record.attributes)
        if series is None:
            conflicts += self._conflict_finder.of_series(study_uid, series_uid)
            return self._series.create(study, series_uid, above, content), conflicts
        header, found = self._series.find(series, above, content)
        conflicts += [
            Conflict(
                ConflictKind.SERIES_ATTRIBUTE, series_uid, each.values, each.keyword, study_uid
            )
            for each in found
        ]
        return (series, header), conflicts

    def _find(self, record: InstanceRecord) -> tuple[int | None, int | None, int | None]:
        identity = record.instance.identity
        found: tuple[int | None, int | None, int | None] | None = self._connection.execute(
            "SELECT patient.id, study.id, series.id FROM patient "
            "LEFT JOIN study ON StudyInstanceUID = ? AND study.parent = patient.id "
            "LEFT JOIN series ON SeriesInstanceUID = ? AND series.parent = study.id "
            "WHERE PatientID = ? AND IssuerOfPatientID = ? AND alone = ?",
            (identity.study_instance_uid, identity.series_instance_uid, *_patient_keys(record)),
        ).fetchone()
        return found or (None, None, None)

    def remove(self, path: InstancePath) -> StoredInstance | None:
        """Remove an instance, and what it leaves empty."""
        found = self._remove(path)
        if self.outbox.active and found is not None:
            self.outbox.note(ChangeKind.REMOVED, found)
        return found

    def _remove(self, path: InstancePath) -> StoredInstance | None:
        found = locate(self._connection, path)
        if found is None:
            return None
        identity = found.identity
        self._known.pop((identity.study_instance_uid, identity.series_instance_uid), None)
        row, series, header, twin = self._connection.execute(_FIND, (path[1], path[0])).fetchone()
        self._delete_instance(row)
        self._connection.execute(_CLOSE_RANKS, (twin, path.sop_instance_uid))
        if not self._exists("instance WHERE parent = ? AND header = ?", series, header):
            above, _, _ = self._series.remove(header)
            if not self._exists("series_header WHERE above = ?", above):
                _, patient, removed = self._studies.remove(above)
                if removed and not self._exists("study WHERE parent = ?", patient):
                    self._connection.execute("DELETE FROM patient WHERE id = ?", (patient,))
        return found

    def _delete_instance(self, row: int) -> None:
        connection = self._connection
        connection.execute(
            "DELETE FROM several WHERE owner = ? AND match IN (SELECT value FROM json_each(?))",
            (row, self._instance_matches),
        )
        connection.execute("DELETE FROM unflushed WHERE instance = ?", (row,))
        self.metadata.forget_instance(row)
        connection.execute("DELETE FROM instance WHERE id = ?", (row,))

    def _exists(self, where: str, *values: int) -> bool:
        statement = f"SELECT EXISTS (SELECT 1 FROM {where})"  # noqa: S608
        return bool(self._connection.execute(statement, values).fetchone()[0])

    def replace(self, record: InstanceRecord) -> IndexResult:
        """Put an instance in the place of the one that has its path."""
        path = record.instance.identity.path
        former = locate(self._connection, path)
        is_update = former is not None and former.key == record.instance.key
        unflushed = is_update and bool(
            self._connection.execute(_UNFLUSHED, (json_of([path]),)).fetchone()
        )
        replaced = self._remove(path)
        conflicts = self._add(record, unflushed).conflicts
        if self.outbox.active:
            kind = ChangeKind.ADDED if replaced is None else ChangeKind.REPLACED
            self.outbox.note(ChangeKind.UPDATED if is_update else kind, record.instance)
        if replaced is not None:
            series = replaced.identity.series_instance_uid
            conflicts = tuple(
                c for c in conflicts if c.kind is not ConflictKind.INSTANCE and c.uid != series
            )
        return IndexResult(replaced, conflicts)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, within its transaction."""
        return self._connection

    def clear(self) -> None:
        """Remove everything."""
        self.metadata.forget_all()
        for table in _TABLES.split():
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608
        self.forget()


def _patient_keys(record: InstanceRecord) -> tuple[str, str, str]:
    patient_id = "\\".join(texts(record.attributes, _PATIENT_ID))
    issuer = "\\".join(texts(record.attributes, _ISSUER))
    alone = "" if patient_id else record.instance.identity.study_instance_uid
    return patient_id, issuer, alone
