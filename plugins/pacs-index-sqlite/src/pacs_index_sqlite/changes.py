"""The changes that the writer makes: add, replace, remove, clear, within a transaction."""

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from attrs import define, field

from pacs_core.contracts import InstanceIdentity, InstanceRecord, Level, StoredInstance
from pacs_core.dataset import Attributes, texts
from pacs_index_sqlite.catalog import IDENTITY, TABLES, UIDS, Attribute, Catalog, Stored, json_of

log = logging.getLogger(__name__)

_KEYS = "StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, SOPClassUID"
LOCATION = f"{_KEYS}, transfer_syntax_uid, object_key, size, dataset_offset"
LOCATE = f"""
    SELECT {LOCATION} FROM instance
    CROSS JOIN series ON series.id = instance.parent CROSS JOIN study ON study.id = series.parent
    WHERE SOPInstanceUID = ?"""  # noqa: S608
_PATIENT_ID, _ISSUER = 0x0010_0020, 0x0010_0021


def stored_instance(row: tuple[Any, ...]) -> StoredInstance:
    """Return what the columns of `LOCATION` say."""
    return StoredInstance(InstanceIdentity(*row[:4]), *row[4:])


@define
class Changes:
    """Makes changes through one connection. Whatever rolls back must :meth:`forget`."""

    _connection: sqlite3.Connection
    _catalog: Catalog
    _capacity: int
    _known: OrderedDict[str, tuple[int, tuple[object, ...]]] = field(factory=OrderedDict)
    _upper: tuple[int, ...] = field(init=False)
    _stored: dict[Level, tuple[Attribute, ...]] = field(init=False)
    _insert: str = field(init=False)
    _several: dict[Level, str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._stored = {
            level: tuple(a for a in self._catalog.at(level) if a.keyword not in IDENTITY)
            for level in Level
        }
        self._upper = (
            _PATIENT_ID,
            _ISSUER,
            *(a.tag for level in list(Level)[:3] for a in self._stored[level]),
        )
        columns = [c for a in self._stored[Level.IMAGE] for c in a.columns]
        # The order of the first seven is that of `_frame`.
        self._insert = _insertion(
            "instance",
            "parent, SOPInstanceUID, SOPClassUID, transfer_syntax_uid, object_key, size, "
            "dataset_offset",
            columns,
            7,
        ).format("ON CONFLICT (SOPInstanceUID) DO NOTHING")
        self._several = {
            level: json_of(
                [m.column for a in found for m in a.matches]
                + [a.sound for a in found if a.sounds_indexed]
            )
            for level in Level
            for found in [self._catalog.at(level)]
        }

    def forget(self) -> None:
        """Forget which series exist."""
        self._known.clear()

    def add(self, record: InstanceRecord) -> StoredInstance | None:
        """Add an instance; return the one that has its UID already, if any."""
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
        row = self._connection.execute(LOCATE, (sop_instance_uid,)).fetchone()
        return stored_instance(row) if row else None

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
        )
        attributes = self._stored[Level.IMAGE]
        cursor = self._connection.execute(self._insert, frame + _row(attributes, record.attributes))
        if cursor.rowcount == 0:
            return self.locate(identity.sop_instance_uid)
        self._insert_several(cursor.lastrowid or 0, attributes, record.attributes)
        return None

    def _series(self, record: InstanceRecord) -> int:
        """Return the series of a record, created or filled with what it lacked."""
        identity = record.instance.identity
        found = self._find(Level.SERIES, identity.series_instance_uid)
        if found is None:
            study = self._study(record)
            return self._create(
                Level.SERIES,
                {"parent": study, "SeriesInstanceUID": identity.series_instance_uid},
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
            return self._create(Level.STUDY, {"parent": patient, "StudyInstanceUID": uid}, record)
        study, patient = found
        self._fill(Level.STUDY, study, record)
        self._fill_patient(patient, record)
        return study

    def _patient(self, record: InstanceRecord) -> int:
        keys = _patient_keys(record)
        row = self._connection.execute(
            "SELECT id FROM patient WHERE PatientID = ? AND IssuerOfPatientID = ? AND alone = ?",
            tuple(keys.values()),
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
        if there == (keys["PatientID"], keys["IssuerOfPatientID"]):
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

    def _create(self, level: Level, keys: dict[str, Any], record: InstanceRecord) -> int:
        attributes = self._stored[level]
        columns = [c for a in attributes for c in a.columns]
        statement = _insertion(TABLES[level], ", ".join(keys), columns, len(keys)).format("")
        values = (*keys.values(), *_row(attributes, record.attributes))
        row = self._connection.execute(statement, values).lastrowid or 0
        self._insert_several(row, attributes, record.attributes)
        if level is Level.PATIENT:
            self._insert_several(
                row,
                tuple(a for a in self._catalog.at(level) if a.keyword in IDENTITY),
                record.attributes,
            )
        return row

    def _fill(self, level: Level, row: int, record: InstanceRecord) -> None:
        """Give an entity the values that it lacks: the first to arrive wins, but nothing is not one."""
        given = [a for a in self._stored[level] if any(record.attributes.get(a.tag, ()))]
        if not given:
            return
        names = ", ".join(a.keyword for a in given)
        there = self._connection.execute(
            f"SELECT {names} FROM {TABLES[level]} WHERE id = ?",  # noqa: S608
            (row,),
        ).fetchone()
        lacking = tuple(a for a, value in zip(given, there, strict=True) if value is None)
        if lacking:
            columns = ", ".join(f"{c} = ?" for a in lacking for c in a.columns)
            self._connection.execute(
                f"UPDATE {TABLES[level]} SET {columns} WHERE id = ?",  # noqa: S608
                (*_row(lacking, record.attributes), row),
            )
            self._insert_several(row, lacking, record.attributes)

    def _insert_several(
        self, owner: int, attributes: tuple[Attribute, ...], values: Attributes
    ) -> None:
        for attribute in attributes:
            found = values.get(attribute.tag, ())
            if len(found) > 1 or (attribute.sounds_indexed and found):
                rows = [(match, value, owner) for match, value in attribute.several(found)]
                self._connection.executemany("INSERT OR IGNORE INTO several VALUES (?, ?, ?)", rows)

    def remove(self, sop_instance_uid: str) -> StoredInstance | None:
        """Remove an instance, and what it leaves empty."""
        found = self.locate(sop_instance_uid)
        if found is None:
            return None
        row = self._connection.execute(
            "SELECT id FROM instance WHERE SOPInstanceUID = ?", (sop_instance_uid,)
        ).fetchone()[0]
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
            (row, self._several[level]),
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
        for table in ("several", "instance", "series", "study", "patient"):
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608
        self.forget()


def _patient_keys(record: InstanceRecord) -> dict[str, str]:
    patient_id = "\\".join(texts(record.attributes, _PATIENT_ID))
    return {
        "PatientID": patient_id,
        "IssuerOfPatientID": "\\".join(texts(record.attributes, _ISSUER)),
        "alone": "" if patient_id else record.instance.identity.study_instance_uid,
    }


def _insertion(table: str, keys: str, columns: list[str], count: int) -> str:
    marks = ", ".join("?" * (count + len(columns)))
    names = ", ".join([keys, *columns])
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) {{}}"


def _row(attributes: tuple[Attribute, ...], values: Attributes) -> tuple[Stored, ...]:
    row: list[Stored] = []
    for attribute in attributes:
        found = values.get(attribute.tag)
        row += attribute.row(found) if found else (None,) * len(attribute.columns)
    return tuple(row)


Change = Callable[[Changes], StoredInstance | None]
