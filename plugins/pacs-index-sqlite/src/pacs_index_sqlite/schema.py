"""The database's schema: versioned steps for its frame, and columns that follow the catalog.

The frame (tables, keys, what the code relies on) changes by migration steps only, counted in
``PRAGMA user_version``. Columns and indexes of attributes are added wherever the catalog has ones
that the file lacks, so that a further attribute needs no step.
"""

import logging
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from pacs_core.relational import IDENTITY, TABLES, Attribute, Catalog
from pacs_index_sqlite.conflicts import DEMOGRAPHICS
from pacs_index_sqlite.correction_log import create_tables as keep_corrections
from pacs_index_sqlite.errors import NewerSchemaError
from pacs_index_sqlite.leases import create_table as keep_leases
from pacs_index_sqlite.metadata import create_tables as keep_metadata
from pacs_index_sqlite.migration import keep_whole_paths
from pacs_index_sqlite.outbox import create_tables as keep_changes
from pacs_index_sqlite.zones import note_zones

log = logging.getLogger(__name__)

Step = Callable[[sqlite3.Connection], None]
AddColumns = Callable[[sqlite3.Connection, str, Sequence[str]], None]
"""What adds columns, each a name and a type, to a table."""

_FRAME = (
    # Without a Patient ID nothing tells patients apart: each such study has a patient of its own,
    # `alone` being its UID.
    """CREATE TABLE patient (
        id INTEGER PRIMARY KEY,
        PatientID TEXT NOT NULL, IssuerOfPatientID TEXT NOT NULL, alone TEXT NOT NULL,
        UNIQUE (PatientID, IssuerOfPatientID, alone))""",
    """CREATE TABLE study (
        id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES patient,
        StudyInstanceUID TEXT NOT NULL UNIQUE)""",
    # AUTOINCREMENT: the id of a removed series is never used again, so that a process that
    # remembers it cannot put an instance into another series.
    """CREATE TABLE series (
        id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER NOT NULL REFERENCES study,
        SeriesInstanceUID TEXT NOT NULL UNIQUE)""",
    """CREATE TABLE instance (
        id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES series,
        SOPInstanceUID TEXT NOT NULL UNIQUE, SOPClassUID TEXT NOT NULL,
        transfer_syntax_uid TEXT NOT NULL, object_key TEXT NOT NULL,
        size INTEGER NOT NULL, dataset_offset INTEGER NOT NULL)""",
    """CREATE TABLE several (
        match TEXT NOT NULL, value NOT NULL, owner INTEGER NOT NULL,
        PRIMARY KEY (match, value, owner)) WITHOUT ROWID""",
    "CREATE INDEX several_owner ON several (owner, match)",
    "CREATE INDEX study_parent ON study (parent)",
    "CREATE INDEX series_parent ON series (parent)",
    "CREATE INDEX instance_parent ON instance (parent)",
    "CREATE INDEX instance_SOPClassUID ON instance (SOPClassUID, parent)",
)


def _create(connection: sqlite3.Connection) -> None:
    for statement in _FRAME:
        connection.execute(statement)


def _note_unflushed(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE unflushed (SOPInstanceUID TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID"
    )


def _keep_digests(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE instance ADD COLUMN digest BLOB")


def _keep_origins(connection: sqlite3.Connection) -> None:
    for table in ("instance", "change"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN origin TEXT")


STEPS: tuple[Step, ...] = (
    _create,
    _note_unflushed,
    _keep_digests,
    note_zones,
    keep_whole_paths,
    keep_changes,
    keep_metadata,
    keep_corrections,
    keep_leases,
    _keep_origins,
)
"""Step n takes a file from version n to n + 1. Append only."""


def prepare(
    connection: sqlite3.Connection, catalog: Catalog, path: Path, steps: Sequence[Step] = STEPS
) -> None:
    """Bring a file to the present schema, in one transaction.

    Raises
    ------
    NewerSchemaError
        The file's version is later than this code knows.
    """
    (enforced,) = connection.execute("PRAGMA foreign_keys").fetchone()
    # Tables are made anew in steps: within a transaction this cannot be turned off.
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        fresh = _migrate(connection, path, steps)
        _follow(connection, catalog, _make_with if fresh else _alter)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute(f"PRAGMA foreign_keys = {enforced}")


def version_of(path: Path) -> int:
    """Return the version of a file, which may be in use; 0 if there is none.

    Raises
    ------
    sqlite3.Error
        It is no database.
    """
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Step]) -> bool:
    """Take the steps that a file lacks; return whether it was empty before."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(steps):
        raise NewerSchemaError(
            f"the index {path} has schema version {version}, and this pacs-index-sqlite knows "
            f"versions up to {len(steps)}: install the later version again, or move the file "
            "away and run `pacs index rebuild`"
        )
    for step in steps[version:]:
        step(connection)
    if version < len(steps):
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        log.info("index %s: schema version %d is now %d", path, version, len(steps))
    return not version


def _follow(connection: sqlite3.Connection, catalog: Catalog, add: AddColumns) -> None:
    for level, table in TABLES.items():
        kept = catalog.at(level)
        lacking = _add_columns(connection, table, kept, add)
        varying = [attribute.varying for attribute in kept if attribute.varying is not None]
        if varying:
            _add_columns(connection, varying[0].table, varying, add)
        for attribute in (*kept, *varying):
            if attribute.indexed and attribute.keyword not in IDENTITY:
                _index(connection, attribute)
        if lacking and connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0]:  # noqa: S608
            log.warning(
                "instances in the index lack %s: run `pacs index rebuild`", ", ".join(lacking)
            )
    for column in DEMOGRAPHICS.values():
        connection.execute(
            f"CREATE INDEX IF NOT EXISTS study_parent_{column} ON study (parent, {column})"
        )


def _add_columns(
    connection: sqlite3.Connection, table: str, attributes: Iterable[Attribute], add: AddColumns
) -> list[str]:
    """Add the columns that a table lacks; return the keywords of their attributes."""
    present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    lacking = {a.keyword: [c for c in a.columns if c not in present] for a in attributes}
    columns = [
        f"{column} {'INTEGER' if column.endswith('_number') else 'TEXT'}"
        for of_attribute in lacking.values()
        for column in of_attribute
    ]
    if columns:
        add(connection, table, columns)
    return [keyword for keyword, of_attribute in lacking.items() if of_attribute]


def _alter(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    for column in columns:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {column}")


def _make_with(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    """Make an empty table anew with further columns.

    For each that is added SQLite reads the whole schema again: of a new file, most of its making.
    """
    frame, *indexes = connection.execute(
        "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL "
        "ORDER BY type = 'index'",
        (table,),
    ).fetchall()
    # As SQLite does it: before the first constraint of the table, or its closing parenthesis.
    end = next(re.finditer(r",\s*(UNIQUE|FOREIGN KEY)\s*\(|\)\s*$", frame[0])).start()
    connection.execute(f"DROP TABLE {table}")
    connection.execute(", ".join((frame[0][:end], *columns)) + frame[0][end:])
    for (index,) in indexes:
        connection.execute(index)


def _index(connection: sqlite3.Connection, attribute: Attribute) -> None:
    # The parent makes the index cover look-ups from the level above.
    for match in attribute.matches:
        connection.execute(
            f"CREATE INDEX IF NOT EXISTS {attribute.table}_{match.column} ON {attribute.table} "
            f"({match.column}, parent) WHERE {match.column} IS NOT NULL"
        )
