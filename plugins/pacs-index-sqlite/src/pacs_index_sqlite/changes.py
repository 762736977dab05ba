"""The changes that the writer makes: add, replace, remove, clear, within a transaction."""

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from pacs_core.contracts import InstanceIdentity, InstanceRecord, Level, StoredInstance
from pacs_core.dataset import texts
from pacs_index_sqlite.catalog import IDENTITY, TABLES, UIDS, Catalog, json_of
from pacs_index_sqlite.rows import RowMaker, Several, insertion
from pacs_index_sqlite.unicode import representable_record

log = logging.getLogger(__name__)

_KEYS = "StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, SOPClassUID"
LOCATION = f"{_KEYS}, transfer_syntax_uid, object_key, size, dataset_offset, coalesce(digest, x'')"
LOCATE = f"""
    SELECT {LOCATION} FROM instance
    CROSS JOIN series ON series.id = instance.parent CROSS JOIN study ON study.id = series.parent
    WHERE SOPInstanceUID = ?"""  # noqa: S608
UNFLUSHED = f"""
    SELECT {LOCATION} FROM unflushed CROSS JOIN instance USING (SOPInstanceUID)
    CROSS JOIN series ON series.id = instance.parent CROSS JOIN study ON study.id = series.parent
    WHERE unflushed.SOPInstanceUID > ? ORDER BY unflushed.SOPInstanceUID LIMIT ?"""  # noqa: S608
BATCH = 512
_FRAMES = {
    Level.PATIENT: ("PatientID", "IssuerOfPatientID", "alone"),
    Level.STUDY: ("parent", "StudyInstanceUID"),
    Level.SERIES: ("parent", "SeriesInstanceUID"),
    Level.IMAGE: (
        "parent",
        "SOPInstanceUID",
        "SOPClassUID",
        "transfer_syntax_uid",
        "object_key",
        "size",
        "dataset_offset",
        "digest",
    ),
}
_ABOVE = (Level.PATIENT, Level.STUDY, Level.SERIES)
_PATIENT_ID, _ISSUER = 0x0010_0020, 0x0010_0021


def stored_instance(row: tuple[Any, ...]) -> StoredInstance:
    """Return what the columns of `LOCATION` say."""
    return StoredInstance(InstanceIdentity(*row[:4]), *row[4:])


def located(connection: sqlite3.Connection, sop_instance_uid: str) -> StoredInstance | None:
    """Return the instance with this UID."""
    row = connection.execute(LOCATE, (sop_instance_uid,)).fetchone()
    return stored_instance(row) if row else None


def unflushed_after(sop_instance_uid: str, connection: sqlite3.Connection) -> list[StoredInstance]:
    """Return some of the instances whose objects are not on disk yet, in the order of UIDs."""
    found = connection.execute(UNFLUSHED, (sop_instance_uid, BATCH)).fetchall()
    return [stored_instance(row) for row in found]


@define
class Changes:
    """Makes changes through one connection. Whatever rolls back must :meth:`forget`."""

    _connection: sqlite3.Connection
    _catalog: Catalog
    _capacity: int
    _known: OrderedDict[str, tuple[int, tuple[object, ...]]] = field(factory=OrderedDict)
    _makers: dict[Level, RowMaker] = field(init=False)
    _inserts: dict[Level, str] = field(init=False)
    _matches: dict[Level, str] = field(init=False)
    _upper: tuple[int, ...] = field(init=False)
    _instances: RowMaker = field(init=False)
    _insert_instance: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        stored = {level: self._catalog.at(level) for level in Level}
        self._makers = {
            level: RowMaker(tuple(a for a in found if a.keyword not in IDENTITY))
            for level, found in stored.items()
        }
        self._inserts = {
            level: insertion(TABLES[level], _FRAMES[level], maker.columns)
            for level, maker in self._makers.items()
        }
        self._instances = self._makers[Level.IMAGE]
        self._insert_instance = (
            self._inserts[Level.IMAGE] + " ON CONFLICT (SOPInstanceUID) DO NOTHING"
        )
        self._matches = {
            level: json_of([m.column for a in found for m in a.matches] + [a.sound for a in found])
            for level, found in stored.items()
        }
        upper = (a.tag for level in _ABOVE for a in self._makers[level].attributes)
        self._upper = (_PATIENT_ID, _ISSUER, *upper)

    def forget(self) -> None:
        """Forget which series exist."""
        self._known.clear()

    def add(self, record: InstanceRecord) -> StoredInstance | None:
        """Add an instance; return the one that has its UID already, if any."""
        try:
            return self._add(record)
        except UnicodeEncodeError:
            return self._add(representable_record(record))

    def add_unflushed(self, record: InstanceRecord) -> StoredInstance | None:
        """Add an instance, and note that its object is not on disk yet."""
        existing = self.add(record)
        if existing is None:
            uid = record.instance.identity.sop_instance_uid
            self._connection.execute("INSERT INTO unflushed VALUES (?)", (uid,))
        return existing

    def settle(self, sop_instance_uids: Sequence[str]) -> None:
        """Forget that objects were not on disk."""
        self._connection.execute(
            "DELETE FROM unflushed WHERE SOPInstanceUID IN (SELECT value FROM json_each(?))",
            (json_of(sop_instance_uids),),
        )

    def note_unflushed(self, sop_instance_uids: Sequence[str]) -> None:
        """Note that the objects of those instances that are here may not be on disk."""
        self._connection.execute(
            "INSERT OR IGNORE INTO unflushed SELECT SOPInstanceUID FROM instance "
            "WHERE SOPInstanceUID IN (SELECT value FROM json_each(?))",
            (json_of(sop_instance_uids),),
        )

    def note_gap(self, reason: str) -> None:
        """Note why instances may be lacking; empty takes the note back."""
        self._connection.execute("DELETE FROM gap")
        if reason:
            self._connection.execute("INSERT INTO gap VALUES (?)", (reason,))

    def _add(self, record: InstanceRecord) -> StoredInstance | None:
        uid = record.instance.identity.series_instance_uid
        seen = tuple(map(record.attributes.get, self._upper))
        known = self._known.get(uid)
        if known is not None and known[1] == seen:
            try:
                return self._add_to(known[0], record)
            except sqlite3.IntegrityError:
                # Another process has removed the series.
                del self._known[uid]
        existing = self.locate(record.instance.identity.sop_instance_uid)
        if existing is None:
            series = self._series(record)
            self._remember(uid, series, seen)
            self._add_to(series, record)
        return existing

    def _remember(self, uid: str, series: int, seen: tuple[object, ...]) -> None:
        self._known[uid] = (series, seen)
        self._known.move_to_end(uid)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def locate(self, sop_instance_uid: str) -> StoredInstance | None:
        """Return the instance with this UID."""
        return located(self._connection, sop_instance_uid)

    def _add_to(self, series: int, record: InstanceRecord) -> StoredInstance | None:
        instance = record.instance
        identity = instance.identity
        frame = (
            series,
            identity.sop_instance_uid,
            identity.sop_class_uid,
            instance.transfer_syntax_uid,
            instance.key,
            instance.size,
            instance.dataset_offset,
            instance.digest or None,
        )
        row, several = self._instances.row(record.attributes)
        cursor = self._connection.execute(self._insert_instance, (*frame, *row))
        if cursor.rowcount == 0:
            return self.locate(identity.sop_instance_uid)
        self._insert_several(cursor.lastrowid or 0, several)
        return None

    def _series(self, record: InstanceRecord) -> int:
        """Return the series of a record, created or filled with what it lacked."""
        identity = record.instance.identity
        found = self._find(Level.SERIES, identity.series_instance_uid)
        if found is None:
            study = self._study(record)
            return self._create(
                Level.SERIES,
                (study, identity.series_instance_uid),
                record,
            )
        series, study = found
        self._fill(Level.SERIES, series, record)
        row = self._connection.execute(
            "SELECT StudyInstanceUID, parent FROM study WHERE id = ?", (study,)
        ).fetchone()
        if row[0] == identity.study_instance_uid:
            self._fill(Level.STUDY, study, record)
            self._fill_patient(row[1], record)
        else:
            log.warning(
                "series %s came with study %s; it stays in study %s, where it arrived first",
                identity.series_instance_uid,
                identity.study_instance_uid,
                row[0],
            )
        return series

    def _study(self, record: InstanceRecord) -> int:
        uid = record.instance.identity.study_instance_uid
        found = self._find(Level.STUDY, uid)
        if found is None:
            patient = self._patient(record)
            return self._create(Level.STUDY, (patient, uid), record)
        study, patient = found
        self._fill(Level.STUDY, study, record)
        self._fill_patient(patient, record)
        return study

    def _patient(self, record: InstanceRecord) -> int:
        keys = _patient_keys(record)
        row = self._connection.execute(
            "SELECT id FROM patient WHERE PatientID = ? AND IssuerOfPatientID = ? AND alone = ?",
            keys,
        ).fetchone()
        if row is None:
            return self._create(Level.PATIENT, keys, record)
        self._fill(Level.PATIENT, row[0], record)
        return int(row[0])

    def _fill_patient(self, patient: int, record: InstanceRecord) -> None:
        keys = _patient_keys(record)
        there = self._connection.execute(
            "SELECT PatientID, IssuerOfPatientID FROM patient WHERE id = ?", (patient,)
        ).fetchone()
        if there == keys[:2]:
            self._fill(Level.PATIENT, patient, record)
        else:
            log.warning(
                "study %s came with another Patient ID or Issuer of Patient ID than it has; it "
                "stays with the patient under whom it arrived first",
                record.instance.identity.study_instance_uid,
            )

    def _find(self, level: Level, uid: str) -> tuple[int, int] | None:
        found: tuple[int, int] | None = self._connection.execute(
            f"SELECT id, parent FROM {TABLES[level]} WHERE {UIDS[level]} = ?",  # noqa: S608
            (uid,),
        ).fetchone()
        return found

    def _create(self, level: Level, frame: tuple[Any, ...], record: InstanceRecord) -> int:
        row, several = self._makers[level].row(record.attributes)
        owner = self._connection.execute(self._inserts[level], (*frame, *row)).lastrowid or 0
        self._insert_several(owner, several)
        return owner

    def _insert_several(self, owner: int, several: Several) -> None:
        if several:
            rows = [(match, value, owner) for match, value in several]
            self._connection.executemany("INSERT OR IGNORE INTO several VALUES (?, ?, ?)", rows)

    def _fill(self, level: Level, row: int, record: InstanceRecord) -> None:
        """Give an entity the values that it lacks; those it has stay."""
        attributes = self._makers[level].attributes
        given = [a for a in attributes if any(record.attributes.get(a.tag, ()))]
        names = ", ".join(["id", *(a.keyword for a in given)])
        there = self._connection.execute(
            f"SELECT {names} FROM {TABLES[level]} WHERE id = ?",  # noqa: S608
            (row,),
        ).fetchone()[1:]
        lacking = tuple(a for a, value in zip(given, there, strict=True) if value is None)
        if lacking:
            maker = RowMaker(lacking)
            values, several = maker.row(record.attributes)
            columns = ", ".join(f"{column} = ?" for column in maker.columns)
            self._connection.execute(
                f"UPDATE {TABLES[level]} SET {columns} WHERE id = ?",  # noqa: S608
                (*values, row),
            )
            self._insert_several(row, several)

    def remove(self, sop_instance_uid: str) -> StoredInstance | None:
        """Remove an instance, and what it leaves empty."""
        found = self.locate(sop_instance_uid)
        if found is None:
            return None
        row = self._connection.execute(
            "SELECT id FROM instance WHERE SOPInstanceUID = ?", (sop_instance_uid,)
        ).fetchone()[0]
        self.settle((sop_instance_uid,))
        for level in reversed(Level):
            row, empty = self._delete(level, row)
            if level is Level.SERIES:
                self._known.pop(found.identity.series_instance_uid, None)
            if not empty:
                break
        return found

    def _delete(self, level: Level, row: int) -> tuple[int, bool]:
        """Delete a row; return its parent, and whether that is empty now."""
        table = TABLES[level]
        self._connection.execute(
            "DELETE FROM several WHERE owner = ? AND match IN (SELECT value FROM json_each(?))",
            (row, self._matches[level]),
        )
        parent = "parent" if level is not Level.PATIENT else "NULL"
        above = self._connection.execute(
            f"DELETE FROM {table} WHERE id = ? RETURNING {parent}",  # noqa: S608
            (row,),
        ).fetchall()[0][0]
        if above is None:
            return 0, False
        left = self._connection.execute(
            f"SELECT EXISTS (SELECT 1 FROM {table} WHERE parent = ?)",  # noqa: S608
            (above,),
        ).fetchone()[0]
        return above, not left

    def replace(self, record: InstanceRecord) -> StoredInstance | None:
        """Put an instance in the place of the one that has its UID."""
        replaced = self.remove(record.instance.identity.sop_instance_uid)
        self.add(record)
        return replaced

    def clear(self) -> None:
        """Remove everything."""
        for table in ("unflushed", "several", "instance", "series", "study", "patient"):
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608
        self.forget()


def _patient_keys(record: InstanceRecord) -> tuple[str, str, str]:
    patient_id = "\\".join(texts(record.attributes, _PATIENT_ID))
    issuer = "\\".join(texts(record.attributes, _ISSUER))
    alone = "" if patient_id else record.instance.identity.study_instance_uid
    return patient_id, issuer, alone
