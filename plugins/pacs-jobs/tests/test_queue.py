"""The queue of the database, on the contract suite, over SQLite and PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pacs_database.api import Database
from pacs_database.testing import open_database
from pacs_jobs.api import JobQueue, NewJob
from pacs_jobs.database_queue import DatabaseJobQueue, _earliest, _first_due
from pacs_jobs.testing import JobQueueContract
from sqlalchemy import Select, text
from sqlalchemy.dialects import sqlite

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


@pytest.mark.parametrize("statement", [_earliest("a"), _first_due("a", 1.0)])
async def test_many_waiting_jobs_are_not_read_through(
    tmp_path: Path, statement: Select[Any]
) -> None:
    """The plans of SQLite: an index for each kind, and no sort."""
    async with open_database(tmp_path) as database:
        await DatabaseJobQueue(database).start()
        query = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        async with database.connect() as connection:
            rows = await connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))
            plan = [row.detail for row in rows]
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in plan), plan
    assert any("jobs_waiting" in step or "jobs_due" in step for step in plan), plan
