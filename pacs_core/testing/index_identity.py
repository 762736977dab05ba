# ruff: noqa: D102 - the names of the tests are their documentation
"""Equal UIDs in different places: part of the contract suite of indexes.

PS3.5 §9 makes UIDs unique. Devices that copy, anonymise or restart their counters do not.
"""

import pytest

from pacs_core.contracts import (
    Durability,
    Index,
    IndexResult,
    InstancePath,
    InstanceRecord,
    Level,
    Query,
    SingleValue,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import found, make_record, path_of

STUDY, SERIES, INSTANCE = map(tag_of, ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
ONE = make_record("1.1.1", PatientID="P1", SeriesInstanceUID="9.1", SOPInstanceUID="9.2")
OTHER = make_record("2.1.1", PatientID="P2", SeriesInstanceUID="9.1", SOPInstanceUID="9.2")
THIRD = make_record("3.1.1", PatientID="P1", SeriesInstanceUID="9.1", SOPInstanceUID="9.2")
BOTH_WAYS = pytest.mark.parametrize("records", [(ONE, OTHER), (OTHER, ONE)], ids=["1-2", "2-1"])


async def held(index: Index, level: Level, *conditions: SingleValue) -> list[InstancePath]:
    """Return the paths of the instances below what matches."""
    query = Query(level, conditions)
    return sorted([instance.identity.path async for instance in index.instances(query)])


class IndexIdentity:
    """Tests that one patient's instance is never found in place of another's."""

    @BOTH_WAYS
    async def test_equal_uids_in_two_studies_stay_apart(
        self, index: Index, records: tuple[InstanceRecord, ...]
    ) -> None:
        for record in records:
            assert (await index.add(record)).existing is None
        for record in (ONE, OTHER):
            identity = record.instance.identity
            assert await index.locate(identity.path) == record.instance
            study = SingleValue(STUDY, identity.study_instance_uid)
            series = SingleValue(SERIES, "9.1")
            instance = SingleValue(INSTANCE, "9.2")
            assert await found(index, Level.SERIES, study) == ["9.1"]
            assert await found(index, Level.IMAGE, study, series, instance) == ["9.2"]
            assert await held(index, Level.STUDY, study) == [identity.path]
            assert await held(index, Level.SERIES, study, series) == [identity.path]
            assert await held(index, Level.IMAGE, study, series, instance) == [identity.path]
            patient = SingleValue(tag_of("PatientID"), record.attributes[tag_of("PatientID")][0])  # type: ignore[arg-type]
            assert await held(index, Level.PATIENT, patient) == [identity.path]

    async def test_queries_by_the_uid_alone_find_all(self, index: Index) -> None:
        for record in (ONE, OTHER, THIRD):
            await index.add(record)
        studies = ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
        for level, condition in (
            (Level.SERIES, SingleValue(SERIES, "9.1")),
            (Level.IMAGE, SingleValue(INSTANCE, "9.2")),
        ):
            assert sorted(await found(index, level, condition, key="StudyInstanceUID")) == studies
            assert len(await held(index, level, condition)) == 3

    async def test_each_has_its_own_number_of_instances(self, index: Index) -> None:
        for record in (ONE, OTHER, THIRD):
            await index.add(record)
        await index.add(make_record("1.1.2", SeriesInstanceUID="9.1"))
        counts = await found(index, Level.SERIES, key="NumberOfSeriesRelatedInstances")
        assert sorted(counts) == ["1", "1", "2"]

    @pytest.mark.parametrize("first", [0, 1, 2])
    async def test_each_is_removed_for_itself(self, index: Index, first: int) -> None:
        records = [ONE, OTHER, THIRD]
        for record in records:
            await index.add(record)
        for record in [*records[first:], *records[:first]]:
            assert await index.remove(path_of(record)) == record.instance
            assert await index.remove(path_of(record)) is None
            records.remove(record)
            for other in records:
                assert await index.add(other) == IndexResult(other.instance)
                assert await index.locate(path_of(other)) == other.instance
            assert len(await found(index, Level.SERIES)) == len(records)

    async def test_each_is_replaced_for_itself(self, index: Index) -> None:
        await index.add(ONE)
        await index.add(OTHER)
        uids = {"SeriesInstanceUID": "9.1", "SOPInstanceUID": "9.2"}
        anew = make_record("2.1.1", PatientID="P2", InstanceNumber="7", **uids)
        assert (await index.replace(anew)).existing == OTHER.instance
        assert (await index.replace(THIRD)).existing is None
        numbers = await found(index, Level.IMAGE, key="InstanceNumber")
        assert sorted(numbers) == ["1", "1", "7"]

    async def test_each_is_noted_and_settled_for_itself(self, index: Index) -> None:
        for record in (ONE, OTHER, THIRD):
            await index.add(record, durability=Durability.WRITE_BEHIND)
        await index.settle([path_of(OTHER)])
        noted = {i.identity.study_instance_uid async for i in index.unflushed()}
        assert noted == {"1.2.3.1", "1.2.3.3"}
        await index.remove(path_of(ONE))
        assert [i async for i in index.unflushed()] == [THIRD.instance]

    async def test_series_may_return_to_one_study_only(self, index: Index) -> None:
        await index.add(ONE)
        await index.add(OTHER)
        await index.remove(path_of(ONE))
        assert await found(index, Level.STUDY) == ["1.2.3.2"]
        await index.add(make_record("1.1.5", SeriesInstanceUID="9.1"))
        assert sorted(await found(index, Level.STUDY)) == ["1.2.3.1", "1.2.3.2"]

    # One study of two patients

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
    async def test_study_of_two_patients_is_one_for_each(
        self, index: Index, order: tuple[int, ...]
    ) -> None:
        records = (
            make_record("1.1.1", PatientID="P1", PatientName="A"),
            make_record("1.1.2", PatientID="P2", PatientName="B"),
            make_record("1.2.3", PatientID="P2", IssuerOfPatientID="X"),
        )
        for n in order:
            await index.add(records[n])
        assert await found(index, Level.STUDY) == ["1.2.3.1"] * 3
        for record, patient in zip(records[:2], ("P1", "P2"), strict=True):
            conditions = (
                SingleValue(tag_of("PatientID"), patient),
                SingleValue(tag_of("PatientName"), "AB"[patient == "P2"]),
                SingleValue(STUDY, "1.2.3.1"),
            )
            assert await held(index, Level.STUDY, *conditions) == [path_of(record)]
            count = "NumberOfStudyRelatedInstances"
            assert await found(index, Level.STUDY, *conditions, key=count) == ["1"]
        assert len(await held(index, Level.STUDY, SingleValue(STUDY, "1.2.3.1"))) == 3

    async def test_instance_of_another_patient_is_the_same_within_a_study(
        self, index: Index
    ) -> None:
        first = make_record(PatientID="P1")
        await index.add(first)
        assert await index.add(make_record(PatientID="P2")) == IndexResult(first.instance)
        assert await found(index, Level.PATIENT) == ["P1"]

    async def test_studies_without_patient_id_have_a_patient_each(self, index: Index) -> None:
        await index.add(make_record("1.1.1", PatientID="", PatientName="A"))
        await index.add(make_record("2.1.1", PatientID="", PatientName="B"))
        condition = SingleValue(tag_of("PatientName"), "B")
        assert await found(index, Level.STUDY, condition) == ["1.2.3.2"]
        assert await found(index, Level.PATIENT) == ["", ""]
