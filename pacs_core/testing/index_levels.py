# ruff: noqa: D102 - the names of the tests are their documentation
"""Queries across levels, and computed attributes: part of the contract suite of indexes."""

import pytest

from pacs_core.contracts import (
    Index,
    Level,
    Query,
    SingleValue,
    UidList,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import (
    CT,
    MR,
    found,
    make_record,
    name,
    populate,
)


class IndexLevels:
    """Tests of conditions on other levels and of computed attributes (PS3.4 C.3.4)."""

    async def test_condition_on_a_higher_level(self, index: Index) -> None:
        await index.add(make_record("1.1.1", PatientName="A"))
        await index.add(make_record("2.1.1", PatientName="B", PatientID="P2"))
        assert await found(index, Level.IMAGE, name("b")) == ["1.2.3.2.1.1"]

    async def test_condition_on_a_lower_level(self, index: Index) -> None:
        await index.add(make_record("1.1.1"))
        await index.add(make_record("2.1.1", Modality="MR", SOPClassUID=MR, PatientID="P2"))
        modality, sop_class = tag_of("Modality"), tag_of("SOPClassUID")
        assert await found(index, Level.STUDY, SingleValue(modality, "MR")) == ["1.2.3.2"]
        assert await found(index, Level.PATIENT, SingleValue(sop_class, MR)) == ["P2"]
        conditions = (SingleValue(modality, "MR"), SingleValue(tag_of("PatientID"), "P1"))
        assert await found(index, Level.STUDY, *conditions) == []

    async def test_lower_level_conditions_may_hold_for_different_descendants(
        self, index: Index
    ) -> None:
        await index.add(make_record("1.1.1", Modality="CT", SeriesDescription="a"))
        await index.add(make_record("1.2.1", Modality="SR", SeriesDescription="b"))
        conditions = (
            SingleValue(tag_of("Modality"), "CT"),
            SingleValue(tag_of("SeriesDescription"), "b"),
        )
        assert await found(index, Level.STUDY, *conditions) == ["1.2.3.1"]
        assert await found(index, Level.SERIES, *conditions) == []

    async def test_entity_is_found_once(self, index: Index) -> None:
        for n in range(5):
            await index.add(make_record(f"1.{n}.1"))
        assert await found(index, Level.STUDY, SingleValue(tag_of("Modality"), "CT")) == ["1.2.3.1"]

    # Computed attributes (PS3.4 C.3.4)

    @pytest.mark.parametrize(
        ("level", "keyword", "values"),
        [
            (Level.PATIENT, "NumberOfPatientRelatedStudies", ["2"]),
            (Level.PATIENT, "NumberOfPatientRelatedSeries", ["3"]),
            (Level.PATIENT, "NumberOfPatientRelatedInstances", ["4"]),
            (Level.STUDY, "NumberOfPatientRelatedStudies", ["2", "2"]),
            (Level.STUDY, "NumberOfStudyRelatedSeries", ["2", "1"]),
            (Level.STUDY, "NumberOfStudyRelatedInstances", ["3", "1"]),
            (Level.SERIES, "NumberOfSeriesRelatedInstances", ["2", "1", "1"]),
            (Level.SERIES, "NumberOfStudyRelatedSeries", ["2", "2", "1"]),
        ],
    )
    async def test_numbers(
        self, index: Index, level: Level, keyword: str, values: list[str]
    ) -> None:
        await populate(index)
        assert sorted(await found(index, level, key=keyword)) == sorted(values)

    async def test_modalities_and_sop_classes_in_study(self, index: Index) -> None:
        await populate(index)
        keywords = ("ModalitiesInStudy", "SOPClassesInStudy")
        query = Query(
            Level.STUDY,
            (SingleValue(tag_of("StudyInstanceUID"), "1.2.3.1"),),
            frozenset(map(tag_of, keywords)),
        )
        (result,) = [result async for result in index.search(query)]
        assert [set(result[tag_of(keyword)]) for keyword in keywords] == [{"CT", "MR"}, {CT, MR}]

    async def test_matching_on_modalities_and_sop_classes_in_study(self, index: Index) -> None:
        await populate(index)
        modalities, classes = tag_of("ModalitiesInStudy"), tag_of("SOPClassesInStudy")
        assert await found(index, Level.STUDY, SingleValue(modalities, "MR")) == ["1.2.3.1"]
        assert await found(index, Level.STUDY, UidList(classes, (MR, "1.2"))) == ["1.2.3.1"]
        both = (SingleValue(modalities, "MR"), SingleValue(modalities, "CT"))
        assert await found(index, Level.STUDY, *both) == ["1.2.3.1"]
        series = await found(index, Level.SERIES, SingleValue(modalities, "MR"))
        assert sorted(series) == ["1.2.3.1.1", "1.2.3.1.2"]
        assert await found(index, Level.PATIENT, SingleValue(modalities, "MR")) == ["P1"]
