"""How far a commit waits for the disk, as the most demanding change in it asks."""

import shutil
from pathlib import Path
from typing import Literal

import anyio
import pytest
from pacs_index_sqlite.config import SqliteIndexConfig
from pacs_index_sqlite.index import SqliteIndex

from pacs_core.contracts import Durability, InstancePath, InstanceRecord
from pacs_core.testing.index_harness import make_record, uid_of

pytestmark = pytest.mark.anyio

OFF, NORMAL, FULL = range(3)


def level(index: SqliteIndex) -> int:
    found: int = index._opened.connections.writing.execute("PRAGMA synchronous").fetchone()[0]
    return found


async def levels(path: Path, synchronous: Literal["full", "normal", "off"]) -> list[int]:
    """Add under each durability, settle, and return the level of each commit."""
    index = SqliteIndex(path / "index.sqlite", SqliteIndexConfig(synchronous=synchronous))
    await index.start()
    found = []
    for number, durability in enumerate(Durability):
        await index.add(make_record(str(number)), durability=durability)
        found.append(level(index))
    await index.settle([InstancePath("1.2", "1.2.3")])
    found.append(level(index))
    await index.stop()
    return found


async def test_each_durability_has_its_level(tmp_path: Path) -> None:
    assert await levels(tmp_path, "full") == [FULL, NORMAL, OFF, FULL]


async def test_the_configured_level_is_the_most(tmp_path: Path) -> None:
    assert await levels(tmp_path, "normal") == [NORMAL, NORMAL, OFF, NORMAL]
    assert await levels(tmp_path, "off") == [OFF] * 4


async def test_what_is_written_behind_outlives_the_process(tmp_path: Path) -> None:
    """A copy of the files is what another process finds after a kill."""
    index = SqliteIndex(tmp_path / "index.sqlite")
    await index.start()
    records = [make_record(str(number)) for number in range(50)]
    async with anyio.create_task_group() as tasks:
        for record in records:
            tasks.start_soon(add_behind, index, record)
    copy_files(tmp_path, tmp_path / "killed")
    await index.stop()
    survivor = SqliteIndex(tmp_path / "killed" / "index.sqlite")
    await survivor.start()
    found = {i.identity.sop_instance_uid: i async for i in survivor.unflushed()}
    assert found == {uid_of(record): record.instance for record in records}
    await survivor.stop()


def copy_files(source: Path, target: Path) -> None:
    target.mkdir()
    for file in source.glob("index.sqlite*"):
        shutil.copy(file, target)


async def add_behind(index: SqliteIndex, record: InstanceRecord) -> None:
    await index.add(record, durability=Durability.WRITE_BEHIND)
