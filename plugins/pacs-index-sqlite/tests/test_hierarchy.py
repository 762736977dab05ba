"""Attributes that differ from one instance to the next, names that sound alike, bad changes."""

import logging
from typing import Any

import anyio
import pytest
from pacs_index_sqlite.index import SqliteIndex
from pacs_index_sqlite.sound import sounds

from pacs_core.contracts import InstanceRecord, Level, SingleValue
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import found, make_record, name

pytestmark = pytest.mark.anyio


async def test_first_wins_and_missing_values_are_filled(index: SqliteIndex) -> None:
    await index.add(make_record("1.1.1", StudyID="A", PatientName=""))
    await index.add(make_record("1.1.2", StudyID="B", StudyDate="20200101", PatientName="X^Y"))
    assert await found(index, Level.STUDY, key="StudyID") == ["A"]
    assert await found(index, Level.STUDY, SingleValue(tag_of("StudyDate"), "20200101"))
    assert await found(index, Level.PATIENT, name("x*")) == ["P1"]


async def test_study_stays_with_its_first_patient(
    index: SqliteIndex, caplog: pytest.LogCaptureFixture
) -> None:
    await index.add(make_record("1.1.1", PatientID="P1"))
    with caplog.at_level(logging.WARNING):
        await index.add(make_record("1.1.2", PatientID="P2", PatientName="OTHER"))
    assert "1.2.3.1 came with another Patient ID" in caplog.text
    assert await found(index, Level.PATIENT) == ["P1"]
    assert await found(index, Level.PATIENT, key="PatientName") == [""]


async def test_patients_without_id_are_not_thrown_together(index: SqliteIndex) -> None:
    await index.add(make_record("1.1.1", PatientID="", PatientName="A"))
    await index.add(make_record("2.1.1", PatientID="", PatientName="B"))
    assert await found(index, Level.STUDY, name("b")) == ["1.2.3.2"]


async def test_removal_takes_the_several_values_along(index: SqliteIndex) -> None:
    await index.add(make_record("1.1.1", OtherPatientIDs=["X", "Y"], PatientName="A^B"))
    await index.remove("1.2.3.1.1.1")
    await index.add(make_record("1.1.1", PatientID="P2"))
    assert await found(index, Level.PATIENT, SingleValue(tag_of("OtherPatientIDs"), "X")) == []
    assert await found(index, Level.PATIENT, name("a^b", fuzzy=True)) == []


@pytest.mark.parametrize(
    ("stored", "pattern", "hit"),
    [
        ("SMITH^JOHN", "smyth^jon", True),
        ("SMITH^JOHN", "john smith", True),
        ("SMITH^JOHN", "smyth^jo*", True),
        ("SMITH^JOHN", "smyth^peter", False),
        ("MÜLLER^JÖRG", "muller^jorg", True),
        ("Yamada^Tarou=山田^太郎", "jamada", False),
        ("Yamada^Tarou=山田^太郎", "yamata", True),
    ],
)
async def test_fuzzy_names(index: SqliteIndex, stored: str, pattern: str, hit: bool) -> None:
    await index.add(make_record(PatientName=stored))
    assert await found(index, Level.PATIENT, name(pattern, fuzzy=True)) == ["P1"] * hit


def test_soundex() -> None:
    assert sounds("Robert^Rupert") == {"R163"}
    assert sounds("Ashcraft-Tymczak") == {"A261", "T522"}
    assert sounds("山田") == {"山田"}


async def test_failing_change_takes_no_other_with_it(index: SqliteIndex) -> None:
    failures: list[BaseException] = []

    async def add(n: int) -> None:
        record: Any = make_record(str(n)) if n % 10 else InstanceRecord(None)  # type: ignore[arg-type]
        try:
            await index.add(record)
        except AttributeError as error:
            failures.append(error)

    async with anyio.create_task_group() as group:
        for n in range(50):
            group.start_soon(add, n)
    assert len(failures) == 5
    assert len(await found(index, Level.IMAGE)) == 45


async def test_cancelled_caller_harms_nobody(index: SqliteIndex) -> None:
    async with anyio.create_task_group() as group:
        for n in range(50):
            group.start_soon(index.add, make_record(str(n)))
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert await index.add(make_record("1000")) is None
