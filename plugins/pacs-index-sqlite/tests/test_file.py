"""The file: its schema's versions, further attributes, and what is said when it fails."""

import re
import sqlite3
from pathlib import Path

import pytest
from pacs_index_sqlite import SqliteIndexConfig, create
from pacs_index_sqlite.config import FurtherAttribute
from pacs_index_sqlite.conflicts import DEMOGRAPHICS
from pacs_index_sqlite.errors import CorruptIndexError, NewerSchemaError, SqliteIndexError
from pacs_index_sqlite.index import SqliteIndex
from pacs_index_sqlite.schema import STEPS, prepare

from pacs_core.contracts import Level, NodeSettings, Setup, SingleValue, StorageFullError
from pacs_core.dataset import tag_of
from pacs_core.relational import Catalog, build_catalog
from pacs_core.testing.index_harness import found, make_record, path_of

pytestmark = pytest.mark.anyio


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


async def test_fresh_file_has_the_latest_version(index: SqliteIndex, path: Path) -> None:
    assert version(path) == len(STEPS)


async def test_steps_run_once_and_in_order_and_keep_what_is_there(path: Path) -> None:
    def add_column(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE study ADD COLUMN priority TEXT")

    def fill_column(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE study SET priority = StudyInstanceUID")

    index = SqliteIndex(path)
    await index.start()
    await index.add(make_record())
    await index.stop()
    steps = (*STEPS, add_column, fill_column)
    connection = sqlite3.connect(path, isolation_level=None)
    for _ in range(2):
        prepare(connection, build_catalog(), path, steps)
    assert connection.execute("SELECT priority FROM study").fetchall() == [("1.2.3.1",)]
    connection.close()
    assert version(path) == len(steps)


def test_a_new_file_is_like_one_that_got_its_columns_later(path: Path) -> None:
    """Columns are added one by one, or come with their table, to the same schema."""
    full, schemas = build_catalog(), []
    needed = {t: a for t, a in full.attributes.items() if {*a.columns} & {*DEMOGRAPHICS.values()}}
    assert 0 < len(needed) < len(full.attributes)
    for catalogs in ([full], [Catalog(needed), full]):
        connection = sqlite3.connect(":memory:", isolation_level=None)
        for catalog in catalogs:
            prepare(connection, catalog, path)
        schemas.append(connection.execute("SELECT * FROM sqlite_master").fetchall())
        connection.close()
    new, widened = (
        {(kind, name): sorted(re.split(r",\s*", sql or "")) for kind, name, _, _, sql in each}
        for each in schemas
    )
    assert new == widened


async def test_failing_step_changes_nothing(index: SqliteIndex, path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE several")
        raise RuntimeError("half-way")

    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(RuntimeError, match="half-way"):
        prepare(connection, build_catalog(), path, (*STEPS, half))
    assert connection.execute("SELECT count(*) FROM several").fetchone() == (0,)
    connection.close()
    assert version(path) == len(STEPS)


async def test_newer_schema_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    index = SqliteIndex(path)
    with pytest.raises(NewerSchemaError, match="schema version 99"):
        await index.start()
    await index.stop()


def overwrite(path: Path, start: int, filler: bytes) -> None:
    content = path.read_bytes() if path.exists() else bytes(16_384)
    path.write_bytes(content[:start] + filler * (len(content) - start))


async def test_file_that_is_no_database(path: Path) -> None:
    overwrite(path, 0, b"x")
    index = SqliteIndex(path)
    with pytest.raises(CorruptIndexError, match="pacs index rebuild"):
        await index.start()
    await index.stop()


async def test_damage_is_named(index: SqliteIndex, path: Path) -> None:
    for n in range(200):
        await index.add(make_record(f"{n}.1.1"))
    await index.stop()
    overwrite(path, 4096, b"\xa5")
    damaged = SqliteIndex(path)
    with pytest.raises(CorruptIndexError, match=r"index\.sqlite .*pacs index rebuild"):
        await damaged.start()
    await damaged.stop()


async def test_full_disk(index: SqliteIndex) -> None:
    await index.add(make_record("1.1.1"))
    connection = index._opened.connections.writing
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    big = make_record("2.1.1", StudyDescription="x" * 1_000_000)
    with pytest.raises(StorageFullError, match="no room left"):
        await index.add(big)
    connection.execute("PRAGMA max_page_count = 1000000")
    assert (await index.add(big)).existing is None
    assert await found(index, Level.STUDY) == ["1.2.3.1", "1.2.3.2"]


async def test_further_attribute_is_matched_and_returned(path: Path) -> None:
    plain = SqliteIndex(path)
    await plain.start()
    await plain.add(make_record("1.1.1"))
    await plain.stop()
    further = (FurtherAttribute("StudyComments", "study", indexed=True),)
    index = SqliteIndex(path, SqliteIndexConfig(attributes=further))
    tag = tag_of("StudyComments")
    assert tag in index.wanted_tags
    assert tag in index.searchable_tags(Level.STUDY) - plain.searchable_tags(Level.STUDY)
    await index.start()
    await index.add(make_record("2.1.1", StudyComments="urgent\\now"))
    condition = SingleValue(tag, "urgent\\now")
    assert await found(index, Level.STUDY, condition, key="StudyComments") == ["urgent\\now"]
    await index.stop()


@pytest.mark.parametrize("keyword", ["PatientName", "ModalitiesInStudy", "PixelData"])
def test_further_attribute_that_makes_no_sense(keyword: str, path: Path) -> None:
    further = (FurtherAttribute(keyword, "study"),)
    with pytest.raises(ValueError, match=keyword):
        SqliteIndex(path, SqliteIndexConfig(attributes=further))


async def test_condition_on_an_unknown_attribute(index: SqliteIndex) -> None:
    with pytest.raises(ValueError, match="does not hold PatientState"):
        await found(index, Level.STUDY, SingleValue(tag_of("PatientState"), "x"))


async def test_use_before_start(path: Path) -> None:
    with pytest.raises(SqliteIndexError, match=r"start\(\)"):
        await SqliteIndex(path).add(make_record())


async def test_default_place_is_the_data_directory(tmp_path: Path) -> None:
    settings = NodeSettings(data_directory=tmp_path / "data")
    index = create(Setup(settings, {SqliteIndexConfig: SqliteIndexConfig()}))
    await index.start()
    await index.add(make_record())
    await index.stop()
    again = create(Setup(settings, {SqliteIndexConfig: SqliteIndexConfig()}))
    await again.start()
    assert await again.locate(path_of(make_record())) == make_record().instance
    await again.stop()
    assert (tmp_path / "data" / "index.sqlite").exists()
