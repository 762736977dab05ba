"""The writer: one task that commits together whatever has gathered."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

import asyncpg
from attrs import define, field

from pacs_core.contracts import Durability, IndexResult, InstanceRecord
from pacs_index_postgresql.changes import Changes, PlacedRecord
from pacs_index_postgresql.errors import TRANSIENT, UNDONE, PostgresqlIndexError
from pacs_index_postgresql.insertion import synchronous_commit
from pacs_index_postgresql.server import Server
from pacs_index_postgresql.transaction import Transaction

# Theory of operation
#
# What a commit costs is the flush of the server's log and the way there and back, not the rows. So
# one task of each node writes, and all changes that have gathered while it was busy go together.
# Nobody waits for a batch to fill: with little load a batch is one change, with much it is many.
#
#   1. Additions to series that are known go first: one statement for all, which is a transaction.
#   2. What is left (the first instance of a series, a UID that is taken, replacing, removing) goes
#      into one transaction. If a change fails, that is rolled back, and each is made alone, so that
#      only the one that fails fails.
#
# A connection that is lost leaves the transaction or does not; the node may not have heard which.
# Adding again is harmless: if what is there then is the very record, it was this node that added
# it, for the key of its object is nobody else's. Other changes are not made again once their commit
# was on its way.

Result = TypeVar("Result")
Work = Callable[[Transaction], Awaitable[Any]]

_STRENGTH = (Durability.NONE, Durability.WRITE_BEHIND, Durability.COMMIT)


@define(eq=False)
class _Job:
    """A change: records to add, or other work."""

    future: "asyncio.Future[Any]"
    durability: Durability
    records: Sequence[InstanceRecord] = ()
    work: Work | None = None
    results: dict[int, IndexResult] = field(factory=dict)


@define(eq=False)
class IndexWriter:
    """Makes changes one batch after another."""

    _server: Server
    _changes: Changes
    _limit: int
    _queue: deque[_Job] = field(factory=deque, init=False)
    _filled: asyncio.Event = field(factory=asyncio.Event, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)
    _in_doubt: bool = field(default=False, init=False)

    async def add(
        self, records: Sequence[InstanceRecord], durability: Durability
    ) -> list[IndexResult]:
        """Add instances."""
        return cast(list[IndexResult], await self._put(durability, records=records))

    async def run(self, work: Work, durability: Durability = Durability.COMMIT) -> Any:
        """Make a change in a transaction; it is committed when this returns."""
        return await self._put(durability, work=work)

    async def _put(self, durability: Durability, **what: Any) -> Any:
        if self._closed:
            raise PostgresqlIndexError("the index is stopped")
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="index-writer")
        future = asyncio.get_running_loop().create_future()
        self._queue.append(_Job(future, durability, **what))
        self._filled.set()
        return await future

    async def close(self) -> None:
        """Finish what is queued and end the task."""
        self._closed = True
        self._filled.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._queue or not self._closed:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                await self._commit(self._gather())

    def _gather(self) -> list[_Job]:
        jobs: list[_Job] = []
        size = 0
        while self._queue and (not jobs or size < self._limit):
            job = self._queue.popleft()
            if not job.future.cancelled():
                jobs.append(job)
                size += max(len(job.records), 1)
        return jobs

    async def _commit(self, jobs: list[_Job]) -> None:
        try:
            if any(job.records for job in jobs):
                await self._add_known(jobs)
            if left := [job for job in jobs if not _settle(job)]:
                await self._transact(left)
        except Exception as error:
            self._changes.forget()
            for job in jobs:
                _fail(job, error)
        finally:
            self._in_doubt = False

    async def _add_known(self, jobs: list[_Job]) -> None:
        """Add to series that are known; whatever does not fit in is left."""
        placed: dict[str, tuple[_Job, int, PlacedRecord]] = {}
        for job in jobs:
            for number, record in enumerate(job.records):
                uid = record.instance.identity.sop_instance_uid
                if uid not in placed and (
                    found := self._changes.place_known(record, job.durability)
                ):
                    placed[uid] = (job, number, found)
        if not placed:
            return
        durability = max((job.durability for job, _, _ in placed.values()), key=_STRENGTH.index)
        rows = [found for _, _, found in placed.values()]
        doubt = False

        async def insert(connection: Any) -> set[str]:
            nonlocal doubt
            try:
                return await self._changes.insert(connection, rows, durability)
            except asyncpg.ForeignKeyViolationError:
                self._changes.forget()  # another node has removed a series: the long way
                return set()
            except TRANSIENT as error:
                doubt = not isinstance(error, UNDONE)
                raise

        try:
            inserted = await self._server.run(insert, may_repeat=lambda: not doubt)
        except Exception as error:
            if not doubt and not isinstance(error.__cause__, asyncpg.DataError):
                raise
            # The long way tells whether they are there, or which of them does not fit.
            self._in_doubt = self._in_doubt or doubt
            return
        for uid in inserted:
            job, number, _ = placed[uid]
            job.results[number] = IndexResult()

    async def _transact(self, jobs: list[_Job]) -> None:
        """Make changes in one transaction, or each alone if one of them fails."""
        try:
            outcomes = await self._attempt(jobs)
        except Exception as error:
            if len(jobs) == 1:
                self._changes.forget()
                _fail(jobs[0], error)
                return
            for job in jobs:
                await self._transact([job])
            return
        for job, outcome in zip(jobs, outcomes, strict=True):
            if not job.future.done():
                job.future.set_result(outcome)

    async def _attempt(self, jobs: list[_Job]) -> list[Any]:
        durability = max((job.durability for job in jobs), key=_STRENGTH.index)
        only_adds = all(job.work is None for job in jobs)
        committing = False

        async def work(connection: Any) -> list[Any]:
            nonlocal committing
            self._in_doubt = self._in_doubt or committing
            committing = False
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(
                    f"SET LOCAL synchronous_commit = {synchronous_commit(durability)}"
                )
                changes = await self._changes.begin(connection)
                outcomes = [await self._make(job, changes) for job in jobs]
            except BaseException:
                with suppress(Exception):  # the connection may be gone
                    await transaction.rollback()
                raise
            committing = True
            await transaction.commit()
            committing = False
            changes.remember()
            return outcomes

        return await self._server.run(work, may_repeat=lambda: only_adds or not committing)

    async def _make(self, job: _Job, changes: Transaction) -> Any:
        if job.work is not None:
            return await job.work(changes)
        results = []
        for number, record in enumerate(job.records):
            result = job.results.get(number) or await changes.add(record, job.durability)
            if self._in_doubt and result.existing == record.instance:
                result = IndexResult()
            results.append(result)
        return results


def _settle(job: _Job) -> bool:
    """Deliver the results of a job if all its records are added."""
    if job.work is not None or len(job.results) < len(job.records):
        return False
    if not job.future.done():
        job.future.set_result([job.results[n] for n in range(len(job.records))])
    return True


def _fail(job: _Job, error: Exception) -> None:
    if not job.future.done():
        job.future.set_exception(error)
