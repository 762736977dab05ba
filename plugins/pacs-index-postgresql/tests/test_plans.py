"""No query on an attribute with an index reads a whole table, however the planner guesses."""

import json
from typing import Any

import asyncpg
import pytest
from pacs_index_postgresql.dialect import PostgresqlDialect, render
from pacs_index_postgresql.index import PostgresqlIndex

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
from pacs_core.testing.index_harness import make_record, name

pytestmark = pytest.mark.anyio

STUDIES = 1500
CONDITIONS: list[Condition] = [
    SingleValue(tag_of("PatientID"), "P7"),
    name("Name^7"),
    name("Name^77*"),
    name("Name^7=x"),
    SingleValue(tag_of("AccessionNumber"), "A7"),
    Wildcard(tag_of("AccessionNumber"), "A77*"),
    SingleValue(tag_of("StudyDate"), "20200107"),
    Range(tag_of("StudyDate"), "20200107", "20200108"),
    Wildcard(tag_of("StudyDescription"), "D77*"),
    SingleValue(tag_of("StudyInstanceUID"), "1.2.3.7"),
    UidList(tag_of("SeriesInstanceUID"), ("1.2.3.7.1", "1.2.3.8.1")),
    SingleValue(tag_of("SOPInstanceUID"), "1.2.3.7.1.1"),
]


def scans(plan: dict[str, Any]) -> list[str]:
    """Return the tables of ours that a plan reads whole."""
    found = [scan for below in plan.get("Plans", ()) for scan in scans(below)]
    if plan["Node Type"] == "Seq Scan":
        found.append(plan["Relation Name"])
    return found


async def test_no_key_with_an_index_scans(index: PostgresqlIndex, server: str) -> None:
    await index.add_many(
        [
            make_record(
                f"{n}.1.1",
                PatientID=f"P{n}",
                PatientName=f"Name^{n}",
                AccessionNumber=f"A{n}",
                StudyDate=f"{2000 + n % 100}01{n % 28 + 1:02}",
                StudyDescription=f"D{n}",
            )
            for n in range(STUDIES)
        ]
    )
    connection = await asyncpg.connect(
        server, server_settings={"search_path": "pacs", "plan_cache_mode": "force_custom_plan"}
    )
    # Tables that are empty, or nearly, are read whole in any case.
    await connection.execute("ANALYZE")
    await connection.execute("SET enable_seqscan = off")
    catalog, dialect = build_catalog(is_sorted=True), PostgresqlDialect("pacs")
    for condition in CONDITIONS:
        for level in Level:
            query = Query(level, (condition,))
            for matching in (matching_entities, matching_instances):
                found = matching(dialect, catalog, query)
                text, values = render(*found.statement((), 100, 0))
                (row,) = await connection.fetch(f"EXPLAIN (FORMAT JSON) {text}", *values)
                (plan,) = json.loads(row[0])
                assert not scans(plan["Plan"]), (condition, level, row[0])
    await connection.close()
