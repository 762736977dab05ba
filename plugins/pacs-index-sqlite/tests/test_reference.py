"""The index answers as the contract in its plainest form does, whatever has happened to it."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pacs_index_sqlite.conflicts import listings
from pacs_index_sqlite.index import SqliteIndex

from pacs_core.contracts import (
    Condition,
    Conflict,
    Either,
    Empty,
    InstancePath,
    InstanceRecord,
    Level,
    Query,
    Range,
    SingleValue,
    Wildcard,
)
from pacs_core.dataset import tag_of
from pacs_core.relational import TABLES, build_catalog
from pacs_core.testing.index_harness import make_record, name, path_of
from pacs_core.testing.memory_entities import Entities

pytestmark = pytest.mark.anyio

CATALOG = build_catalog()
KEPT = {
    level: frozenset(a.tag for a in CATALOG.attributes.values() if a.level is level)
    for level in Level
}
_COMPARED = """
    PatientID IssuerOfPatientID PatientName PatientSex OtherPatientIDs StudyInstanceUID StudyID
    StudyDate ModalitiesInStudy NumberOfPatientRelatedStudies NumberOfStudyRelatedSeries
    NumberOfStudyRelatedInstances SeriesInstanceUID Modality SeriesTime SeriesDescription
    NumberOfSeriesRelatedInstances SOPInstanceUID InstanceNumber
"""
COMPARED = frozenset(map(tag_of, _COMPARED.split()))
CONDITIONS: list[Condition] = [
    SingleValue(tag_of("PatientID"), "P1"),
    SingleValue(tag_of("StudyID"), "S"),
    SingleValue(tag_of("OtherPatientIDs"), "2"),
    SingleValue(tag_of("Modality"), "CT"),
    SingleValue(tag_of("SeriesInstanceUID"), "1.8.1"),
    SingleValue(tag_of("SOPInstanceUID"), "1.9.1"),
    Wildcard(tag_of("SeriesDescription"), "d*"),
    Range(tag_of("StudyDate"), "20200102", ""),
    Empty(tag_of("PatientName")),
    Empty(tag_of("StudyID")),
    Empty(tag_of("SeriesDescription")),
    name("a^b"),
    name("c^*"),
]
EITHER = [Either((one, other)) for one, other in combinations(CONDITIONS, 2)]


def one_of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


VALUES = st.fixed_dictionaries(
    {
        "PatientID": one_of("P1", "P2", ""),
        "IssuerOfPatientID": one_of("", "X"),
        "PatientName": one_of("", "A^B", "a^b", "C^D"),
        "PatientSex": one_of("", "F", "M"),
        "OtherPatientIDs": one_of([], ["1"], ["1", "2"]),
        "StudyDate": one_of("", "20200101", "20200102"),
        "StudyID": one_of("", "S", "T"),
        "Modality": one_of("CT", "MR"),
        "SeriesTime": one_of("", "1000", "1100"),
        "SeriesDescription": one_of("", "d", "dd"),
        "StudyInstanceUID": one_of("1.7.1", "1.7.2"),
        "SeriesInstanceUID": one_of("1.8.1", "1.8.2"),
        "SOPInstanceUID": one_of("1.9.1", "1.9.2", "1.9.3", "1.9.4"),
        "InstanceNumber": one_of("1", "2"),
    }
)
ACTIONS = st.lists(st.tuples(one_of("add", "add", "replace", "remove"), VALUES), max_size=25)


def plain(value: Any) -> str:
    return repr(sorted(value.items()))


async def compare(
    index: SqliteIndex, records: list[InstanceRecord], either: list[Either] | None = None
) -> None:
    reference = Entities(records, KEPT)
    listed: list[Conflict] = [conflict async for conflict in index.conflicts()]
    assert set(listed) == reference.conflicts()
    for level in Level:
        returning = COMPARED & index.searchable_tags(level)
        for conditions in ((), *((each,) for each in (*CONDITIONS, *(either or ())))):
            query = Query(level, conditions, returning)
            found = Counter([plain(result) async for result in index.search(query)])
            expected = reference.find(query).values()
            assert found == Counter(
                plain({tag: each.get(tag, ()) for tag in returning}) for each in expected
            ), (level, conditions)
            stored = {instance.identity.path async for instance in index.instances(query)}
            assert stored == {i.identity.path for i in reference.instances(query)}


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.lists(st.sampled_from(EITHER), max_size=4))
async def test_it_answers_as_the_reference_does(
    make_empty: Callable[[Path], SqliteIndex],
    actions: list[tuple[str, dict[str, Any]]],
    either: list[Either],
) -> None:
    with TemporaryDirectory() as folder:
        index = make_empty(Path(folder) / "index.sqlite")
        await index.start()
        there: dict[InstancePath, InstanceRecord] = {}
        for action, values in actions:
            record = make_record("1", **values)
            path = path_of(record)
            former = there.pop(path, None)
            existing = former.instance if former else None
            if action == "remove":
                assert await index.remove(path) == existing
                continue
            if action == "add" and former is not None:
                record = former
                assert (await index.add(record)).existing == existing
            else:
                assert (await index.replace(record)).existing == existing
            there[path] = record
        await compare(index, list(there.values()), either)
        await index.stop()


async def test_conflicts_are_found_without_reading_instances(
    index: SqliteIndex, path: Path
) -> None:
    """Only what collides is read of the table of instances; the others are read once."""
    await index.stop()
    connection = sqlite3.connect(path)
    for listing in listings(CATALOG):
        plan = connection.execute(f"EXPLAIN QUERY PLAN {listing.query}", ("", 1)).fetchall()
        assert not [row[3] for row in plan if row[3] == f"SCAN {TABLES[Level.IMAGE]}"], listing
    connection.close()
