"""No indexed key makes SQLite read a whole table, at whatever level one asks."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from pacs_index_sqlite.config import SqliteIndexConfig
from pacs_index_sqlite.database import connect_writer
from pacs_index_sqlite.dialect import SQLITE
from pacs_index_sqlite.schema import prepare

from pacs_core.contracts import (
    AnyOf,
    Condition,
    DateTimeRange,
    Level,
    Query,
    Range,
    SingleValue,
    UidList,
    Wildcard,
)
from pacs_core.dataset import tag_of
from pacs_core.relational import (
    COMPUTED,
    Attribute,
    Catalog,
    build_catalog,
    matching_entities,
    matching_instances,
)
from pacs_core.testing.index_harness import name

CATALOG = build_catalog()
INDEXED = [a for a in CATALOG.attributes.values() if a.indexed]
DATES = [a for a in INDEXED if a.vr == "DA"]
NAMES = [a.keyword for a in INDEXED if a.vr == "PN"]
TEXTS = [a for a in INDEXED if a.vr not in {"DA", "PN", "UI"}]
UIDS = [a for a in INDEXED if a.vr == "UI"]
LISTED = [tag_of("ModalitiesInStudy"), tag_of("SOPClassesInStudy")]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("plans") / "index.sqlite"
    connection = connect_writer(path, SqliteIndexConfig(synchronous="off"))
    prepare(connection, CATALOG, path)
    yield connection
    connection.close()


def scans(connection: sqlite3.Connection, catalog: Catalog, query: Query) -> list[str]:
    """Return the steps of a query's plans that read a whole table of ours."""
    steps: list[str] = []
    for found in (
        matching_entities(SQLITE, catalog, query),
        matching_instances(SQLITE, catalog, query),
    ):
        for called, function in found.where.functions:
            connection.create_function(called, 1, function)
        text, parameters = found.statement((), 100, 0)
        steps += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]
    assert steps
    return [step for step in steps if step.startswith("SCAN") and "json_each" not in step]


CONDITIONS: list[Condition] = [
    *(SingleValue(a.tag, "1") for a in INDEXED),
    *(Wildcard(a.tag, "A*") for a in TEXTS),
    *(Range(a.tag, "20200101", "20200131") for a in DATES),
    *(
        DateTimeRange(
            a.tag, tag_of(a.keyword[:-4] + "Time"), "20200101", "", "20200131", "", False, "+0100"
        )
        for a in DATES
        if a.keyword != "PatientBirthDate"
    ),
    *(AnyOf(a.tag, (SingleValue(a.tag, "20200101"), Range(a.tag, "20200105", ""))) for a in DATES),
    *(UidList(a.tag, tuple(f"1.2.{n}" for n in range(5000))) for a in UIDS),
    *(name(p, keyword=keyword) for keyword in NAMES for p in ("a", "a*", "a*=b*", "=b")),
    *(name("smith^jo*", keyword=keyword, fuzzy=True) for keyword in NAMES),
    *(SingleValue(tag, "CT") for tag in LISTED),
    *(UidList(tag, ("CT", "MR")) for tag in LISTED),
]


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: f"{type(c).__name__}-{c.tag:08X}")
def test_no_scan(connection: sqlite3.Connection, level: Level, condition: Condition) -> None:
    assert scans(connection, CATALOG, Query(level, (condition,))) == []


def test_scans_are_seen(connection: sqlite3.Connection) -> None:
    condition = SingleValue(tag_of("PatientSex"), "F")
    assert scans(connection, CATALOG, Query(Level.PATIENT, (condition,)))


@pytest.mark.parametrize("level", Level)
def test_common_query(connection: sqlite3.Connection, level: Level) -> None:
    conditions = (
        Range(tag_of("StudyDate"), "20200101", "20200131"),
        SingleValue(tag_of("ModalitiesInStudy"), "CT"),
        name("smi*"),
    )
    assert scans(connection, CATALOG, Query(level, conditions)) == []


def test_every_match_column_of_an_indexed_attribute_has_an_index(
    connection: sqlite3.Connection,
) -> None:
    def first_columns(attribute: Attribute) -> set[str]:
        names = connection.execute(f"PRAGMA index_list({attribute.table})").fetchall()
        return {connection.execute(f"PRAGMA index_info({n[1]})").fetchone()[2] for n in names}

    missing = [m.column for a in INDEXED for m in a.matches if m.column not in first_columns(a)]
    assert set(missing) <= {"IssuerOfPatientID"}
    assert len(COMPUTED) == 8
