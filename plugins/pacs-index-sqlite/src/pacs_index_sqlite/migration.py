"""The step that keeps entities by their whole path, and what the instances of each say of it.

Four tables are made anew: SQLite cannot drop a column's UNIQUE. Rows and their ids stay.
"""

import logging
import sqlite3
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from pacs_core.relational import json_of

log = logging.getLogger(__name__)

_PATIENT: Final = """
    id INTEGER PRIMARY KEY,
    PatientID TEXT NOT NULL, IssuerOfPatientID TEXT NOT NULL, alone TEXT NOT NULL,
    UNIQUE (PatientID, IssuerOfPatientID, alone)"""
_STUDY: Final = """
    id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES patient,
    StudyInstanceUID TEXT NOT NULL, UNIQUE (StudyInstanceUID, parent)"""
_SERIES: Final = """
    id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES study,
    SeriesInstanceUID TEXT NOT NULL, UNIQUE (SeriesInstanceUID, parent)"""
# Of instances with one SOP Instance UID, each in another study, the twins are 0, 1, 2, ...: an
# instance that is the first of its UID, as nearly all are, is added by one statement.
_INSTANCE: Final = """
    id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, header INTEGER NOT NULL,
    twin INTEGER NOT NULL, SOPInstanceUID TEXT NOT NULL, SOPClassUID TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL, object_key TEXT NOT NULL,
    size INTEGER NOT NULL, dataset_offset INTEGER NOT NULL, digest BLOB,
    UNIQUE (SOPInstanceUID, twin),
    FOREIGN KEY (parent, header) REFERENCES series_header (parent, id)"""
_NEW: Final = (
    """CREATE TABLE study_header (
        id INTEGER PRIMARY KEY,
        parent INTEGER NOT NULL REFERENCES study, above INTEGER NOT NULL)""",
    # AUTOINCREMENT: the id of a removed header is never used again, so that a process that
    # remembers it cannot put an instance where it does not belong.
    """CREATE TABLE series_header (
        id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER NOT NULL REFERENCES series,
        above INTEGER NOT NULL REFERENCES study_header, UNIQUE (parent, id))""",
    """CREATE TABLE study_variant (
        id INTEGER PRIMARY KEY REFERENCES study_header,
        parent INTEGER NOT NULL, rank TEXT NOT NULL, UNIQUE (parent, rank))""",
    """CREATE TABLE series_variant (
        id INTEGER PRIMARY KEY REFERENCES series_header,
        parent INTEGER NOT NULL, rank TEXT NOT NULL, UNIQUE (parent, rank))""",
)
_INDEXES: Final = (
    "CREATE INDEX study_parent ON study (parent)",
    "CREATE INDEX series_parent ON series (parent)",
    "CREATE INDEX study_header_parent ON study_header (parent)",
    "CREATE INDEX series_header_above ON series_header (above)",
    "CREATE INDEX instance_parent ON instance (parent, header)",
    "CREATE INDEX instance_SOPClassUID ON instance (SOPClassUID, parent)",
    "CREATE INDEX instance_twin ON instance (SOPInstanceUID) WHERE twin > 0",
)
_PATIENT_COLUMNS: Final = frozenset({"id", "PatientID", "IssuerOfPatientID", "alone"})
_UNFLUSHED: Final = (
    "ALTER TABLE unflushed RENAME TO former_unflushed",
    "CREATE TABLE unflushed (instance INTEGER PRIMARY KEY REFERENCES instance)",
    "INSERT INTO unflushed SELECT id FROM former_unflushed JOIN instance USING (SOPInstanceUID)",
    "DROP TABLE former_unflushed",
)
GAP: Final = "CREATE TABLE IF NOT EXISTS gap (reason TEXT NOT NULL)"
"""The table of why the index may lack instances; see :meth:`Index.gap`."""

_MIXED: Final = (
    "it was made by an earlier version, which put studies, series and instances with one UID "
    "together, so that images of one patient may be under another, and kept but one value where "
    "instances differ"
)
_HEADERS: Final = (
    "INSERT INTO study_header (parent, above) SELECT id, 0 FROM study",
    """INSERT INTO series_header (parent, above)
        SELECT series.id, study_header.id FROM series
        CROSS JOIN study_header ON study_header.parent = series.parent""",
)


def keep_whole_paths(connection: sqlite3.Connection) -> None:
    """Let equal UIDs in different studies be different entities; foreign keys must be off."""
    for statement in _NEW:
        connection.execute(statement)
    _give_to_studies(connection)
    _make_anew(connection, "series", _SERIES)
    for statement in _HEADERS:
        connection.execute(statement)
    header = "CROSS JOIN series_header ON series_header.parent = former.parent"
    filled = {"header": ("series_header.id", "INTEGER"), "twin": ("0", "INTEGER")}
    _make_anew(connection, "instance", _INSTANCE, header, filled)
    for statement in (*_UNFLUSHED, *_INDEXES):
        connection.execute(statement)
    if connection.execute("SELECT EXISTS (SELECT 1 FROM instance)").fetchone()[0]:
        # Nothing in the file tells which instances were put under another patient: only their
        # objects do. Until a rebuild has read them, the node must not hand out what it finds here.
        connection.execute(GAP)
        connection.execute("DELETE FROM gap")
        connection.execute("INSERT INTO gap VALUES (?)", (_MIXED,))
        log.warning("%s: run `pacs index rebuild`", _MIXED)


def _give_to_studies(connection: sqlite3.Connection) -> None:
    """Give each study the attributes of its patient, and leave the patient its keys."""
    given = {n: t for n, t in _columns(connection, "patient").items() if n not in _PATIENT_COLUMNS}
    matches = json_of([*given, *(f"{name}_sound" for name in given)])
    of_patient = "match IN (SELECT value FROM json_each(?))"
    connection.execute(
        "CREATE TEMP TABLE moved AS SELECT match, value, study.id FROM several "  # noqa: S608
        f"CROSS JOIN study ON study.parent = owner WHERE {of_patient}",
        (matches,),
    )
    connection.execute(f"DELETE FROM several WHERE {of_patient}", (matches,))  # noqa: S608
    connection.execute("INSERT INTO several SELECT * FROM temp.moved")
    connection.execute("DROP TABLE temp.moved")
    patient = "CROSS JOIN patient ON patient.id = former.parent"
    filled = {name: (f"patient.{name}", type_) for name, type_ in given.items()}
    _make_anew(connection, "study", _STUDY, patient, filled)
    _make_anew(connection, "patient", _PATIENT, without=given)


def _make_anew(
    connection: sqlite3.Connection,
    table: str,
    frame: str,
    join: str = "",
    filled: Mapping[str, tuple[str, str]] = MappingProxyType({}),
    without: Collection[str] = (),
) -> None:
    """Make a table anew within a frame, with the columns it had and those that are filled in."""
    columns = {
        name: (f"former.{name}", type_)
        for name, type_ in _columns(connection, table).items()
        if name not in without
    } | dict(filled)
    connection.execute(f"CREATE TABLE anew ({frame})")
    present = _columns(connection, "anew")
    for name, (_, type_) in columns.items():
        if name not in present:
            connection.execute(f"ALTER TABLE anew ADD COLUMN {name} {type_}")
    sources = ", ".join(source for source, _ in columns.values())
    connection.execute(
        f"INSERT INTO anew ({', '.join(columns)}) SELECT {sources} FROM {table} AS former {join}"  # noqa: S608
    )
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"ALTER TABLE anew RENAME TO {table}")


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Return the types of a table's columns by name."""
    return {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({table})")}
