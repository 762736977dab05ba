# ruff: noqa: D102 - the names of the tests are their documentation
"""Conflicts that every index must report once, and list: part of the contract suite of indexes."""

import pytest

from pacs_core.contracts import Conflict, ConflictKind, Index, InstanceRecord
from pacs_core.testing.index_harness import make_record, path_of

FIRST = make_record(
    "1.1.1", PatientName="A^B", PatientBirthDate="19500101", StudyID="S", SeriesDescription="D"
)
CASES: dict[ConflictKind, tuple[InstanceRecord, Conflict]] = {
    ConflictKind.PATIENT: (
        make_record("2.1.1", PatientName="C", PatientBirthDate="19500101"),
        Conflict(ConflictKind.PATIENT, "P1", ("C", "A^B"), "PatientName"),
    ),
    ConflictKind.STUDY: (
        make_record("1.2.1", PatientID="P1", IssuerOfPatientID="X"),
        Conflict(ConflictKind.STUDY, "1.2.3.1", ("P1", "P1^^^X")),
    ),
    ConflictKind.SERIES: (
        make_record("2.1.1", PatientID="P2", SeriesInstanceUID="1.2.3.1.1"),
        Conflict(ConflictKind.SERIES, "1.2.3.1.1", ("1.2.3.2", "1.2.3.1")),
    ),
    ConflictKind.INSTANCE: (
        make_record("2.1.1", PatientID="P2", SOPInstanceUID="1.2.3.1.1.1"),
        Conflict(ConflictKind.INSTANCE, "1.2.3.1.1.1", ("1.2.3.1", "1.2.3.2")),
    ),
    ConflictKind.STUDY_ATTRIBUTE: (
        make_record("1.2.1", PatientName="a^b^^", PatientBirthDate="19500101", StudyID="T"),
        Conflict(ConflictKind.STUDY_ATTRIBUTE, "1.2.3.1", ("S", "T"), "StudyID"),
    ),
    ConflictKind.SERIES_ATTRIBUTE: (
        make_record("1.1.2", SeriesDescription="E"),
        Conflict(
            ConflictKind.SERIES_ATTRIBUTE, "1.2.3.1.1", ("D", "E"), "SeriesDescription", "1.2.3.1"
        ),
    ),
}
EVERY_KIND = pytest.mark.parametrize(
    ("record", "conflict"), CASES.values(), ids=[kind.value for kind in CASES]
)


async def list_conflicts(index: Index) -> set[Conflict]:
    """Return all conflicts."""
    found = [conflict async for conflict in index.conflicts()]
    assert len(found) == len(set(found))
    return set(found)


class IndexConflicts:
    """Tests of :meth:`Index.conflicts`, and of what adding reports."""

    async def test_what_agrees_is_no_conflict(self, index: Index) -> None:
        for record in (
            FIRST,
            make_record("1.1.2"),  # what is missing contradicts nothing
            make_record("1.2.1", PatientName="a^b^^", PatientBirthDate="1950.01.01"),
            make_record("2.1.1", PatientName="A^B", StudyID="T"),
            make_record("3.1.1", PatientID="P2", PatientName="X", SeriesDescription="E"),
            make_record("4.1.1", PatientID="", PatientName="Y"),
            make_record("5.1.1", PatientID="", PatientName="Z"),
        ):
            assert (await index.add(record)).conflicts == ()
        assert await list_conflicts(index) == set()

    @EVERY_KIND
    async def test_conflict_is_reported_when_it_arises(
        self, index: Index, record: InstanceRecord, conflict: Conflict
    ) -> None:
        await index.add(FIRST)
        assert (await index.add(record)).conflicts == (conflict,)
        assert await list_conflicts(index) == {conflict}

    @EVERY_KIND
    async def test_conflict_is_listed_whatever_the_order(
        self, index: Index, record: InstanceRecord, conflict: Conflict
    ) -> None:
        await index.add(record)
        await index.add(FIRST)
        assert await list_conflicts(index) == {conflict}

    @EVERY_KIND
    async def test_conflict_goes_with_one_of_its_sides(
        self, index: Index, record: InstanceRecord, conflict: Conflict
    ) -> None:
        for gone in (FIRST, record):
            await index.add(FIRST)
            await index.add(record)
            await index.remove(path_of(gone))
            assert await list_conflicts(index) == set()
            await index.clear()

    async def test_conflict_is_reported_once(self, index: Index) -> None:
        uid = {"SOPInstanceUID": "9.9", "SeriesInstanceUID": "9"}
        reported = [
            (await index.add(make_record(f"{n}.1.1", PatientID=f"P{n}", **uid))).conflicts
            for n in range(1, 5)
        ]
        assert [len(conflicts) for conflicts in reported] == [0, 2, 0, 0]
        studies = tuple(f"1.2.3.{n}" for n in range(1, 5))
        assert await list_conflicts(index) == {
            Conflict(ConflictKind.SERIES, "9", studies),
            Conflict(ConflictKind.INSTANCE, "9.9", studies),
        }

    async def test_differing_attribute_is_reported_once(self, index: Index) -> None:
        reported = [
            (await index.add(make_record(f"1.1.{n}", SeriesTime=f"1200{n:02d}"))).conflicts
            for n in range(40)
        ]
        assert [len(conflicts) for conflicts in reported] == [0, 1, *([0] * 38)]
        (conflict,) = await list_conflicts(index)
        assert len(conflict.values) == 40

    async def test_duplicate_brings_no_conflict(self, index: Index) -> None:
        await index.add(FIRST)
        again = make_record("1.1.1", PatientName="X", SeriesInstanceUID="9")
        assert (await index.add(again)).conflicts == ()
        assert await list_conflicts(index) == set()

    async def test_replacement_may_bring_a_conflict_and_take_it_along(self, index: Index) -> None:
        await index.add(FIRST)
        await index.add(make_record("1.1.2", StudyID="S"))
        differing = make_record("1.1.2", StudyID="T")
        (conflict,) = (await index.replace(differing)).conflicts
        assert await list_conflicts(index) == {conflict}
        assert (await index.replace(make_record("1.1.2", StudyID="S"))).conflicts == ()
        assert await list_conflicts(index) == set()

    async def test_many_conflicts(self, index: Index) -> None:
        for n in range(30):
            for study in (1, 2):
                await index.add(make_record(f"{study}.{n}.1", SOPInstanceUID=f"9.{n}"))
        assert len(await list_conflicts(index)) == 30
