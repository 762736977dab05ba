"""The queue of the database, on the contract suite, over SQLite and PostgreSQL."""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from pacs_database.api import Database
from pacs_database.testing import new_database, open_database
from pacs_jobs.api import JobQueue, NewJob
from pacs_jobs.choosing import first_due, first_due_of_keys
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_jobs.table import JOBS
from pacs_jobs.testing import JobQueueContract
from sqlalchemy import Select, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

pytestmark = pytest.mark.anyio


@pytest.fixture
async def queue(database: Database) -> JobQueue:
    queue = DatabaseJobQueue(database)
    await queue.start()
    return queue


class TestDatabaseJobQueue(JobQueueContract):
    @pytest.fixture
    async def queue(self, queue: JobQueue) -> JobQueue:
        return queue

    @pytest.fixture
    async def other(
        self, queue: JobQueue, tmp_path: Path, database_url: str
    ) -> AsyncIterator[JobQueue]:
        async with open_database(tmp_path, database_url) as database:
            other = DatabaseJobQueue(database)
            await other.start()
            yield other


async def test_a_job_is_enqueued_in_the_transaction_of_its_cause(
    queue: JobQueue, database: Database
) -> None:
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE causes (name TEXT)"))

    async def cause(*, fail: bool) -> None:
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO causes VALUES ('x')"))
            await queue.enqueue(NewJob("a"), connection=connection)
            if fail:
                raise InterruptedError

    with pytest.raises(InterruptedError):
        await cause(fail=True)
    assert [job async for job in queue.jobs()] == []
    await cause(fail=False)
    assert len([job async for job in queue.jobs()]) == 1


async def test_a_worker_of_another_node_hears_at_once_of_a_job(
    queue: JobQueue, tmp_path: Path, database_url: str
) -> None:
    """Through PostgreSQL; a process that shares a SQLite file looks twice a second instead."""
    if not database_url:
        pytest.skip("SQLite tells nobody")
    async with open_database(tmp_path, database_url) as database:
        elsewhere = DatabaseJobQueue(database)
        with anyio.fail_after(60):
            await elsewhere.wait(1e6)  # it begins to listen, and may have missed something
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(elsewhere.wait, 1e6)
                number = await queue.enqueue(NewJob("a"))
            assert (await queue.find(number)).state == "waiting"
        await elsewhere.stop()


async def test_what_another_worker_enqueues_is_seen_at_the_next_look(
    queue: JobQueue, tmp_path: Path, database_url: str
) -> None:
    """Although nothing is read again as long as nobody has written."""
    assert await queue.next_due(["a", "b"]) is None
    async with open_database(tmp_path, database_url) as database:
        other = DatabaseJobQueue(database)
        await other.start()
        for kind in "ab":
            assert await queue.next_due([kind]) is None
            await other.enqueue(NewJob(kind))
            assert await queue.next_due([kind]) is not None
        leased = await other.lease(["a", "b"], "other", 60.0)
        assert leased is not None
        await other.complete(leased)
        assert await queue.next_due([leased.job.kind]) is None


async def test_a_look_without_news_reads_nothing(
    queue: JobQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.stamp is None:
        pytest.skip("this database cannot tell without being asked")
    await queue.enqueue(NewJob("a"))
    due = await queue.next_due(["a"])
    monkeypatch.setattr(type(database), "connect", None)
    assert await queue.next_due(["a"]) == due


async def test_a_job_is_done_in_the_transaction_of_its_effect(
    queue: JobQueue, database: Database
) -> None:
    number = await queue.enqueue(NewJob("a"))
    leased = await queue.lease(["a"], "worker", 60.0)
    assert leased is not None

    async def work() -> None:
        async with database.begin() as connection:
            await queue.complete(leased, connection=connection)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await work()
    assert (await queue.find(number)).state == "running"


@pytest.mark.parametrize("key", ["", "down"])
@pytest.mark.parametrize("choose", [first_due, first_due_of_keys])
async def test_many_waiting_jobs_are_not_read_through(
    tmp_path: Path, choose: Callable[[str, float], Select[Any]], key: str
) -> None:
    """As SQLite counts its steps: with a hundred times the jobs about as many."""
    async with open_database(tmp_path) as database:
        queue = DatabaseJobQueue(database)
        await queue.start()
        if key:
            await queue.enqueue(NewJob("a", key=key))
            await queue.lease(["a"], "worker", 60.0)
        file = tmp_path / "database.sqlite"
        few = await _count_steps(queue, database, file, choose, key, 100)
        many = await _count_steps(queue, database, file, choose, key, 10_000)
    assert many <= 2 * few + 10, (few, many)


async def test_a_hundred_thousand_waiting_jobs_cost_postgresql_nothing(
    tmp_path: Path, postgresql_url: str
) -> None:
    """As it counts the pages that it looks at to find the next job, also of what is held up."""
    async with open_database(tmp_path, await new_database(postgresql_url)) as database:
        queue = DatabaseJobQueue(database)
        await queue.start()
        await queue.enqueue(NewJob("held", key="down"))
        await queue.lease(["held"], "worker", 60.0)
        few = await _count_pages(queue, database, 50)
        many = await _count_pages(queue, database, 50_000)
    # The table has thousands; what grows is the depth of indexes, for the first twenty of a kind.
    assert all(many[each] <= few[each] + 150 for each in few), (few, many)


async def _count_pages(queue: JobQueue, database: Database, jobs: int) -> dict[str, int]:
    """Let so many jobs of two kinds wait, and return what it takes to find the next of each."""
    columns = ", ".join(each.name for each in JOBS.columns if each.name != "number")
    found = {}
    for kind, key in (("free", ""), ("held", "down")):
        number = await queue.enqueue(NewJob(kind, key=key))
        async with database.begin() as connection:
            await connection.execute(
                text(
                    f"INSERT INTO jobs ({columns}) SELECT {columns} FROM jobs, "
                    "generate_series(1, :count) WHERE number = :number"
                ),
                {"count": jobs, "number": number},
            )
            due = await connection.scalar(select(JOBS.c.due).where(JOBS.c.number == number))
            await connection.execute(text("ANALYZE jobs"))
            for choose in (first_due, first_due_of_keys):
                statement = choose(kind, due + 1).compile(
                    dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
                )
                explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
                text_or_json = (await connection.exec_driver_sql(explain)).scalar_one()
                is_text = isinstance(text_or_json, str)
                (plan,) = json.loads(text_or_json) if is_text else text_or_json
                assert plan["Plan"]["Actual Rows"] == (not key)
                pages = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
                found[f"{kind} {choose.__name__}"] = pages
    return found


async def _count_steps(
    queue: JobQueue,
    database: Database,
    file: Path,
    choose: Callable[[str, float], Select[Any]],
    key: str,
    jobs: int,
) -> int:
    """Let so many jobs wait, and return how many hundreds of steps it takes to find the next."""
    number = await queue.enqueue(NewJob("a", key=key))
    async with database.begin() as connection:
        row = (await connection.execute(select(JOBS).where(JOBS.c.number == number))).one()
        values = {name: value for name, value in row._mapping.items() if name != "number"}
        await connection.execute(insert(JOBS), [values] * jobs)
        await connection.execute(insert(JOBS), values | {"kind": "b"})
    statement = choose("a", row.due + 1).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    with closing(sqlite3.connect(file)) as connection:
        connection.set_progress_handler(count, 100)
        found = connection.execute(str(statement)).fetchall()
    assert len(found) == (not key)
    return steps


async def test_a_clock_that_was_set_back_keeps_nothing_waiting(
    queue: JobQueue, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """What was enqueued, or leased, while it was a day ahead is done now, and not in a day."""
    now = datetime.now(UTC)
    at_once, later = await queue.enqueue(NewJob("a")), await queue.enqueue(NewJob("b"))
    moment = now + timedelta(days=1, hours=3)
    nightly = NewJob("c", due=moment, idempotency_key=f"schedule c {moment.isoformat()}")
    scheduled, held = await queue.enqueue(nightly), await queue.enqueue(NewJob("d"))
    assert (await queue.lease(["d"], "w", 60)) is not None
    failed = await queue.enqueue(NewJob("e"))
    tried = await queue.lease(["e"], "w", 60)
    assert tried is not None
    await queue.fail(tried, "away", now + timedelta(days=1))
    ahead = JOBS.c.created + 86_400
    async with database.begin() as connection:
        for statement in (
            update(JOBS).where(JOBS.c.number.not_in((held, failed))).values(created=ahead),
            update(JOBS).where(JOBS.c.number == at_once).values(due=JOBS.c.created),
            update(JOBS).where(JOBS.c.number == later).values(due=JOBS.c.created + 600),
            update(JOBS).where(JOBS.c.number == held).values(leased_until=ahead + 60),
        ):
            await connection.execute(statement)
    assert await queue.lease(["a", "b", "c", "d"], "w", 60) is None
    await queue.heed_clock(60, {"e": 300})
    assert "2 jobs were enqueued in what is the future now" in caplog.text
    leased = await queue.lease(["a", "b", "c", "d"], "w", 60)
    assert leased is not None
    assert leased.job.number == at_once
    due = {job.number: job.due - now async for job in queue.jobs()}
    assert timedelta(minutes=9) < due[later] < timedelta(minutes=11)
    assert timedelta(minutes=4) < due[failed] < timedelta(minutes=6)
    assert due[scheduled] == timedelta(days=1, hours=3)
    async with database.connect() as connection:
        until = select(JOBS.c.leased_until).where(JOBS.c.number == held)
        ends = (await connection.execute(until)).scalar_one()
    assert 0 < ends - now.timestamp() < 120
    caplog.clear()
    await queue.heed_clock(60, {"e": 300})
    assert not caplog.records
