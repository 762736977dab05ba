# ruff: noqa: S608 - the names of tables and columns come from the catalog
"""Conflicts: what contradicts what, found as an instance arrives, and listed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import frozen

from pacs_core.contracts import Conflict, ConflictKind, Level, patient_name_of
from pacs_core.relational import TABLES, UIDS, VARYING, Attribute, Catalog, Stored
from pacs_index_postgresql.headers import comparison_of
from pacs_index_postgresql.locations import ABOVE
from pacs_index_postgresql.text import decode

DEMOGRAPHICS: Final = {
    "PatientName": "PatientName_alphabetic",
    "PatientBirthDate": "PatientBirthDate_order",
    "PatientSex": "PatientSex",
}
"""What tells patients apart besides the Patient ID, and the column to compare of each."""

PAGE: Final = 512
_PATIENT: Final = (  # patient_name_of
    "PatientID || CASE IssuerOfPatientID WHEN '' THEN '' ELSE '^^^' || IssuerOfPatientID END"
)


async def conflicts_of_study(
    connection: Any,
    uid: str,
    keys: tuple[str, str, str],
    patient: int | None,
    shown: Mapping[str, Stored],
) -> list[Conflict]:
    """Return the conflicts that a new study brings about."""
    found: list[Conflict] = []
    name = patient_name_of(decode(keys[0]), decode(keys[1]))
    others = await connection.fetch(
        "SELECT PatientID, IssuerOfPatientID FROM study JOIN patient ON patient.id = study.parent "
        "WHERE StudyInstanceUID = $1",
        uid,
    )
    if len(others) == 1:
        values = (patient_name_of(*map(decode, others[0])), name)
        found.append(Conflict(ConflictKind.STUDY, uid, values))
    if patient is None:
        return found
    for keyword, column in DEMOGRAPHICS.items():
        if (compared := shown.get(column)) is not None:
            only = await _only_value(connection, patient, keyword, column)
            if only is not None and only[0] != compared:
                values = (decode(only[1]), decode(str(shown[keyword])))
                found.append(Conflict(ConflictKind.PATIENT, name, values, keyword))
    return found


async def _only_value(
    connection: Any, patient: int, keyword: str, column: str
) -> tuple[str, str] | None:
    """Return what all studies of a patient have; None if they have nothing, or differ."""
    rows = [
        await connection.fetchrow(
            f"SELECT {column}, {keyword} FROM study WHERE parent = $1 "
            f"AND {column} IS NOT NULL ORDER BY {column} {direction} LIMIT 1",
            patient,
        )
        for direction in ("ASC", "DESC")
    ]
    return tuple(rows[0]) if rows[0] is not None and rows[0][0] == rows[1][0] else None


async def conflicts_of_series(connection: Any, study: str, uid: str) -> list[Conflict]:
    """Return the conflicts that a new series brings about."""
    rows = await connection.fetch(
        "SELECT DISTINCT StudyInstanceUID FROM series JOIN study ON study.id = series.parent "
        "WHERE SeriesInstanceUID = $1",
        uid,
    )
    others = {row[0] for row in rows}
    if len(others) != 1 or study in others:
        return []
    return [Conflict(ConflictKind.SERIES, uid, (*others, study))]


async def studies_of_instance(connection: Any, uid: str) -> list[str]:
    """Return the studies that have an instance with this SOP Instance UID."""
    rows = await connection.fetch(
        f"SELECT StudyInstanceUID FROM instance {ABOVE} WHERE SOPInstanceUID = $1", uid
    )
    return [row[0] for row in rows]


@frozen
class Listing:
    """A kind of conflict as a query: a key to go on from, what it is about, and the values."""

    kind: ConflictKind
    query: str
    first: str | int
    attribute: str = ""

    def conflict(self, row: Any) -> Conflict:
        """Return what a row says, but for its key."""
        _, uid, values, *study = row
        found = [decode(value) for value in json.loads(values)]
        return Conflict(self.kind, decode(uid), found, self.attribute, *study)


def listings(catalog: Catalog) -> Iterable[Listing]:
    """Return the queries for all conflicts."""
    for keyword, column in DEMOGRAPHICS.items():
        yield Listing(ConflictKind.PATIENT, _patient_query(keyword, column), 0, keyword)
    yield Listing(ConflictKind.STUDY, _STUDIES, "")
    yield Listing(ConflictKind.SERIES, _SERIES, "")
    yield Listing(ConflictKind.INSTANCE, _INSTANCES, "")
    kinds = (ConflictKind.STUDY_ATTRIBUTE, ConflictKind.SERIES_ATTRIBUTE)
    for level, kind in zip(VARYING, kinds, strict=True):
        for attribute in catalog.non_key_attributes(level):
            if attribute.matches:
                yield Listing(kind, _attribute_query(level, attribute), 0, attribute.keyword)


def _patient_query(keyword: str, column: str) -> str:
    return f"""
        SELECT patient.id, {_PATIENT}, json_agg(DISTINCT {keyword})::text
        FROM patient JOIN study ON study.parent = patient.id
        WHERE patient.id > $1 AND {column} IS NOT NULL
        GROUP BY patient.id HAVING count(DISTINCT {column}) > 1
        ORDER BY patient.id LIMIT $2"""


_STUDIES: Final = f"""
    SELECT StudyInstanceUID, StudyInstanceUID, json_agg({_PATIENT})::text
    FROM study JOIN patient ON patient.id = study.parent
    WHERE StudyInstanceUID > $1 GROUP BY StudyInstanceUID HAVING count(*) > 1
    ORDER BY StudyInstanceUID LIMIT $2"""
_SERIES: Final = """
    SELECT SeriesInstanceUID, SeriesInstanceUID, json_agg(DISTINCT StudyInstanceUID)::text
    FROM series JOIN study ON study.id = series.parent
    WHERE SeriesInstanceUID > $1 GROUP BY SeriesInstanceUID
    HAVING count(DISTINCT StudyInstanceUID) > 1 ORDER BY SeriesInstanceUID LIMIT $2"""
_INSTANCES: Final = f"""
    SELECT SOPInstanceUID, SOPInstanceUID, json_agg(DISTINCT StudyInstanceUID)::text
    FROM instance {ABOVE}
    WHERE SOPInstanceUID IN (
        SELECT DISTINCT SOPInstanceUID FROM instance WHERE twin > 0 AND SOPInstanceUID > $1
        ORDER BY SOPInstanceUID LIMIT $2)
    GROUP BY SOPInstanceUID ORDER BY SOPInstanceUID"""


def _attribute_query(level: Level, attribute: Attribute) -> str:
    table = TABLES[level]
    study = (
        ""
        if level is Level.STUDY
        else ", (SELECT StudyInstanceUID FROM study WHERE study.id = series.parent)"
    )
    column = f"{table}_variant.{attribute.keyword}"
    return f"""
        SELECT {table}.id, {UIDS[level]}, json_agg(DISTINCT {column})::text{study}
        FROM {table}_variant JOIN {table} ON {table}.id = {table}_variant.parent
        WHERE {table}_variant.parent > $1 AND {column} IS NOT NULL
        GROUP BY {table}.id
        HAVING count(DISTINCT {comparison_of(attribute, f"{table}_variant")}) > 1
        ORDER BY {table}.id LIMIT $2"""
