"""The log of corrections: seen by every process, migrated, and kept when the index is replaced."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve
from pacs_index_sqlite.correction_log import TABLES
from pacs_index_sqlite.index import SqliteIndex
from pacs_index_sqlite.schema import STEPS

from pacs_core.contracts import ChangeKind, Level, Query
from pacs_core.testing.index_changes import kept
from pacs_core.testing.index_corrections import correct, make_correction
from pacs_core.testing.index_harness import found, make_record, path as path_of

pytestmark = pytest.mark.anyio


async def opened(path: Path) -> SqliteIndex:
    index = SqliteIndex(path)
    await index.start()
    return index


async def test_a_correction_of_another_process_is_seen_with_the_next_instance(path: Path) -> None:
    one, other = await opened(path), await opened(path)
    await one.correction_log.add(make_correction(3))
    assert other.correction_log.seen == 0
    await other.add(make_record("1"))
    assert other.correction_log.seen == 3
    assert list(await other.correction_log.corrections()) == [make_correction(3)]
    for index in (one, other):
        await index.stop()


async def test_a_file_of_before_has_no_corrections_and_can_have_some(path: Path) -> None:
    index = await opened(path)
    await index.add(make_record("1"))
    await index.change_log.follow("a")
    await index.add(make_record("2"))
    await index.stop()
    before = [step.__module__.rpartition(".")[2] for step in STEPS].index("correction_log")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX instance_corrected")
        connection.execute("DROP TABLE lease")  # what a later step makes
        connection.execute("DROP TABLE correction")
        for table in ("instance", "change"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN corrections")
            connection.execute(f"ALTER TABLE {table} DROP COLUMN origin")  # a later step, too
        connection.execute(f"PRAGMA user_version = {before}")
        connection.commit()
    assert len(TABLES) == 4
    index = await opened(path)
    assert [i.corrections async for i in index.instances(Query(Level.IMAGE))] == [(), ()]
    await index.correction_log.add(make_correction(1))
    await index.replace(correct(make_record("1"), 1))
    assert [i.corrections async for i in index.corrected()] == [(1,)]
    kinds = [change.kind for change in await kept(index.change_log)]
    assert kinds == [ChangeKind.ADDED, ChangeKind.UPDATED]
    await index.stop()


async def test_what_is_corrected_while_the_index_is_built_is_so_in_the_new_one(path: Path) -> None:
    index = await opened(path)
    await index.correction_log.add(make_correction(1))
    await index.correction_log.settle(1)
    await index.add(make_record("1"))
    await index.add(make_record("2"))
    async with index.rebuilding() as rebuild:
        # What the store has of the log: not whether it was settled.
        await rebuild.index.correction_log.add(make_correction(1))
        await rebuild.index.add(make_record("1"))
        await rebuild.index.add(make_record("2"))
        await index.correction_log.add(make_correction(2))
        await index.replace(correct(make_record("1"), 2))
        changed = {}
        async for where, served in rebuild.changes():
            log = await rebuild.index.correction_log.corrections()
            assert [entry.number for entry in log] == [1, 2]
            changed[where] = served
            await rebuild.index.replace(evolve(correct(make_record("1"), 2), instance=served))
        assert set(changed) == {path_of("1")}
    entries = await index.correction_log.corrections()
    assert [(entry.number, entry.is_settled) for entry in entries] == [(1, True), (2, False)]
    assert sorted(await found(index, Level.PATIENT)) == ["P1", "P2"]
    await index.add(make_record("3"))
    assert index.correction_log.seen == 2
    await index.stop()
