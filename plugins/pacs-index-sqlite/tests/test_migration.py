"""Files of former schema versions, brought to the present one."""

import sqlite3
from pathlib import Path

import pytest
from attrs import evolve
from pacs_index_sqlite.index import SqliteIndex
from pacs_index_sqlite.schema import STEPS

from pacs_core.contracts import (
    ConflictKind,
    Durability,
    InstanceRecord,
    Level,
    Query,
    SingleValue,
    StoredInstance,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import found, make_record, name, path_of

pytestmark = pytest.mark.anyio

DUMP = (Path(__file__).parent / "version_2.sql").read_text()
STORED = ("1.1.1", "1.1.2", "1.2.1", "2.1.1", "3.1.1")


def lay_out(path: Path, version: int) -> None:
    """Write a file as the code of a former version would have left it."""
    connection = sqlite3.connect(path)
    connection.executescript(DUMP)
    if version < 2:
        connection.execute("DROP TABLE unflushed")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()


async def rows(index: SqliteIndex) -> list[StoredInstance]:
    return [i async for i in index.instances(Query(Level.IMAGE))]


@pytest.mark.parametrize("version", [1, 2])
async def test_a_file_of_before_keeps_its_instances(path: Path, version: int) -> None:
    lay_out(path, version)
    index = SqliteIndex(path)
    await index.start()
    assert await rows(index) == [make_record(n).instance for n in STORED]
    assert await found(index, Level.PATIENT) == ["P1", ""]
    noted = [i.identity.sop_instance_uid async for i in index.unflushed()]
    assert noted == ["1.2.3.1.1.2"] * (version > 1)
    await index.stop()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
    connection.close()


async def test_a_file_of_before_is_not_trusted_until_it_is_built_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It has put one patient's images under another where UIDs are equal, and does not know."""
    lay_out(path, 2)
    for logged in (True, False):
        caplog.clear()
        index = SqliteIndex(path)
        await index.start()
        assert "images of one patient may be under another" in await index.gap()
        assert ("`pacs index rebuild`" in caplog.text) is logged
        await index.stop()
    index = SqliteIndex(path)
    await index.start()
    async with index.rebuilding() as rebuild:
        await rebuild.index.add(make_record("1.1.1"))
    assert await index.gap() == ""
    await index.stop()


async def test_an_empty_file_of_before_is_as_good_as_a_new_one(path: Path) -> None:
    lay_out(path, 2)
    connection = sqlite3.connect(path)
    for table in ("unflushed", "several", "instance", "series", "study", "patient"):
        connection.execute(f"DELETE FROM {table}")
    connection.commit()
    connection.close()
    index = SqliteIndex(path)
    await index.start()
    assert await index.gap() == ""
    await index.stop()


async def test_a_file_of_before_finds_what_it_found(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lay_out(path, 2)
    index = SqliteIndex(path)
    await index.start()
    assert "`pacs index rebuild`" in caplog.text
    # The patient had one name for both studies: what the file does not know it cannot tell.
    assert await found(index, Level.STUDY, name("smith^*")) == ["1.2.3.1", "1.2.3.2"]
    assert await found(index, Level.STUDY, name("smyth", fuzzy=True)) == ["1.2.3.1", "1.2.3.2"]
    assert await found(index, Level.PATIENT, key="PatientBirthDate") == ["19500101", ""]
    other = SingleValue(tag_of("OtherPatientIDs"), "X2")
    assert await found(index, Level.PATIENT, other) == ["P1"]
    assert await found(index, Level.SERIES, name("two*", keyword="OperatorsName")) == ["1.2.3.1.2"]
    assert [conflict async for conflict in index.conflicts()] == []
    for number in STORED:
        assert await index.remove(path_of(make_record(number))) is not None
    assert await found(index, Level.PATIENT) == []
    await index.stop()


async def test_a_file_of_before_tells_studies_apart_from_now_on(path: Path) -> None:
    lay_out(path, 2)
    index = SqliteIndex(path)
    await index.start()
    uids = {"SeriesInstanceUID": "1.2.3.1.1", "SOPInstanceUID": "1.2.3.1.1.1"}
    twin = make_record("7.1.1", PatientID="P7", PatientName="JONES^MARY", **uids)
    conflicts = (await index.add(twin)).conflicts
    assert [c.kind for c in conflicts] == [ConflictKind.SERIES, ConflictKind.INSTANCE]
    assert await index.locate(path_of(twin)) == twin.instance
    own = make_record("2.1.2", PatientName="JONES^MARY", StudyDate="20210101")
    (conflict,) = (await index.add(own)).conflicts
    assert conflict.kind is ConflictKind.STUDY_ATTRIBUTE
    assert await found(index, Level.STUDY, name("jones*")) == ["1.2.3.2", "1.2.3.7"]
    await index.stop()


async def test_a_file_of_before_takes_new_instances(path: Path) -> None:
    lay_out(path, 1)
    index = SqliteIndex(path)
    await index.start()
    instance = evolve(make_record("1.1.3").instance, digest=b"\1\2")
    record = InstanceRecord(instance, make_record("1.1.3").attributes)
    assert (await index.add(record, durability=Durability.WRITE_BEHIND)).existing is None
    assert await index.locate(path_of(record)) == instance
    assert [i async for i in index.unflushed()] == [instance]
    assert await index.remove(path_of(make_record("1.1.1"))) == make_record("1.1.1").instance
    await index.stop()


async def test_date_times_of_before_are_found_by_what_they_mean(path: Path) -> None:
    """They were compared as text, and series had no offset of their own."""
    lay_out(path, 2)
    values = {"1": "20240110230000-0500", "2": "20240110230000", "3": "2024\\20250101+0100"}
    connection = sqlite3.connect(path)
    for row, text in values.items():
        connection.execute(
            "UPDATE instance SET AcquisitionDateTime = ?1, AcquisitionDateTime_order = ?1"
            " WHERE SOPInstanceUID = (SELECT SOPInstanceUID FROM instance ORDER BY id"
            " LIMIT 1 OFFSET ?2)",
            (text, int(row) - 1),
        )
    connection.execute("UPDATE study SET TimezoneOffsetFromUTC = '-0500'")
    connection.commit()
    connection.close()
    index = SqliteIndex(path)
    await index.start()
    tag = tag_of("AcquisitionDateTime")
    for key, numbers in (
        ("20240111040000+0000", (0, 1)),
        ("20240110230000", (1,)),
        ("20241231230000+0000", (2,)),
    ):
        expected = [f"1.2.3.{STORED[number]}" for number in numbers]
        assert await found(index, Level.IMAGE, SingleValue(tag, key)) == expected
    assert await found(index, Level.SERIES, key="TimezoneOffsetFromUTC") == ["-0500"] * 4
    await index.stop()


async def test_instances_of_before_lack_metadata(path: Path) -> None:
    lay_out(path, 2)
    index = SqliteIndex(path)
    await index.start()
    prepared = index.prepared_metadata("1")
    found = await prepared.lacking(100)
    assert list(found.instances) == [make_record(n).instance for n in STORED]
    assert await prepared.keep([(i, b"{}") for i in found.instances], found.revision)
    assert not (await prepared.lacking(100)).instances
    await index.stop()
