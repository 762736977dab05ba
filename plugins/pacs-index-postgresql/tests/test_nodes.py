"""Several nodes with one index: they see each other's instances, and nothing is lost between."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from attrs import evolve
from pacs_index_postgresql.config import PostgresqlIndexConfig
from pacs_index_postgresql.index import PostgresqlIndex
from pacs_index_postgresql.outbox import QUIET

from pacs_core.contracts import IndexResult, Level, Query, SingleValue
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import found, make_record, path_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def other(
    index: PostgresqlIndex, settings: PostgresqlIndexConfig
) -> AsyncIterator[PostgresqlIndex]:
    """The index of another node."""
    other = PostgresqlIndex(settings)
    await other.start()
    yield other
    await other.stop()


@pytest.fixture
async def connection(index: PostgresqlIndex, server: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(server, server_settings={"search_path": "pacs"})
    yield connection
    await connection.close()


async def test_of_nodes_that_add_the_same_one_succeeds(
    index: PostgresqlIndex, other: PostgresqlIndex
) -> None:
    """Each instance, with other content from each node, in another order."""
    records = [make_record(f"{n % 3}.{n % 6}.{n}") for n in range(60)]
    theirs = [
        evolve(r, instance=evolve(r.instance, key=f"other/{n}")) for n, r in enumerate(records)
    ]
    one, two = await asyncio.gather(
        asyncio.gather(*map(index.add, records)),
        asyncio.gather(*map(other.add, reversed(theirs))),
    )
    pairs = zip(one, reversed(two), strict=True)
    assert all((mine.existing is None) != (his.existing is None) for mine, his in pairs)
    for node in (index, other):
        for n, record in enumerate(records):
            winner = record if one[n].existing is None else theirs[n]
            assert await node.locate(path_of(record)) == winner.instance
    assert [len(await found(other, level)) for level in Level] == [1, 3, 6, 60]


async def test_a_schema_of_before_gets_origins_while_a_node_of_before_writes(
    index: PostgresqlIndex,
    settings: PostgresqlIndexConfig,
    connection: asyncpg.Connection,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What it writes says nothing of who sent it; and no statement that it has prepared fails.

    Somebody dumps the tables meanwhile, which must not be altered then; and the node of before must
    not wait for that as well.
    """
    monkeypatch.setattr("pacs_index_postgresql.schema.LOCK_WAIT", "50ms")
    await index.add(make_record("1"))
    await connection.execute(
        "ALTER TABLE instance DROP COLUMN origin; ALTER TABLE change DROP COLUMN origin;"
        "UPDATE schema_version SET version = 1"
    )
    before = await connection.prepare(
        "WITH added AS (INSERT INTO instance (parent, header, twin, SOPInstanceUID, SOPClassUID, "
        "transfer_syntax_uid, object_key, size, dataset_offset) SELECT parent, header, 0, $1, "
        "SOPClassUID, transfer_syntax_uid, $1, size, dataset_offset FROM instance LIMIT 1 "
        "RETURNING SOPInstanceUID) "
        "INSERT INTO change (kind, time, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, "
        "SOPClassUID, transfer_syntax_uid, object_key, size, dataset_offset) "
        "SELECT 'added', 0, '1.2.3.1', '1.2.3.1.1', SOPInstanceUID, 'c', 't', 'k', 9, 4 FROM added"
    )
    written, done, goal, enough = 0, asyncio.Event(), 1_000_000, asyncio.Event()

    async def write() -> None:
        nonlocal written
        while not done.is_set():
            written += 1
            await before.fetch(f"1.2.3.1.1.{1000 + written}")
            await asyncio.sleep(0.005)
            if written == goal:
                enough.set()

    task = asyncio.create_task(write())
    newer = PostgresqlIndex(settings)
    dump = await asyncpg.connect(server, server_settings={"search_path": "pacs"})
    reading = dump.transaction()
    await reading.start()
    await dump.execute("LOCK TABLE instance IN ACCESS SHARE MODE")
    starting = asyncio.create_task(newer.start())
    try:
        while "somebody reads its tables" not in caplog.text:  # noqa: ASYNC110 it is logged there
            await asyncio.sleep(0.01)
        goal = written + 10
        await enough.wait()
        assert not starting.done()
        await reading.rollback()
        await starting
    finally:
        done.set()
        await task
        await dump.close()
    changes = await newer.change_log.changes(0, 10_000)
    assert len(changes) == written
    assert all(each.instance and each.instance.origin is None for each in changes)
    instances = [each async for each in newer.instances(Query(Level.IMAGE))]
    assert len(instances) == written + 1
    await newer.stop()


async def test_of_a_new_patient_there_is_one_whoever_brings_it(
    index: PostgresqlIndex, other: PostgresqlIndex
) -> None:
    """As in dcm4chee-arc-light issues 42, 3154 and 4990: its first studies arrive at once."""
    records = [make_record(f"{n}.1.1") for n in range(16)]
    await asyncio.gather(*((index, other)[n % 2].add(r) for n, r in enumerate(records)))
    assert await found(other, Level.PATIENT, key="NumberOfPatientRelatedStudies") == ["16"]


async def test_a_study_of_many_classes_and_long_text_is_kept_whole(index: PostgresqlIndex) -> None:
    """As in dcm4chee-arc-light issue 2452: what it shows has more than 255 characters."""
    classes = [f"1.2.840.10008.5.1.4.1.1.{n}" for n in range(40)]
    text = "ä" * 10_000
    await index.add_many(
        [
            make_record(f"1.1.{n}", SOPClassUID=each, StudyDescription=text)
            for n, each in enumerate(classes)
        ]
    )
    assert await found(index, Level.STUDY, key="StudyDescription") == [text]
    (shown,) = await found(index, Level.STUDY, key="SOPClassesInStudy")
    assert sorted(shown.split("\\")) == sorted(classes)
    condition = SingleValue(tag_of("StudyDescription"), text)
    assert await found(index, Level.STUDY, condition) == ["1.2.3.1"]


async def test_series_that_another_node_removed_is_made_again(
    index: PostgresqlIndex, other: PostgresqlIndex
) -> None:
    await index.add(make_record("1.1.1"))
    await other.remove(path_of(make_record("1.1.1")))
    await other.add(make_record("9.9.9"))
    assert (await index.add(make_record("1.1.2"))).existing is None
    assert sorted(await found(other, Level.SERIES)) == ["1.2.3.1.1", "1.2.3.9.9"]


async def test_nodes_add_and_remove_at_once(index: PostgresqlIndex, other: PostgresqlIndex) -> None:
    async def come_and_go(node: PostgresqlIndex, n: int) -> None:
        for _ in range(4):
            await node.add(make_record(f"1.1.{n}"))
            await node.remove(path_of(make_record(f"1.1.{n}")))

    await asyncio.gather(*(come_and_go((index, other)[n % 2], n) for n in range(10)))
    assert [await found(index, level) for level in Level] == [[], [], [], []]


async def test_no_change_appears_before_one_that_was_read(
    index: PostgresqlIndex, other: PostgresqlIndex, connection: asyncpg.Connection
) -> None:
    """A transaction that is slow to commit holds back the numbers of those after it."""
    log = index.change_log
    start = (await log.follow("test")).sequence
    await index.add(make_record("1.1.1"))
    await other.add(make_record("2.2.1"))
    async with connection.transaction():
        # A node that has its number, and has not committed yet.
        lock = "SELECT pg_advisory_xact_lock(classid::int, objid::int) FROM pg_locks LIMIT 0"
        await connection.execute(lock)
        await other_node_writes(connection)
        adding = asyncio.create_task(index.add(make_record("1.1.2")))
        await waits_for_a_lock(connection)
        assert [c.study_instance_uid for c in await log.changes(start, 9)] == ["1.2.3.1", "1.2.3.2"]
        assert not adding.done()
    assert (await adding).existing is None
    told = await log.changes(start, 9)
    assert [c.study_instance_uid for c in told] == ["1.2.3.1", "1.2.3.2", "slow", "1.2.3.1"]
    assert [c.sequence for c in told] == sorted(c.sequence for c in told)
    await log.unfollow("test")


async def other_node_writes(connection: asyncpg.Connection) -> None:
    from pacs_index_postgresql.locks import ORDER, take

    await take(connection, ORDER, "pacs")
    await connection.execute(
        "INSERT INTO change (kind, time, StudyInstanceUID) VALUES ('study-complete', 0, 'slow')"
    )


async def waits_for_a_lock(connection: asyncpg.Connection) -> None:
    """Wait until somebody waits for a lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while not await connection.fetchval(waiting):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_who_begins_to_follow_misses_nothing(
    index: PostgresqlIndex, other: PostgresqlIndex, connection: asyncpg.Connection
) -> None:
    """An addition that did not see the consumer has committed when following begins."""
    await index.add(make_record("1.1.1"))
    async with connection.transaction():
        # As an addition that is under way: it may write instances.
        await connection.execute("LOCK TABLE instance IN ROW EXCLUSIVE MODE")
        following = asyncio.create_task(index.change_log.follow("test", walked=False))
        await waits_for_a_lock(connection)
        assert not following.done()
    cursor = await following
    await other.add(make_record("1.1.2"))
    told = await other.change_log.changes(cursor.sequence, 9)
    assert [change.instance for change in told] == [make_record("1.1.2").instance]
    await index.change_log.unfollow("test")


async def test_a_correction_waits_for_those_who_have_not_seen_it(
    index: PostgresqlIndex, connection: asyncpg.Connection
) -> None:
    assert "SHARE" in QUIET
    async with connection.transaction():
        await connection.execute(QUIET)
        adding = asyncio.create_task(index.add(make_record("1.1.1")))
        await waits_for_a_lock(connection)
        await connection.execute("INSERT INTO correction VALUES (7, '{}', '', FALSE)")
        assert not adding.done()
    assert await adding == IndexResult()
    assert index.correction_log.seen == 7


async def test_a_search_does_not_depend_on_its_connection(
    index: PostgresqlIndex, connection: asyncpg.Connection
) -> None:
    """Between two batches all connections of the node are ended."""
    await index.add_many([make_record(f"1.1.{n}") for n in range(100)])
    results = index.search(Query(Level.IMAGE, (), frozenset({tag_of("SOPInstanceUID")})))
    await anext(results)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'pacs-core'"
    )
    assert len([result async for result in results]) == 99
    condition = SingleValue(tag_of("SOPInstanceUID"), "1.2.3.1.1.7")
    assert await found(index, Level.IMAGE, condition) == ["1.2.3.1.1.7"]
