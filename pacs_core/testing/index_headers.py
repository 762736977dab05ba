# ruff: noqa: D102 - the names of the tests are their documentation
"""Answers that depend on what is stored alone: part of the contract suite of indexes."""

import random
from collections import Counter
from itertools import permutations
from typing import Any

import pytest

from pacs_core.contracts import (
    Condition,
    DateTimeRange,
    Empty,
    Index,
    InstanceRecord,
    Level,
    Query,
    SequenceMatch,
    SingleValue,
    Wildcard,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import CT, MR, found, make_record, name, path_of


async def answers(index: Index) -> dict[Level, Counter[str]]:
    """Return all that an index answers, whatever the order of it."""
    given: dict[Level, Counter[str]] = {}
    for level in Level:
        query = Query(level, (), index.searchable_tags(level))
        given[level] = Counter([repr(sorted(r.items())) async for r in index.search(query)])
    stored = Counter([repr(i) async for i in index.instances(Query(Level.PATIENT))])
    stored += Counter([repr(conflict) async for conflict in index.conflicts()])
    given[Level.IMAGE] += stored
    return given


async def fill(index: Index, records: "list[InstanceRecord]") -> dict[Level, Counter[str]]:
    """Fill an index anew, and return its answers."""
    await index.clear()
    for record in records:
        await index.add(record)
    return await answers(index)


VARIED = [
    make_record("1.1.1", StudyDate="20200102", StudyID="B", PatientName="B^B", SeriesTime="1100"),
    make_record("1.1.2", StudyDate="20200101", PatientName="C^C", PatientSex="F", SeriesTime="10"),
    make_record("1.2.3", StudyID="A", OtherPatientIDs=["X", "Y"], SeriesDescription="one"),
    make_record("1.2.4", StudyDate="20200101", StudyID="D", SeriesDescription="two\\lines"),
    make_record("2.1.1", StudyDate="20190101", PatientName="D^D", PatientBirthDate="1950"),
]


class IndexHeaders:
    """Tests of instances that differ in attributes of their patient, study or series."""

    async def test_order_of_arrival_does_not_matter(self, index: Index) -> None:
        expected = await fill(index, VARIED)
        for order in list(permutations(VARIED))[::7]:
            assert await fill(index, list(order)) == expected

    async def test_what_was_removed_does_not_matter(self, index: Index) -> None:
        for gone in VARIED:
            kept = [record for record in VARIED if record is not gone]
            await fill(index, VARIED)
            await index.remove(path_of(gone))
            assert await answers(index) == await fill(index, kept)

    @pytest.mark.parametrize("seed", range(12))
    async def test_no_history_matters(self, index: Index, seed: int) -> None:
        """Random additions, replacements and removals end where a fresh index begins."""
        choose = random.Random(seed)  # noqa: S311
        there: dict[Any, InstanceRecord] = {}
        for _ in range(60):
            record = _random_record(choose)
            path = path_of(record)
            action = choose.choice(("add", "add", "add", "replace", "remove"))
            if action == "remove" and there:
                path = choose.choice(sorted(there))
                assert await index.remove(path) == there.pop(path).instance
            elif action == "replace":
                former = there.get(path)
                expected = former.instance if former else None
                assert (await index.replace(record)).existing == expected
                there[path] = record
            elif (await index.add(record)).existing is None:
                there[path] = record
        result = await answers(index)
        records = list(there.values())
        choose.shuffle(records)
        assert await fill(index, records) == result

    # Which value is shown

    async def test_earliest_header_speaks_and_others_fill_its_gaps(self, index: Index) -> None:
        await index.add(make_record("1.1.1", StudyDate="20200102", StudyID="B", PatientSex="F"))
        await index.add(make_record("1.1.2", StudyDate="20200101", StudyTime="10", StudyID="C"))
        await index.add(make_record("1.1.3", StudyDate="20200101", StudyTime="09", StudyID="D"))
        assert await found(index, Level.STUDY, key="StudyID") == ["D"]
        assert await found(index, Level.STUDY, key="StudyDate") == ["20200101"]
        assert await found(index, Level.STUDY, key="PatientSex") == ["F"]

    async def test_fuller_header_speaks_first(self, index: Index) -> None:
        await index.add(make_record("1.1.1", StudyID="A"))
        await index.add(make_record("1.1.2", StudyID="B", AccessionNumber="1"))
        await index.add(make_record("1.1.3", StudyID="C"))
        assert await found(index, Level.STUDY, key="StudyID") == ["B"]

    async def test_name_and_birth_date_come_from_one_instance(self, index: Index) -> None:
        pairs = [("A^A", "19500101"), ("B^B", "19400101"), ("C^C", "19600101")]
        for n, (patient, birth) in enumerate(pairs):
            await index.add(make_record(f"1.1.{n}", PatientName=patient, PatientBirthDate=birth))
        (shown,) = await found(index, Level.STUDY, key="PatientName")
        assert (shown, *await found(index, Level.STUDY, key="PatientBirthDate")) in pairs

    # Studies of one patient

    async def test_each_study_has_the_demographics_of_its_own(self, index: Index) -> None:
        await index.add(make_record("1.1.1", PatientName="OLD", PatientSex="F"))
        await index.add(make_record("2.1.1", PatientName="NEW"))
        for level in (Level.STUDY, Level.SERIES, Level.IMAGE):
            assert sorted(await found(index, level, key="PatientName")) == ["NEW", "OLD"]
            assert sorted(await found(index, level, key="PatientSex")) == ["", "F"]
            (one,) = await found(index, level, name("old"), key="StudyInstanceUID")
            assert one == "1.2.3.1"
        assert await found(index, Level.STUDY, Empty(tag_of("PatientSex"))) == ["1.2.3.2"]

    async def test_patient_has_the_demographics_of_the_latest_study(self, index: Index) -> None:
        await index.add(make_record("1.1.1", StudyDate="20200101", PatientName="B", PatientSex="F"))
        await index.add(make_record("2.1.1", StudyDate="20210101", PatientName="A"))
        await index.add(make_record("3.1.1", PatientName="C"))
        assert await found(index, Level.PATIENT, key="PatientName") == ["A"]
        assert await found(index, Level.PATIENT, key="PatientSex") == ["F"]
        for pattern in "abc":
            assert await found(index, Level.PATIENT, name(pattern)) == ["P1"]
        assert await found(index, Level.PATIENT, Empty(tag_of("PatientSex"))) == []
        assert await found(index, Level.PATIENT, Empty(tag_of("PatientBirthDate"))) == ["P1"]
        await index.remove(path_of(make_record("2.1.1")))
        assert await found(index, Level.PATIENT, key="PatientName") == ["B"]

    # Each value finds the entity

    @pytest.mark.parametrize(
        "condition",
        [
            SingleValue(tag_of("StudyID"), "B"),
            SingleValue(tag_of("StudyID"), "A"),
            Wildcard(tag_of("StudyDescription"), "x*"),
            name("b^*"),
            name("b^s*", fuzzy=True),
            SingleValue(tag_of("OtherPatientIDs"), "Y"),
            DateTimeRange(
                tag_of("StudyDate"), tag_of("StudyTime"), "20200102", "0900", "20200102", "1100"
            ),
            SequenceMatch(
                tag_of("ProcedureCodeSequence"), (SingleValue(tag_of("CodeValue"), "2"),)
            ),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("order", [1, -1])
    async def test_any_value_of_a_study_finds_it(
        self, index: Index, condition: Condition, order: int
    ) -> None:
        records = [
            make_record("1.1.1", StudyDate="20200101", StudyID="A", PatientName="A^A"),
            make_record(
                "1.2.2",
                StudyDate="20200102",
                StudyTime="1000",
                StudyID="B",
                StudyDescription="xyz",
                PatientName="B^SMITH",
                OtherPatientIDs=["X", "Y"],
                ProcedureCodeSequence=[{"CodeValue": "1"}, {"CodeValue": "2"}],
            ),
        ]
        for record in records[::order]:
            await index.add(record)
        assert await found(index, Level.PATIENT, condition) == ["P1"]
        assert await found(index, Level.STUDY, condition) == ["1.2.3.1"]
        assert sorted(await found(index, Level.SERIES, condition)) == ["1.2.3.1.1", "1.2.3.1.2"]
        for record in records[::-1]:
            await index.remove(path_of(record))
        assert await found(index, Level.STUDY, condition) == []

    async def test_any_value_of_a_series_finds_it(self, index: Index) -> None:
        await index.add(make_record("1.1.1", SeriesDescription="a", OperatorsName=["ONE", "TWO"]))
        await index.add(make_record("1.1.2", SeriesDescription="b", OperatorsName=["SIX", "TEN"]))
        for word in "ab":
            condition = SingleValue(tag_of("SeriesDescription"), word)
            assert await found(index, Level.SERIES, condition) == ["1.2.3.1.1"]
            assert len(await found(index, Level.IMAGE, condition)) == 2
        for pattern in ("one", "ten"):
            by_name = name(pattern, keyword="OperatorsName")
            assert await found(index, Level.SERIES, by_name) == ["1.2.3.1.1"]
        await index.remove(path_of(make_record("1.1.2")))
        condition = SingleValue(tag_of("SeriesDescription"), "b")
        assert await found(index, Level.SERIES, condition) == []
        assert await found(index, Level.SERIES, name("ten", keyword="OperatorsName")) == []

    async def test_each_instance_may_have_a_header_of_its_own(self, index: Index) -> None:
        records = [make_record(f"1.1.{n}", SeriesTime=f"12{n:04d}") for n in range(60)]
        for record in records[30:] + records[:30]:
            await index.add(record)
        condition = SingleValue(tag_of("SeriesTime"), "120050")
        assert await found(index, Level.SERIES, condition) == ["1.2.3.1.1"]
        assert await found(index, Level.SERIES, key="SeriesTime") == ["120000"]
        for record in records[:59]:
            await index.remove(path_of(record))
        assert await found(index, Level.SERIES, key="SeriesTime") == ["120059"]


def _random_record(choose: random.Random) -> InstanceRecord:
    """Return a record of a small world in which everything collides."""
    modality, sop_class = choose.choice((("CT", CT), ("MR", MR)))
    values: dict[str, Any] = {
        "PatientID": choose.choice(("P1", "P2", "")),
        "IssuerOfPatientID": choose.choice(("", "", "X")),
        "PatientName": choose.choice(("", "A^B", "a^b", "C^D")),
        "PatientSex": choose.choice(("", "F", "M")),
        "OtherPatientIDs": choose.choice(([], ["1"], ["1", "2"])),
        "StudyDate": choose.choice(("", "20200101", "20200102")),
        "StudyID": choose.choice(("", "S", "T")),
        "SeriesTime": choose.choice(("", "1000", "1100")),
        "SeriesInstanceUID": f"1.8.{choose.randrange(3)}",
        "SOPInstanceUID": f"1.9.{choose.randrange(8)}",
        "Modality": modality,
        "SOPClassUID": sop_class,
    }
    return make_record(f"{choose.randrange(1, 4)}.1.{choose.randrange(9)}", **values)
