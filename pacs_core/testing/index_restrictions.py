# ruff: noqa: D102 - the names of the tests are their documentation
"""Restricted queries: part of the contract suite of indexes."""

from collections.abc import Sequence
from itertools import combinations

import pytest

from pacs_core.contracts import (
    AllOf,
    AnyOf,
    Condition,
    Either,
    Empty,
    Index,
    InstanceRecord,
    Level,
    Not,
    PersonName,
    Query,
    Range,
    Restriction,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
    admits,
)
from pacs_core.dataset import Attributes, keyword_of, tag_of
from pacs_core.testing.index_harness import CT, MR, found, make_record, name, path_of
from pacs_core.testing.memory_index import COMPUTED, IndexCatalog, MemoryIndex

_MODALITY = tag_of("Modality")
ONLY_CT: Restriction = SingleValue(_MODALITY, "CT")

RECORDS: Sequence[InstanceRecord] = (
    make_record("1.1.1", PatientName="DOE^J", StudyDescription="b", InstitutionName="North"),
    make_record("1.1.2", PatientName="DOE^J", StudyDescription="b", InstitutionName="North"),
    # One more instance of that study and series, which says otherwise.
    make_record("1.1.3", PatientName="DOE^JANE", StudyDescription="a", InstitutionName="South"),
    make_record("1.2.1", Modality="MR", SOPClassUID=MR, PatientName="DOE^J", StudyDate="20240101"),
    make_record("1.2.2", Modality="PR", SOPClassUID=MR, PatientName="DOE^J"),
    make_record("2.1.1", StudyDate="20250101", PatientName="DOE^X", StudyDescription="c"),
    make_record("3.1.1", Modality="MR", SOPClassUID=MR, PatientID="P2", PatientName="ROE^R"),
    make_record(
        "4.1.1",
        PatientID="",
        Modality="US",
        PatientName="POE^P",
        RequestAttributesSequence=[{"ScheduledProcedureStepID": "S1"}],
    ),
)
"""Entities whose instances differ in what a restriction can be about."""

RESTRICTIONS: Sequence[tuple[Restriction, ...]] = (
    (ONLY_CT,),
    (Not(ONLY_CT),),
    (SingleValue(_MODALITY, "MR"),),
    (Not(SingleValue(_MODALITY, "PR")),),
    (AnyOf(_MODALITY, (SingleValue(_MODALITY, "PR"), SingleValue(_MODALITY, "US"))),),
    (SingleValue(tag_of("InstitutionName"), "South"),),
    (Not(SingleValue(tag_of("InstitutionName"), "South")),),
    (Not(Wildcard(tag_of("InstitutionName"), "N*")), ONLY_CT),
    (SingleValue(tag_of("StudyDescription"), "b"),),
    (Not(SingleValue(tag_of("StudyDescription"), "b")),),
    (Range(tag_of("StudyDate"), "20240601", ""),),
    (Empty(tag_of("StudyDate")),),
    (Not(Empty(tag_of("StudyDate"))),),
    (PersonName(tag_of("PatientName"), ("doe^jane",)),),
    (Not(PersonName(tag_of("PatientName"), ("doe*",))),),
    (SingleValue(tag_of("PatientID"), "P1"), Not(SingleValue(tag_of("InstanceNumber"), "2"))),
    (Not(SingleValue(tag_of("PatientID"), "P1")),),
    (UidList(tag_of("SOPClassUID"), (MR,)),),
    (UidList(tag_of("StudyInstanceUID"), ("1.2.3.1", "1.2.3.3")),),
    (Either((SingleValue(tag_of("PatientID"), "P2"), SingleValue(_MODALITY, "PR"))),),
    (AllOf((ONLY_CT, Not(SingleValue(tag_of("StudyInstanceUID"), "1.2.3.1")))),),
    (
        SequenceMatch(
            tag_of("RequestAttributesSequence"),
            (SingleValue(tag_of("ScheduledProcedureStepID"), "S1"),),
        ),
    ),
    (Either(()),),
    (AllOf(()),),
)

CONDITIONS: Sequence[Condition] = (
    SingleValue(_MODALITY, "MR"),
    SingleValue(tag_of("ModalitiesInStudy"), "MR"),
    SingleValue(tag_of("SOPClassesInStudy"), CT),
    SingleValue(tag_of("NumberOfStudyRelatedInstances"), "2"),
    SingleValue(tag_of("NumberOfPatientRelatedStudies"), "1"),
    SingleValue(tag_of("StudyDescription"), "a"),
    Wildcard(tag_of("StudyDescription"), "?"),
    Empty(tag_of("StudyDescription")),
    Empty(tag_of("InstitutionName")),
    name("doe^jane"),
    name("*"),
    SingleValue(tag_of("PatientID"), "P1"),
    UidList(tag_of("SOPInstanceUID"), ("1.2.3.1.1.3", "1.2.3.1.2.1")),
)

_RETURNED = frozenset(
    tag_of(keyword)
    for keyword in (
        "PatientID",
        "PatientName",
        "StudyInstanceUID",
        "StudyDate",
        "StudyDescription",
        "ModalitiesInStudy",
        "SOPClassesInStudy",
        "NumberOfPatientRelatedStudies",
        "NumberOfPatientRelatedSeries",
        "NumberOfPatientRelatedInstances",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "SeriesInstanceUID",
        "Modality",
        "InstitutionName",
        "NumberOfSeriesRelatedInstances",
        "SOPInstanceUID",
    )
)
_MULTIPLE = tuple(map(tag_of, ("ModalitiesInStudy", "SOPClassesInStudy")))


async def answers(index: Index, *restrictions: Restriction) -> list[object]:
    """Return what an index answers to many queries under restrictions, in any order."""
    collected: list[object] = []
    for level in Level:
        some = CONDITIONS if level is Level.STUDY else CONDITIONS[-3:]
        for conditions in ((), *((condition,) for condition in some)):
            query = Query(level, conditions, _RETURNED, restrictions=restrictions)
            results = sorted([_comparable(result) async for result in index.search(query)])
            stored = sorted([i.identity.path async for i in index.instances(query)])
            counted = await index.count(query)
            collected.append((query.level, conditions, results, stored, counted))
    return collected


def _comparable(result: Attributes) -> str:
    several = {tag: tuple(sorted(map(str, result.get(tag, ())))) for tag in _MULTIPLE}
    return repr(sorted({**result, **several}.items()))


def _memory_index_like(index: Index) -> MemoryIndex:
    """Return an empty index in memory that keeps the same attributes."""
    kept, above = {}, frozenset[int]()
    for level in Level:
        tags = index.searchable_tags(level)
        kept[level] = " ".join(map(keyword_of, tags - above - COMPUTED[level]))
        above = tags
    return MemoryIndex(IndexCatalog(kept))


class IndexRestrictions:
    """Under restrictions an index answers as if it held the permitted instances only."""

    @pytest.mark.parametrize("restrictions", RESTRICTIONS, ids=range(len(RESTRICTIONS)))
    async def test_answers_are_those_of_the_permitted_alone(
        self, index: Index, restrictions: tuple[Restriction, ...]
    ) -> None:
        for record in RECORDS:
            await index.add(record)
        alone = _memory_index_like(index)
        for record in RECORDS:
            if all(admits(each, record.attributes) for each in restrictions):
                await alone.add(record)
        assert await answers(index, *restrictions) == await answers(alone)

    async def test_answers_are_those_of_what_is_left(self, index: Index) -> None:
        """What was removed leaves no more behind than what was never there."""
        alone = _memory_index_like(index)
        for record in RECORDS:
            await index.add(record)
        for record in RECORDS[2:5]:
            await index.remove(path_of(record))
        for record in (*RECORDS[:2], *RECORDS[5:]):
            await alone.add(record)
        assert await answers(index) == await answers(alone)

    async def test_a_study_shows_its_permitted_series_with_their_numbers(
        self, index: Index
    ) -> None:
        for record in RECORDS:
            await index.add(record)
        keys = ("ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")
        condition = SingleValue(tag_of("StudyInstanceUID"), "1.2.3.1")
        shown = [
            await found(index, Level.STUDY, condition, key=key, restrictions=(ONLY_CT,))
            for key in keys
        ]
        assert shown == [["CT"], ["1"], ["3"]]
        series = await found(index, Level.SERIES, condition, restrictions=(ONLY_CT,))
        assert series == ["1.2.3.1.1"]

    async def test_what_is_not_permitted_is_not_found_by_its_uid(self, index: Index) -> None:
        for record in RECORDS:
            await index.add(record)
        condition = SingleValue(tag_of("SOPInstanceUID"), "1.2.3.1.2.1")
        assert await found(index, Level.IMAGE, condition) == ["1.2.3.1.2.1"]
        assert await found(index, Level.IMAGE, condition, restrictions=(ONLY_CT,)) == []
        for modality in ("MR", "PR"):
            tried = SingleValue(tag_of("ModalitiesInStudy"), modality)
            assert await found(index, Level.STUDY, tried, restrictions=(ONLY_CT,)) == []

    async def test_limits_count_what_is_permitted(self, index: Index) -> None:
        for record in RECORDS:
            await index.add(record)
        every = await found(index, Level.IMAGE, restrictions=(ONLY_CT,))
        pages = [
            await found(index, Level.IMAGE, restrictions=(ONLY_CT,), limit=2, offset=offset)
            for offset in (0, 2, 4)
        ]
        assert [uid for page in pages for uid in page] == every
        assert len(every) == 4

    async def test_many_restrictions(self, index: Index) -> None:
        for record in RECORDS:
            await index.add(record)
        numbers = [SingleValue(tag_of("PatientID"), str(n)) for n in range(300)]
        refused = tuple(Not(number) for number in numbers)
        assert len(await found(index, Level.IMAGE, restrictions=refused)) == len(RECORDS)
        allowed = (Either((*numbers, SingleValue(tag_of("PatientID"), "P2"))),)
        assert await found(index, Level.PATIENT, restrictions=allowed) == ["P2"]

    @pytest.mark.parametrize("keyword", ["ModalitiesInStudy", "NumberOfStudyRelatedSeries"])
    async def test_computed_attributes_restrict_nothing(self, index: Index, keyword: str) -> None:
        """What is computed depends on what is permitted, not the other way round."""
        await index.add(RECORDS[0])
        for restriction in (SingleValue(tag_of(keyword), "1"), Not(Empty(tag_of(keyword)))):
            with pytest.raises(ValueError, match=keyword):
                await found(index, Level.STUDY, restrictions=(restriction,))

    async def test_pairs_of_restrictions_add_up(self, index: Index) -> None:
        for record in RECORDS:
            await index.add(record)
        sample = [restrictions[0] for restrictions in RESTRICTIONS[:8]]
        for pair in combinations(sample, 2):
            expected = [
                record.instance.identity.sop_instance_uid
                for record in RECORDS
                if all(admits(each, record.attributes) for each in pair)
            ]
            assert sorted(await found(index, Level.IMAGE, restrictions=pair)) == sorted(expected)
