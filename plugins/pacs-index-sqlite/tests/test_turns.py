"""Changes that need not be on disk yet: all of one turn of the event loop in one transaction."""

import sqlite3
import threading
from pathlib import Path

import anyio
import pytest
from pacs_index_sqlite import writer
from pacs_index_sqlite.errors import SqliteIndexError
from pacs_index_sqlite.index import SqliteIndex

from pacs_core.contracts import Durability, InstanceRecord
from pacs_core.testing.index_harness import make_record, uid_of

pytestmark = pytest.mark.anyio

RECORDS = [make_record(str(number)) for number in range(20)]


async def add(
    index: SqliteIndex, record: InstanceRecord, durability: Durability = Durability.NONE
) -> None:
    await index.add(record, durability=durability)


def read(path: Path) -> bytes:
    return path.read_bytes()


async def present(index: SqliteIndex) -> set[str]:
    paths = [record.instance.identity.path for record in RECORDS]
    found = [await index.locate(path) for path in paths]
    return {instance.identity.sop_instance_uid for instance in found if instance}


@pytest.mark.parametrize("durability", [Durability.NONE, Durability.WRITE_BEHIND])
async def test_what_comes_in_one_turn_is_one_transaction(
    index: SqliteIndex, durability: Durability
) -> None:
    statements: list[str] = []
    threads: set[str] = set()

    def note(statement: str) -> None:
        statements.append(statement)
        threads.add(threading.current_thread().name)

    index._opened.connections.writing.set_trace_callback(note)
    async with anyio.create_task_group() as tasks:
        for record in RECORDS:
            tasks.start_soon(add, index, record, durability)
    assert statements.count("COMMIT") == 1
    assert threads == {threading.current_thread().name}
    assert await present(index) == {*map(uid_of, RECORDS)}


async def test_the_loop_leaves_checkpoints_that_sync_to_the_thread(
    index: SqliteIndex, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_CHECKPOINT_PAGES", 10)
    await index.settle([RECORDS[0].instance.identity.path])  # made by the thread
    before = read(path)
    for record in RECORDS:
        await add(index, record, Durability.WRITE_BEHIND)
    assert path.with_name(f"{path.name}-wal").stat().st_size > 10 * 4096
    assert read(path) == before
    await index.settle([record.instance.identity.path for record in RECORDS])
    assert read(path) != before


async def test_the_same_instance_twice_in_one_turn(index: SqliteIndex) -> None:
    """The first is added, the second finds it."""
    results = []

    async def try_to_add() -> None:
        results.append(await index.add(RECORDS[0], durability=Durability.NONE))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(try_to_add)
        tasks.start_soon(try_to_add)
    assert [result.existing for result in results] == [None, RECORDS[0].instance]


async def test_what_fails_takes_nothing_with_it(index: SqliteIndex) -> None:
    async def fail() -> None:
        with pytest.raises(ZeroDivisionError):
            await index._change(lambda _: 1 // 0, Durability.NONE)

    async with anyio.create_task_group() as tasks:
        for number, record in enumerate(RECORDS):
            tasks.start_soon(add, index, record)
            if number == 10:
                tasks.start_soon(fail)
    assert await present(index) == {*map(uid_of, RECORDS)}


async def test_what_is_cancelled_in_its_turn_is_not_made(index: SqliteIndex) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await add(index, RECORDS[0])
    await add(index, RECORDS[1])
    assert await present(index) == {uid_of(RECORDS[1])}


async def test_nobody_waits_in_the_loop_for_another_who_writes(
    index: SqliteIndex, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with anyio.create_task_group() as tasks:
        for record in RECORDS:
            tasks.start_soon(add, index, record)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert await present(index) == set()
        other.execute("ROLLBACK")
    other.close()
    assert await present(index) == {*map(uid_of, RECORDS)}
    await add(index, make_record("21"))


async def test_what_has_come_when_it_stops_is_made(path: Path) -> None:
    index = SqliteIndex(path)
    await index.start()
    async with anyio.create_task_group() as tasks:
        for record in RECORDS:
            tasks.start_soon(add, index, record)
        await anyio.lowlevel.checkpoint()
        opened = index._opened
        await index.stop()
    with pytest.raises(SqliteIndexError, match="stopped"):
        await opened.writer.run(lambda _: None, Durability.NONE)
    await index.start()
    assert await present(index) == {*map(uid_of, RECORDS)}
    await index.stop()
