# ruff: noqa: D102 - the names of the tests are their documentation
"""Matching that every index must do, and must not: part of the contract suite of indexes."""

import pytest

from pacs_core.contracts import (
    DateTimeRange,
    Either,
    Empty,
    Index,
    Level,
    PersonName,
    Query,
    Range,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import (
    CT,
    MR,
    attributes_of,
    found,
    make_record,
    name,
    one,
)


class IndexMatching:
    """Tests of the matching types (PS3.4 C.2.2.2) and of hostile values."""

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

    async def test_any_of_several_values_with_a_nul_matches(self, index: Index) -> None:
        await index.add(make_record(OtherPatientIDs=["X1", "X\0002"]))
        tag = tag_of("OtherPatientIDs")
        assert await found(index, Level.PATIENT, Wildcard(tag, "?\0*2")) == ["P1"]
        assert await found(index, Level.PATIENT, Wildcard(tag, "?\0*3")) == []

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

    async def test_either_of_conditions_on_several_attributes(self, index: Index) -> None:
        await index.add(make_record("1.1.1", PatientID="A", PatientName="Doe^John", Modality="MR"))
        await index.add(make_record("2.1.1", PatientID="B", PatientName="Roe^Jane", StudyID="doe"))
        await index.add(make_record("3.1.1", PatientID="DOE", Modality="US"))
        await index.add(make_record("3.2.1", PatientID="DOE", Modality="CT"))
        await index.add(make_record("4.1.1", PatientID="C"))
        person = PersonName(tag_of("PatientName"), ("doe*",))
        study_id, patient_id = (
            Wildcard(tag_of("StudyID"), "do*"),
            SingleValue(tag_of("PatientID"), "DOE"),
        )
        either = Either((person, study_id, patient_id))
        assert await found(index, Level.STUDY, either) == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
        assert await found(index, Level.PATIENT, either) == ["A", "B", "DOE"]
        assert await index.count(Query(Level.IMAGE, (either,))) == 4
        # One attribute is of a lower level, another counted; both must hold with the rest.
        modality = SingleValue(tag_of("Modality"), "US")
        series = SingleValue(tag_of("NumberOfStudyRelatedSeries"), "2")
        assert await found(index, Level.STUDY, Either((modality, study_id))) == [
            "1.2.3.2",
            "1.2.3.3",
        ]
        assert await found(index, Level.STUDY, Either((series, person)), either, modality) == [
            "1.2.3.3"
        ]
        assert await found(index, Level.STUDY, Either(())) == []
        everything = Either((modality, Wildcard(tag_of("StudyID"), "*")))
        assert await index.count(Query(Level.STUDY, (everything,))) == 4
        restricted = Query(Level.STUDY, (Either((modality, person)),), restrictions=(either,))
        assert await index.count(restricted) == 2

    async def test_a_thousand_conditions(self, index: Index) -> None:
        await index.add(make_record(StudyDescription="x" * 1100))
        tag = tag_of("StudyDescription")
        conditions = [Wildcard(tag, "x" * n + "*") for n in range(1, 1001)]
        assert await found(index, Level.STUDY, *conditions) == ["1.2.3.1"]

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
        await index.add(make_record(StudyDescription="a\ud800b"))
        (description,) = await found(index, Level.STUDY, key="StudyDescription")
        description.encode()
        condition = SingleValue(tag_of("StudyDescription"), "c\udfff")
        assert await found(index, Level.STUDY, condition) == []

    async def test_values_that_do_not_fit_their_representation(self, index: Index) -> None:
        record = make_record(
            InstanceNumber="many", StudyDate="yesterday", StudyTime="noon", SeriesNumber="9" * 40
        )
        await index.add(record)
        assert await found(index, Level.STUDY, key="StudyDate") == ["yesterday"]
        assert await found(index, Level.IMAGE, key="InstanceNumber") == ["many"]
        assert [i async for i in index.instances(Query(Level.STUDY))] == [record.instance]
