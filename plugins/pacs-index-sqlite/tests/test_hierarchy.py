"""Attributes that differ from one instance to the next, names that sound alike, bad changes."""

from typing import Any

import anyio
import pytest
from pacs_index_sqlite.index import SqliteIndex

from pacs_core.contracts import InstancePath, InstanceRecord, Level, SingleValue
from pacs_core.dataset import tag_of
from pacs_core.relational import sounds
from pacs_core.testing.index_harness import found, make_record, name, path_of

pytestmark = pytest.mark.anyio


async def test_sounds_of_any_name_find_the_study(index: SqliteIndex) -> None:
    await index.add(make_record("1.1.1", PatientName="SMITH^JOHN"))
    await index.add(make_record("1.1.2", PatientName="MEYER^ANN"))
    for pattern in ("smyth", "maier"):
        assert await found(index, Level.STUDY, name(pattern, fuzzy=True)) == ["1.2.3.1"]
    await index.remove(path_of(make_record("1.1.2")))
    assert await found(index, Level.STUDY, name("maier", fuzzy=True)) == []
    assert await found(index, Level.STUDY, name("smyth", fuzzy=True)) == ["1.2.3.1"]


async def test_nothing_is_left_behind(index: SqliteIndex) -> None:
    names = [f"{study}.{n % 2}.{n}" for study in (1, 2) for n in range(8)]
    for n, instance in enumerate(names):
        record = make_record(
            instance,
            StudyID=str(n % 3),
            SeriesDescription=str(n % 4),
            PatientName=f"N{n % 3}",
            OperatorsName=["A", f"B{n}"],
            SOPInstanceUID=f"9.{n % 8}",
        )
        await index.add(record)
    for study in ("1.2.3.1", "1.2.3.2"):
        for n in range(8):
            assert await index.remove(InstancePath(study, f"9.{n}")) is not None
    connection = index._opened.connections.writing
    tables = [
        t for (t,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]
    filled = [t for t in tables if connection.execute(f"SELECT 1 FROM {t} LIMIT 1").fetchone()]
    assert filled == ["sqlite_sequence", "metadata_state"]


async def test_removal_takes_the_several_values_along(index: SqliteIndex) -> None:
    await index.add(make_record("1.1.1", OtherPatientIDs=["X", "Y"], PatientName="A^B"))
    await index.remove(path_of(make_record("1.1.1")))
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
    assert (await index.add(make_record("1000"))).existing is None
