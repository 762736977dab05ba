"""Conflicts: what contradicts what, found as an instance arrives, and listed."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from attrs import define, frozen

from pacs_core.contracts import Conflict, ConflictKind, Level, patient_name_of
from pacs_core.relational import TABLES, UIDS, VARYING, Attribute, Catalog, Stored
from pacs_index_sqlite.headers import comparison_of
from pacs_index_sqlite.locations import ABOVE

DEMOGRAPHICS: Final = {
    "PatientName": "PatientName_alphabetic",
    "PatientBirthDate": "PatientBirthDate_order",
    "PatientSex": "PatientSex",
}
"""What tells patients apart besides the Patient ID, and the column to compare of each."""

_PAGE: Final = 512
_PATIENT: Final = (
    "PatientID || iif(IssuerOfPatientID = '', '', '^^^' || IssuerOfPatientID)"  # patient_name_of
)
_SERIES_STUDIES: Final = """
    SELECT DISTINCT StudyInstanceUID FROM series CROSS JOIN study ON study.id = series.parent
    WHERE SeriesInstanceUID = ?"""
_INSTANCE_STUDIES: Final = f"""
    SELECT StudyInstanceUID FROM instance {ABOVE} WHERE SOPInstanceUID = ?"""  # noqa: S608
_STUDY_PATIENTS: Final = """
    SELECT PatientID, IssuerOfPatientID FROM study CROSS JOIN patient ON patient.id = study.parent
    WHERE StudyInstanceUID = ?"""


@define
class ConflictFinder:
    """Tells what a new entity contradicts, before it is added. Each look-up reads an index."""

    _connection: sqlite3.Connection

    def of_study(
        self,
        uid: str,
        keys: tuple[str, str, str],
        patient: int | None,
        shown: Mapping[str, Stored],
    ) -> list[Conflict]:
        """Return the conflicts that a new study brings about."""
        found: list[Conflict] = []
        name = patient_name_of(*keys[:2])
        others = self._connection.execute(_STUDY_PATIENTS, (uid,)).fetchall()
        if len(others) == 1:
            values = (patient_name_of(*others[0]), name)
            found.append(Conflict(ConflictKind.STUDY, uid, values))
        if patient is None:
            return found
        for keyword, column in DEMOGRAPHICS.items():
            if (compared := shown.get(column)) is not None:
                only = self._only_value(patient, keyword, column)
                if only is not None and only[0] != compared:
                    values = (only[1], str(shown[keyword]))
                    found.append(Conflict(ConflictKind.PATIENT, name, values, keyword))
        return found

    def _only_value(self, patient: int, keyword: str, column: str) -> tuple[str, str] | None:
        """Return what all studies of a patient have; None if they have nothing, or differ."""
        rows = [
            self._connection.execute(
                f"SELECT {column}, {keyword} FROM study WHERE parent = ? "  # noqa: S608
                f"AND {column} IS NOT NULL ORDER BY {column} {direction} LIMIT 1",
                (patient,),
            ).fetchone()
            for direction in ("ASC", "DESC")
        ]
        return rows[0] if rows[0] is not None and rows[0][0] == rows[1][0] else None

    def of_series(self, study: str, uid: str) -> list[Conflict]:
        """Return the conflicts that a new series brings about."""
        others = {row[0] for row in self._connection.execute(_SERIES_STUDIES, (uid,))}
        if len(others) != 1 or study in others:
            return []
        return [Conflict(ConflictKind.SERIES, uid, (*others, study))]

    def studies_of_instance(self, uid: str) -> list[str]:
        """Return the studies that have an instance with this SOP Instance UID."""
        return [row[0] for row in self._connection.execute(_INSTANCE_STUDIES, (uid,))]


@frozen
class Listing:
    """A kind of conflict as a query: a key to go on from, what it is about, and the values."""

    kind: ConflictKind
    query: str
    first: str | int
    attribute: str = ""

    def page(self, after: str | int, connection: sqlite3.Connection) -> list[tuple[Any, Conflict]]:
        """Return some conflicts with their keys, those that follow a key."""
        rows = connection.execute(self.query, (after, _PAGE)).fetchall()
        return [
            (key, Conflict(self.kind, uid, json.loads(values), self.attribute, *study))
            for key, uid, values, *study in rows
        ]


def is_full(page: list[tuple[Any, Conflict]]) -> bool:
    """Tell whether another page may follow."""
    return len(page) == _PAGE


def listings(catalog: Catalog) -> Iterable[Listing]:
    """Return the queries for all conflicts."""
    yield from (
        Listing(ConflictKind.PATIENT, _patient_query(keyword, column), 0, keyword)
        for keyword, column in DEMOGRAPHICS.items()
    )
    yield Listing(ConflictKind.STUDY, _STUDIES, "")
    yield Listing(ConflictKind.SERIES, _SERIES, "")
    yield Listing(ConflictKind.INSTANCE, _INSTANCES, "")
    kinds = (ConflictKind.STUDY_ATTRIBUTE, ConflictKind.SERIES_ATTRIBUTE)
    for level, kind in zip(VARYING, kinds, strict=True):
        listing = partial(Listing, kind, first=0)
        for attribute in catalog.non_key_attributes(level):
            if attribute.matches:
                yield listing(_attribute_query(level, attribute), attribute=attribute.keyword)


def _patient_query(keyword: str, column: str) -> str:
    return f"""
        SELECT patient.id, {_PATIENT}, json_group_array(DISTINCT {keyword})
        FROM patient CROSS JOIN study ON study.parent = patient.id
        WHERE patient.id > ? AND {column} IS NOT NULL
        GROUP BY patient.id HAVING count(DISTINCT {column}) > 1
        ORDER BY patient.id LIMIT ?"""  # noqa: S608


_STUDIES: Final = f"""
    SELECT StudyInstanceUID, StudyInstanceUID, json_group_array({_PATIENT})
    FROM study CROSS JOIN patient ON patient.id = study.parent
    WHERE StudyInstanceUID > ? GROUP BY StudyInstanceUID HAVING count(*) > 1
    ORDER BY StudyInstanceUID LIMIT ?"""  # noqa: S608
_SERIES: Final = """
    SELECT SeriesInstanceUID, SeriesInstanceUID, json_group_array(DISTINCT StudyInstanceUID)
    FROM series CROSS JOIN study ON study.id = series.parent
    WHERE SeriesInstanceUID > ? GROUP BY SeriesInstanceUID
    HAVING count(DISTINCT StudyInstanceUID) > 1 ORDER BY SeriesInstanceUID LIMIT ?"""
_INSTANCES: Final = f"""
    SELECT SOPInstanceUID, SOPInstanceUID, json_group_array(DISTINCT StudyInstanceUID)
    FROM instance {ABOVE}
    WHERE SOPInstanceUID IN (
        SELECT DISTINCT SOPInstanceUID FROM instance WHERE twin > 0 AND SOPInstanceUID > ?
        ORDER BY SOPInstanceUID LIMIT ?)
    GROUP BY SOPInstanceUID ORDER BY SOPInstanceUID"""  # noqa: S608


def _attribute_query(level: Level, attribute: Attribute) -> str:
    table = TABLES[level]
    study = (
        ""
        if level is Level.STUDY
        else ", (SELECT StudyInstanceUID FROM study WHERE study.id = series.parent)"
    )
    column = f"{table}_variant.{attribute.keyword}"
    return f"""
        SELECT {table}.id, {UIDS[level]}, json_group_array(DISTINCT {column}){study}
        FROM {table}_variant CROSS JOIN {table} ON {table}.id = {table}_variant.parent
        WHERE {table}_variant.parent > ? AND {column} IS NOT NULL
        GROUP BY {table}_variant.parent
        HAVING count(DISTINCT {comparison_of(attribute, f"{table}_variant")}) > 1
        ORDER BY {table}_variant.parent LIMIT ?"""  # noqa: S608
