"""No query on an attribute with an index reads a whole table, as the server plans it."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from pacs_index_postgresql.dialect import PostgresqlDialect, render
from pacs_index_postgresql.index import PostgresqlIndex
from pacs_index_postgresql.locations import LOCATE

from pacs_core.contracts import (
    Condition,
    Level,
    Query,
    Range,
    SingleValue,
    UidList,
    Wildcard,
)
from pacs_core.dataset import tag_of
from pacs_core.relational import build_catalog, matching_entities, matching_instances
from pacs_core.testing.index_harness import name

pytestmark = pytest.mark.anyio

ROOT = "1.2.826.0.1.3680043.8.498.20240131."
STUDIES = 20_000
FEW = 1000
"""Rows of a table that may be read whole."""
CONDITIONS: list[Condition] = [
    SingleValue(tag_of("PatientID"), "P7"),
    name("Name^7"),
    name("Name^77*"),
    name("Name^7=x"),
    SingleValue(tag_of("AccessionNumber"), "A7"),
    Wildcard(tag_of("AccessionNumber"), "A77*"),
    SingleValue(tag_of("StudyDate"), "20150107"),
    Range(tag_of("StudyDate"), "20150107", "20150108"),
    Wildcard(tag_of("StudyDescription"), "D777*"),
    SingleValue(tag_of("StudyInstanceUID"), f"{ROOT}7"),
    UidList(tag_of("SeriesInstanceUID"), (f"{ROOT}7.1", f"{ROOT}8.1")),
    SingleValue(tag_of("SOPInstanceUID"), f"{ROOT}7.1.1"),
]
_FILL = """
    SET LOCAL session_replication_role = replica;
    INSERT INTO patient (id, PatientID, IssuerOfPatientID, alone)
    SELECT n, 'P' || n, '', '' FROM generate_series(1, {studies}) AS n;
    INSERT INTO study (id, parent, StudyInstanceUID, PatientName, PatientName_alphabetic,
        AccessionNumber, StudyDate, StudyDate_order, StudyTime, StudyTime_order, StudyDescription)
    SELECT n, n, '{root}' || n, 'Name^' || n, 'name^' || n, 'A' || n, day, day, '1200',
        '120000.000000', 'D' || n
    FROM (SELECT n, to_char(date '2012-01-01' + n % 5000, 'YYYYMMDD') AS day
        FROM generate_series(1, {studies}) AS n) AS numbered;
    INSERT INTO study_header (id, parent, above) SELECT id, id, 0 FROM study;
    INSERT INTO series (id, parent, SeriesInstanceUID, Modality, SeriesNumber, SeriesNumber_number,
        SeriesDescription)
    SELECT id, id, StudyInstanceUID || '.1', 'CT', '1', 1, 'Thorax 1.5' FROM study;
    INSERT INTO series_header (id, parent, above) SELECT id, id, id FROM series;
    INSERT INTO several (match, value, owner) SELECT 'PatientName_sound', 'n' || id, id FROM study;
    INSERT INTO instance (parent, header, twin, SOPInstanceUID, SOPClassUID, transfer_syntax_uid,
        object_key, size, dataset_offset, digest, InstanceNumber, InstanceNumber_number)
    SELECT id, id, 0, SeriesInstanceUID || '.' || n, '1.2.840.10008.5.1.4.1.1.2',
        '1.2.840.10008.1.2.1', 'objects/' || SeriesInstanceUID || '/' || n || '.dcm', 526000, 1500,
        sha256((id::text || n)::bytea), n::text, n
    FROM series, generate_series(1, {each}) AS n;
    ANALYZE"""


@pytest.fixture
async def connection(index: PostgresqlIndex, server: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection whose statements are planned as those of searches are."""
    settings = {"search_path": "pacs", "plan_cache_mode": "force_custom_plan", "jit": "off"}
    connection = await asyncpg.connect(server, server_settings=settings)
    yield connection
    # More than tests after this one should have to empty.
    await connection.execute("DROP SCHEMA pacs CASCADE")
    await connection.close()


def scans(plan: dict[str, Any]) -> set[str]:
    """Return the tables that a plan reads whole."""
    found = {scan for below in plan.get("Plans", ()) for scan in scans(below)}
    if plan["Node Type"] == "Seq Scan":
        found.add(plan["Relation Name"])
    return found


async def check_plans(connection: asyncpg.Connection) -> None:
    """Let the server explain what it does for each condition at each level."""
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'pacs'::regnamespace "
        "AND relkind = 'r' AND reltuples > $1",
        FEW,
    )
    large = {row[0] for row in rows}
    assert {"patient", "study", "series", "instance", "several"} <= large
    catalog, dialect = build_catalog(is_sorted=True), PostgresqlDialect("pacs")
    statements = [(LOCATE, (f"{ROOT}7.1.1", f"{ROOT}7"))]
    for condition in CONDITIONS:
        for level in Level:
            query = Query(level, (condition,))
            for matching in (matching_entities, matching_instances):
                found = matching(dialect, catalog, query)
                statements.append(render(*found.statement((), 100, 0)))
    for text, values in statements:
        (row,) = await connection.fetch(f"EXPLAIN (FORMAT JSON) {text}", *values)
        (plan,) = json.loads(row[0])
        assert not scans(plan["Plan"]) & large, (text, row[0])


async def test_no_key_with_an_index_scans(connection: asyncpg.Connection) -> None:
    """Among 100,000 instances."""
    await connection.execute(_FILL.format(root=ROOT, studies=STUDIES, each=5))
    await check_plans(connection)


@pytest.mark.long
async def test_no_key_with_an_index_scans_among_a_million(
    connection: asyncpg.Connection, index: PostgresqlIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints what tables take, and how long queries do."""
    started = time.monotonic()
    await connection.execute(_FILL.format(root=ROOT, studies=STUDIES, each=50), timeout=3600)
    lines = [f"filled in {time.monotonic() - started:.0f} s"]
    await check_plans(connection)
    sizes = await connection.fetch(
        "SELECT relname, pg_relation_size(oid), pg_indexes_size(oid), reltuples FROM pg_class "
        "WHERE relnamespace = 'pacs'::regnamespace AND relkind = 'r' AND reltuples > 0"
    )
    lines += [
        f"{table}: {rows:.0f} rows of {size / rows:.0f} bytes, {indexes / rows:.0f} in indexes"
        for table, size, indexes, rows in sizes
    ]
    keywords = ("PatientName", "StudyDate", "NumberOfStudyRelatedInstances")
    returning = frozenset(map(tag_of, keywords))
    for condition in CONDITIONS:
        for level in (Level.STUDY, Level.IMAGE):
            query = Query(level, (condition,), returning, limit=200)
            taken = []
            for _ in range(5):
                before = time.monotonic()
                found = len([result async for result in index.search(query)])
                taken.append(time.monotonic() - before)
            median = 1000 * sorted(taken)[2]
            lines.append(f"{median:.1f} ms for {found} of {level.value}: {condition}")
    with capsys.disabled():
        print("", *lines, sep="\n")
