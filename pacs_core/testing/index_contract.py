"""The contract of an index as a test suite, which authors of indexes inherit."""

# ruff: noqa: D102

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest

from pacs_core.contracts import (
    Condition,
    DateTimeRange,
    Empty,
    Index,
    InstanceIdentity,
    InstanceRecord,
    Level,
    PersonName,
    Query,
    Range,
    SequenceMatch,
    SingleValue,
    StoredInstance,
    UidList,
    Wildcard,
    name_groups,
)
from pacs_core.dataset import Attributes, tag_of

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

Given: TypeAlias = str | Iterable["str | Mapping[str, Given]"]
"""A value as tests write it: one text, several, or items of a sequence keyed by keyword."""


def attributes_of(values: Mapping[str, Given]) -> Attributes:
    """Return attributes by tag for values by keyword."""
    return {tag_of(keyword): _values(value) for keyword, value in values.items()}


def _values(value: Given) -> tuple[str | Attributes, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(v if isinstance(v, str) else attributes_of(v) for v in value)


def make_record(instance: str = "1", /, **values: Given) -> InstanceRecord:
    """Return a record to add to an index.

    Parameters
    ----------
    instance : str
        Names the instance: ``"study.series.number"`` as in ``"2.1.7"``. What is left out from
        the front is 1: ``"7"`` is instance 7 of series 1 in study 1.
    **values
        Attributes by keyword. Patient ID and Modality are ``P1`` and ``CT`` unless given;
        Instance Number is the last part of the name; UIDs may be given to override the name's.
    """
    study, series, number = (["1", "1", *instance.split(".")])[-3:]
    given: dict[str, Given] = {
        "PatientID": "P1",
        "Modality": "CT",
        "InstanceNumber": number,
        "SOPClassUID": CT,
        "StudyInstanceUID": f"1.2.3.{study}",
        "SeriesInstanceUID": f"1.2.3.{study}.{series}",
        "SOPInstanceUID": f"1.2.3.{study}.{series}.{number}",
        **values,
    }
    uids = [
        str(given[keyword])
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    ]
    identity = InstanceIdentity(*uids)
    stored = StoredInstance(identity, EXPLICIT_LITTLE_ENDIAN, f"key/{uids[2]}", 1000, 400)
    return InstanceRecord(stored, attributes_of(given))


def uid_of(record: InstanceRecord) -> str:
    """Return the SOP Instance UID of a record."""
    return record.instance.identity.sop_instance_uid


async def found(
    index: Index, level: Level, *conditions: Condition, key: str = "", **options: Any
) -> list[str]:
    """Return the unique keys of what matches, or the first values of the attribute `key`."""
    wanted = tag_of(key or _UNIQUE_KEYS[level])
    query = Query(level, conditions, frozenset({wanted}), **options)
    return ["\\".join(map(str, result[wanted])) async for result in index.search(query)]


async def one(index: Index, level: Level, *keywords: str) -> Attributes:
    """Return the only result of a search without conditions."""
    query = Query(level, (), frozenset(map(tag_of, keywords)))
    results = [result async for result in index.search(query)]
    assert len(results) == 1
    return results[0]


_UNIQUE_KEYS = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}
_REQUIRED = {
    Level.PATIENT: "PatientID PatientName",
    Level.STUDY: """StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID ModalitiesInStudy
        SOPClassesInStudy NumberOfPatientRelatedStudies NumberOfStudyRelatedInstances""",
    Level.SERIES: "SeriesInstanceUID Modality SeriesNumber NumberOfSeriesRelatedInstances",
    Level.IMAGE: "SOPInstanceUID InstanceNumber SOPClassUID",
}


def name(pattern: str, *, keyword: str = "PatientName", fuzzy: bool = False) -> PersonName:
    """Return a condition on a person name, as a query's author writes the pattern."""
    return PersonName(tag_of(keyword), name_groups(pattern), fuzzy)


class IndexContract:
    """Inherit this, give :meth:`make_index`, and pytest holds the index to its contract.

    ::

        class TestTreeIndex(IndexContract):
            async def make_index(self, tmp_path):
                return TreeIndex(tmp_path)

    Tests are asynchronous and run with anyio's pytest plugin; the fixture ``anyio_backend`` says
    on which event loop. Override the fixture ``index`` where a fresh, started index needs more.
    """

    pytestmark = pytest.mark.anyio

    async def make_index(self, tmp_path: Path) -> Index:
        """Return an empty index that has not been started."""
        raise NotImplementedError

    @pytest.fixture
    async def index(self, tmp_path: Path, anyio_backend: Any) -> AsyncIterator[Index]:
        """An empty index, started; stopped afterwards."""
        index = await self.make_index(tmp_path)
        await index.start()
        yield index
        await index.stop()

    async def test_stop_after_failed_or_missing_start(self, tmp_path: Path) -> None:
        await (await self.make_index(tmp_path)).stop()

    # What is wanted and offered

    @pytest.mark.parametrize("level", Level)
    async def test_offers_required_keys(self, index: Index, level: Level) -> None:
        required = {tag_of(word) for word in _REQUIRED[level].split()}
        assert required <= index.searchable_tags(level)

    async def test_lower_levels_offer_the_keys_of_higher_ones(self, index: Index) -> None:
        offered = [index.searchable_tags(level) for level in Level]
        assert all(up <= low for up, low in zip(offered, offered[1:], strict=False))

    async def test_wants_keys_that_it_does_not_compute(self, index: Index) -> None:
        assert {tag_of("PatientName"), tag_of("StudyDate"), tag_of("Modality")} <= index.wanted_tags
        assert tag_of("ModalitiesInStudy") not in index.wanted_tags

    # Adding, locating, replacing, removing

    async def test_added_instance_is_located(self, index: Index) -> None:
        record = make_record()
        assert await index.locate(uid_of(record)) is None
        assert await index.add(record) is None
        assert await index.locate(uid_of(record)) == record.instance

    async def test_duplicate_changes_nothing(self, index: Index) -> None:
        first = make_record(StudyDate="20200101")
        again = make_record(StudyDate="20210101", StudyTime="1200", StudyInstanceUID="1.2.3.9")
        await index.add(first)
        assert await index.add(again) == first.instance
        assert await index.locate(uid_of(first)) == first.instance
        assert await found(index, Level.STUDY, key="StudyDate") == ["20200101"]
        assert await found(index, Level.STUDY, key="StudyTime") == [""]

    async def test_replace_puts_the_new_in_the_place_of_the_old(self, index: Index) -> None:
        old, new = make_record(), make_record(InstanceNumber="5", SOPClassUID=MR)
        assert await index.replace(old) is None
        assert await index.replace(new) == old.instance
        assert await index.locate(uid_of(new)) == new.instance
        assert await found(index, Level.IMAGE, key="InstanceNumber") == ["5"]

    async def test_replace_moves_to_another_study(self, index: Index) -> None:
        uid = "1.2.3.99"
        await index.add(make_record("1.1.1", SOPInstanceUID=uid))
        await index.replace(make_record("2.1.1", SOPInstanceUID=uid, PatientID="P2"))
        assert await found(index, Level.STUDY) == ["1.2.3.2"]
        assert await found(index, Level.PATIENT) == ["P2"]

    async def test_remove_takes_what_becomes_empty(self, index: Index) -> None:
        records = [make_record(n) for n in ("1.1.1", "1.1.2", "1.2.1", "2.1.1")]
        for record in records:
            await index.add(record)
        counts = []
        for record in records:
            assert await index.remove(uid_of(record)) == record.instance
            assert await index.locate(uid_of(record)) is None
            counts.append([len(await found(index, level)) for level in Level])
        assert counts == [[1, 2, 3, 3], [1, 2, 2, 2], [1, 1, 1, 1], [0, 0, 0, 0]]

    async def test_remove_of_nothing(self, index: Index) -> None:
        assert await index.remove("1.2.3") is None

    async def test_series_can_return_after_removal(self, index: Index) -> None:
        record = make_record(SeriesDescription="first")
        await index.add(record)
        await index.remove(uid_of(record))
        await index.add(make_record(SeriesDescription="second"))
        assert await found(index, Level.SERIES, key="SeriesDescription") == ["second"]

    async def test_clear(self, index: Index) -> None:
        for n in range(3):
            await index.add(make_record(f"{n}.1.1"))
        await index.clear()
        assert [await found(index, level) for level in Level] == [[], [], [], []]
        assert await index.add(make_record("1.1.1")) is None

    # The hierarchy

    async def test_patients_differ_by_id_and_issuer(self, index: Index) -> None:
        await index.add(make_record("1.1.1", IssuerOfPatientID="A"))
        await index.add(make_record("2.1.1", IssuerOfPatientID="B"))
        await index.add(make_record("3.1.1", IssuerOfPatientID="A"))
        issuers = await found(index, Level.PATIENT, key="IssuerOfPatientID")
        assert sorted(issuers) == ["A", "B"]

    async def test_series_stays_in_the_study_where_it_arrived_first(self, index: Index) -> None:
        await index.add(make_record("1.1.1"))
        await index.add(make_record("2.1.2", SeriesInstanceUID="1.2.3.1.1"))
        assert await found(index, Level.STUDY) == ["1.2.3.1"]
        located = await index.locate("1.2.3.2.1.2")
        assert located is not None
        assert located.identity.series_instance_uid == "1.2.3.1.1"

    # Matching

    @pytest.mark.parametrize(
        ("keyword", "value", "wanted", "hit"),
        [
            ("PatientID", "P1", "P1", True),
            ("PatientID", "P1", "P", False),
            ("AccessionNumber", "A1", "a1", False),
            ("StudyDescription", "50%_'\"", "50%_'\"", True),
            ("StudyDescription", "a*b", "a*b", True),
            ("StudyDescription", "axb", "a*b", False),
            ("StudyDescription", "头颅", "头颅", True),
            ("SOPClassUID", CT, CT, True),
            ("SOPClassUID", CT, MR, False),
            ("SeriesNumber", "3", "3", True),
            ("SeriesNumber", "3", "4", False),
            ("StudyDate", "20200102", "20200102", True),
            ("StudyDate", "20200102", "20200103", False),
        ],
    )
    async def test_single_value(
        self, index: Index, keyword: str, value: str, wanted: str, hit: bool
    ) -> None:
        await index.add(make_record(**{keyword: value}))
        condition = SingleValue(tag_of(keyword), wanted)
        assert await found(index, Level.IMAGE, condition) == ["1.2.3.1.1.1"] * hit

    async def test_any_of_several_values_matches(self, index: Index) -> None:
        await index.add(make_record(OtherPatientIDs=["X1", "X2"]))
        tag = tag_of("OtherPatientIDs")
        assert await found(index, Level.PATIENT, SingleValue(tag, "X2")) == ["P1"]
        assert await found(index, Level.PATIENT, Wildcard(tag, "?1")) == ["P1"]
        assert await found(index, Level.PATIENT, Wildcard(tag, "X1*2")) == []
        assert await found(index, Level.PATIENT, key="OtherPatientIDs") == ["X1\\X2"]

    async def test_uid_list(self, index: Index) -> None:
        for n in (1, 2, 3):
            await index.add(make_record(f"{n}.1.1"))
        condition = UidList(tag_of("StudyInstanceUID"), ("1.2.3.3", "1.2.3.1", "1.2.3.9"))
        assert sorted(await found(index, Level.STUDY, condition)) == ["1.2.3.1", "1.2.3.3"]

    async def test_long_uid_list(self, index: Index) -> None:
        await index.add(make_record("77.1.1"))
        uids = tuple(f"1.2.3.{n}" for n in range(5000))
        condition = UidList(tag_of("StudyInstanceUID"), uids)
        assert await found(index, Level.STUDY, condition) == ["1.2.3.77"]
        assert await found(index, Level.IMAGE, condition) == ["1.2.3.77.1.1"]

    @pytest.mark.parametrize(
        ("value", "pattern", "hit"),
        [
            ("CHEST CT", "CHEST*", True),
            ("CHEST CT", "*CT", True),
            ("CHEST CT", "C*S*T", True),
            ("CHEST CT", "CHEST?CT", True),
            ("CHEST CT", "CHEST?", False),
            ("CHEST CT", "chest*", False),
            ("CHEST CT", "*", True),
            ("A[1]", "A[1]*", True),
            ("A1", "A[1]*", False),
            ("100%", "100%*", True),
            ("1000", "100%*", False),
            ("A_B", "A_*", True),
            ("AXB", "A_*", False),
            ("a\\b".replace("\\", "/"), "?/?", True),
            ("\U0010ffff\U0010ffff", "\U0010ffff*", True),
            ("头颅扫描", "头?扫*", True),
            ("퟿x", "퟿*", True),
        ],
    )
    async def test_wildcard(self, index: Index, value: str, pattern: str, hit: bool) -> None:
        await index.add(make_record(StudyDescription=value))
        condition = Wildcard(tag_of("StudyDescription"), pattern)
        assert await found(index, Level.STUDY, condition) == ["1.2.3.1"] * hit

    async def test_star_alone_is_universal(self, index: Index) -> None:
        await index.add(make_record())
        assert await found(index, Level.STUDY, Wildcard(tag_of("StudyID"), "*")) == ["1.2.3.1"]
        assert await found(index, Level.STUDY, name("*")) == ["1.2.3.1"]

    @pytest.mark.parametrize(
        ("keyword", "value", "start", "end", "hit"),
        [
            ("StudyDate", "20200115", "20200101", "20200131", True),
            ("StudyDate", "20200115", "20200115", "20200115", True),
            ("StudyDate", "20200115", "20200116", "", False),
            ("StudyDate", "20200115", "", "20200114", False),
            ("StudyDate", "20200115", "", "20200115", True),
            ("StudyDate", "", "20000101", "20991231", False),
            ("StudyTime", "103000", "1030", "1030", True),
            ("StudyTime", "103059.5", "1000", "1030", True),
            ("StudyTime", "103100", "1000", "1030", False),
            ("StudyTime", "10", "1000", "1100", True),
            ("AcquisitionDateTime", "20200115103000", "20200115", "20200115", True),
            ("AcquisitionDateTime", "20200115103000", "2020011511", "", False),
        ],
    )
    async def test_range(
        self, index: Index, keyword: str, value: str, start: str, end: str, hit: bool
    ) -> None:
        await index.add(make_record(**{keyword: value}))
        condition = Range(tag_of(keyword), start, end)
        assert await found(index, Level.IMAGE, condition) == ["1.2.3.1.1.1"] * hit

    @pytest.mark.parametrize(
        ("date", "time", "hit"),
        [
            ("20200101", "0900", False),
            ("20200101", "1100", True),
            ("20200102", "0100", True),
            ("20200103", "1159", True),
            ("20200103", "1300", False),
            ("20200104", "1100", False),
        ],
    )
    async def test_combined_date_time_range(
        self, index: Index, date: str, time: str, hit: bool
    ) -> None:
        await index.add(make_record(StudyDate=date, StudyTime=time))
        condition = DateTimeRange(
            tag_of("StudyDate"), tag_of("StudyTime"), "20200101", "1000", "20200103", "1200"
        )
        assert await found(index, Level.STUDY, condition) == ["1.2.3.1"] * hit

    @pytest.mark.parametrize(
        ("value", "pattern", "hit"),
        [
            ("SMITH^JOHN", "smith^john", True),
            ("SMITH^JOHN", "Smith^*", True),
            ("SMITH^JOHN", "SMITH", False),
            ("SMITH^JOHN^^", "SMITH^JOHN", True),
            ("SMITH", "SMITH^*", True),
            ("Straße^Ö", "STRASSE^ö", True),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田*", True),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "やまだ^たろう", True),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "yamada*", True),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "yamada*=山田*", True),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田*", True),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "yamada*=鈴木*", False),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", "=yamada*", False),
            ("O'NEIL^A", "o'neil*", True),
            ("100%^A", "100_*", False),
        ],
    )
    async def test_person_name(self, index: Index, value: str, pattern: str, hit: bool) -> None:
        await index.add(make_record(PatientName=value, ReferringPhysicianName=value))
        for condition in (name(pattern), name(pattern, keyword="ReferringPhysicianName")):
            assert await found(index, Level.STUDY, condition) == ["1.2.3.1"] * hit
        assert await found(index, Level.PATIENT, key="PatientName") == [value]

    async def test_any_of_several_names_matches(self, index: Index) -> None:
        await index.add(make_record(OperatorsName=["ONE^A", "TWO^B=二"]))
        for pattern in ("two*", "one^a", "二"):
            condition = name(pattern, keyword="OperatorsName")
            assert await found(index, Level.SERIES, condition) == ["1.2.3.1.1"]
        assert await found(index, Level.SERIES, name("one*two*", keyword="OperatorsName")) == []

    async def test_fuzzy_finds_what_the_literal_pattern_finds(self, index: Index) -> None:
        await index.add(make_record(PatientName="SMITH^JOHN"))
        assert await found(index, Level.PATIENT, name("smi*", fuzzy=True)) == ["P1"]

    @pytest.mark.parametrize(("step", "hit"), [("STEP1", True), ("STEP2", True), ("STEP", False)])
    async def test_sequence(self, index: Index, step: str, hit: bool) -> None:
        items = [
            {"ScheduledProcedureStepID": "STEP1", "RequestedProcedureID": "R1"},
            {"ScheduledProcedureStepID": "STEP2", "RequestedProcedureID": "R2"},
        ]
        await index.add(make_record(RequestAttributesSequence=items))
        inner = SingleValue(tag_of("ScheduledProcedureStepID"), step)
        condition = SequenceMatch(tag_of("RequestAttributesSequence"), (inner,))
        assert await found(index, Level.SERIES, condition) == ["1.2.3.1.1"] * hit

    async def test_sequence_conditions_hold_in_one_item(self, index: Index) -> None:
        items = [
            {"ScheduledProcedureStepID": "S1", "RequestedProcedureID": "R1"},
            {"ScheduledProcedureStepID": "S2", "RequestedProcedureID": "R2"},
        ]
        await index.add(make_record(RequestAttributesSequence=items))

        def both(step: str, procedure: str) -> SequenceMatch:
            return SequenceMatch(
                tag_of("RequestAttributesSequence"),
                (
                    SingleValue(tag_of("ScheduledProcedureStepID"), step),
                    Wildcard(tag_of("RequestedProcedureID"), procedure),
                ),
            )

        assert await found(index, Level.SERIES, both("S1", "R1*")) == ["1.2.3.1.1"]
        assert await found(index, Level.SERIES, both("S1", "R2*")) == []

    async def test_sequence_is_returned(self, index: Index) -> None:
        items = [{"ScheduledProcedureStepID": "S1"}]
        await index.add(make_record(RequestAttributesSequence=items))
        result = await one(index, Level.SERIES, "RequestAttributesSequence")
        assert result == attributes_of({"RequestAttributesSequence": items})

    async def test_empty_value(self, index: Index) -> None:
        await index.add(make_record("1.1.1", StudyID="S", AccessionNumber="A"))
        await index.add(make_record("2.1.1", StudyID=""))
        assert await found(index, Level.STUDY, Empty(tag_of("StudyID"))) == ["1.2.3.2"]
        assert await found(index, Level.STUDY, Empty(tag_of("AccessionNumber"))) == ["1.2.3.2"]

    async def test_all_conditions_must_hold(self, index: Index) -> None:
        await index.add(make_record("1.1.1", StudyDate="20200101", StudyID="A"))
        await index.add(make_record("2.1.1", StudyDate="20200101", StudyID="B"))
        date, study_id = tag_of("StudyDate"), tag_of("StudyID")
        conditions = (SingleValue(date, "20200101"), SingleValue(study_id, "B"))
        assert await found(index, Level.STUDY, *conditions) == ["1.2.3.2"]

    async def test_a_thousand_conditions(self, index: Index) -> None:
        await index.add(make_record(StudyDescription="x" * 1100))
        tag = tag_of("StudyDescription")
        conditions = [Wildcard(tag, "x" * n + "*") for n in range(1, 1001)]
        assert await found(index, Level.STUDY, *conditions) == ["1.2.3.1"]

    # Levels

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

    async def _populate(self, index: Index) -> None:
        for n, modality, sop_class in (
            ("1.1.1", "CT", CT),
            ("1.1.2", "CT", CT),
            ("1.2.1", "MR", MR),
            ("2.1.1", "CT", CT),
        ):
            await index.add(make_record(n, Modality=modality, SOPClassUID=sop_class))

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
        await self._populate(index)
        assert sorted(await found(index, level, key=keyword)) == sorted(values)

    async def test_modalities_and_sop_classes_in_study(self, index: Index) -> None:
        await self._populate(index)
        keywords = ("ModalitiesInStudy", "SOPClassesInStudy")
        query = Query(
            Level.STUDY,
            (SingleValue(tag_of("StudyInstanceUID"), "1.2.3.1"),),
            frozenset(map(tag_of, keywords)),
        )
        (result,) = [result async for result in index.search(query)]
        assert [set(result[tag_of(keyword)]) for keyword in keywords] == [{"CT", "MR"}, {CT, MR}]

    async def test_matching_on_modalities_and_sop_classes_in_study(self, index: Index) -> None:
        await self._populate(index)
        modalities, classes = tag_of("ModalitiesInStudy"), tag_of("SOPClassesInStudy")
        assert await found(index, Level.STUDY, SingleValue(modalities, "MR")) == ["1.2.3.1"]
        assert await found(index, Level.STUDY, UidList(classes, (MR, "1.2"))) == ["1.2.3.1"]
        both = (SingleValue(modalities, "MR"), SingleValue(modalities, "CT"))
        assert await found(index, Level.STUDY, *both) == ["1.2.3.1"]
        series = await found(index, Level.SERIES, SingleValue(modalities, "MR"))
        assert sorted(series) == ["1.2.3.1.1", "1.2.3.1.2"]
        assert await found(index, Level.PATIENT, SingleValue(modalities, "MR")) == ["P1"]

    # Results

    async def test_result_has_what_is_wanted_and_known(self, index: Index) -> None:
        await index.add(make_record(StudyDate="20200101"))
        unknown = 0x0099_1099
        wanted = {tag_of("StudyDate"), tag_of("StudyTime"), tag_of("PatientID"), unknown}
        results = [r async for r in index.search(Query(Level.STUDY, (), frozenset(wanted)))]
        assert results == [attributes_of({"StudyDate": "20200101", "StudyTime": "", "PatientID": "P1"})]

    async def test_nothing_wanted_gives_empty_results(self, index: Index) -> None:
        await index.add(make_record())
        assert [r async for r in index.search(Query(Level.STUDY))] == [{}]

    async def test_limit_and_offset_in_a_stable_order(self, index: Index) -> None:
        for n in range(40):
            await index.add(make_record(f"{n}.1.1"))
        everything = await found(index, Level.STUDY)
        assert len(set(everything)) == 40
        assert await found(index, Level.STUDY) == everything
        pages = [await found(index, Level.STUDY, limit=7, offset=n) for n in range(0, 42, 7)]
        assert [uid for page in pages for uid in page] == everything
        assert await found(index, Level.STUDY, limit=0) == []
        assert await found(index, Level.STUDY, offset=100) == []

    async def test_many_results(self, index: Index) -> None:
        async with anyio.create_task_group() as group:
            for n in range(1500):
                group.start_soon(index.add, make_record(f"1.{n % 7}.{n}"))
        assert len(set(await found(index, Level.IMAGE))) == 1500

    async def test_iterators_may_be_closed_early(self, index: Index) -> None:
        for n in range(100):
            await index.add(make_record(str(n)))
        for _ in range(20):
            async with aclosing(index.search(Query(Level.IMAGE))) as results:  # type: ignore[type-var]
                async for _result in results:
                    break
            async with aclosing(index.instances(Query(Level.STUDY))) as stored:  # type: ignore[type-var]
                async for _instance in stored:
                    break
        assert await index.remove("1.2.3.1.1.1") is not None
        assert len(await found(index, Level.IMAGE)) == 99

    async def test_index_may_change_during_a_search(self, index: Index) -> None:
        for n in range(100):
            await index.add(make_record(str(n)))
        wanted = frozenset({tag_of("SOPInstanceUID")})
        seen = set()
        async for result in index.search(Query(Level.IMAGE, (), wanted)):
            (uid,) = result[tag_of("SOPInstanceUID")]
            seen.add(uid)
            await index.remove(str(uid))
        assert len(seen) == 100
        assert await found(index, Level.IMAGE) == []

    # Instances for retrieval

    async def test_instances_of_a_study_in_order(self, index: Index) -> None:
        names = [f"1.{series}.{number}" for number in (10, 9, 2, 1) for series in (1, 2)]
        for n in [*names, "2.1.1"]:
            await index.add(make_record(n))
        condition = SingleValue(tag_of("StudyInstanceUID"), "1.2.3.1")
        stored = [i async for i in index.instances(Query(Level.STUDY, (condition,)))]
        expected = [f"1.2.3.1.{series}.{n}" for series in (1, 2) for n in (1, 2, 9, 10)]
        assert [i.identity.sop_instance_uid for i in stored] == expected
        assert stored[0] == make_record("1.1.1").instance

    @pytest.mark.parametrize(
        ("level", "condition", "count"),
        [
            (Level.PATIENT, SingleValue(tag_of("PatientID"), "P1"), 4),
            (Level.SERIES, UidList(tag_of("SeriesInstanceUID"), ("1.2.3.1.1", "1.2.3.2.1")), 3),
            (Level.IMAGE, UidList(tag_of("SOPInstanceUID"), ("1.2.3.1.1.2", "1.2.3.9")), 1),
            (Level.STUDY, SingleValue(tag_of("Modality"), "MR"), 3),
            (Level.STUDY, SingleValue(tag_of("PatientID"), "P9"), 0),
        ],
    )
    async def test_instances_at_or_below_what_matches(
        self, index: Index, level: Level, condition: Condition, count: int
    ) -> None:
        await self._populate(index)
        stored = [i async for i in index.instances(Query(level, (condition,)))]
        assert len(stored) == count

    # Many at once

    async def test_concurrent_adds(self, index: Index) -> None:
        records = [make_record(f"{n % 5}.{n % 10}.{n}") for n in range(100)]
        added: list[StoredInstance | None] = []

        async def add(record: InstanceRecord) -> None:
            added.append(await index.add(record))
            assert await index.locate(uid_of(record)) == record.instance

        async with anyio.create_task_group() as group:
            for record in records:
                group.start_soon(add, record)
        assert added == [None] * 100
        assert [len(await found(index, level)) for level in Level] == [1, 5, 10, 100]

    async def test_of_adds_that_race_one_succeeds(self, index: Index) -> None:
        results: list[StoredInstance | None] = []

        async def add() -> None:
            results.append(await index.add(make_record()))

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(add)
        assert results.count(None) == 1
        assert {r for r in results if r} == {make_record().instance}

    async def test_adds_and_removals_race(self, index: Index) -> None:
        async def come_and_go(n: int) -> None:
            for _ in range(5):
                await index.add(make_record(f"1.1.{n}"))
                await index.remove(f"1.2.3.1.1.{n}")

        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(come_and_go, n)
        assert [await found(index, level) for level in Level] == [[], [], [], []]

    # Hostile values

    @pytest.mark.parametrize(
        "value",
        [
            "'; DROP TABLE study; --",
            '"',
            "%",
            "_",
            "a\0b",
            "x" * 65_536,
            "\u202e\u0000\ufeff",
            "{}",
            "\U0001f9e0",
            "]",
            "[a-z]",
        ],
        ids=lambda value: repr(value)[:12],
    )
    async def test_hostile_values(self, index: Index, value: str) -> None:
        await index.add(make_record(StudyDescription=value, PatientName=value))
        condition = SingleValue(tag_of("StudyDescription"), value)
        assert await found(index, Level.STUDY, condition, key="StudyDescription") == [value]
        assert await found(index, Level.STUDY, key="PatientName") == [value]
        other = SingleValue(tag_of("StudyDescription"), value + "x")
        assert await found(index, Level.STUDY, other) == []
        pattern = Wildcard(tag_of("StudyDescription"), "no" + value + "*")
        assert await found(index, Level.STUDY, pattern) == []

    async def test_lone_surrogates_do_not_keep_an_instance_out(self, index: Index) -> None:
        assert await index.add(make_record(StudyDescription="a\ud800b")) is None
        (description,) = await found(index, Level.STUDY, key="StudyDescription")
        description.encode()
        condition = SingleValue(tag_of("StudyDescription"), "c\udfff")
        assert await found(index, Level.STUDY, condition) == []

    async def test_values_that_do_not_fit_their_representation(self, index: Index) -> None:
        record = make_record(
            InstanceNumber="many", StudyDate="yesterday", StudyTime="noon", SeriesNumber="9" * 40
        )
        assert await index.add(record) is None
        assert await found(index, Level.STUDY, key="StudyDate") == ["yesterday"]
        assert await found(index, Level.IMAGE, key="InstanceNumber") == ["many"]
        assert [i async for i in index.instances(Query(Level.STUDY))] == [record.instance]
