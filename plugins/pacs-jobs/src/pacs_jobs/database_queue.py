"""The queue in a table of the site's database, SQLite or PostgreSQL.

Theory of operation
-------------------
A lease is a row in the state ``running`` with a token and a time. Nobody watches it: who looks
for work first takes back what others have let run out. So a queue without workers costs nothing,
and a worker that was suspended for longer than its lease finds its token gone at its next word.

Two things keep two workers from one job. On SQLite there is one writer at a time. On PostgreSQL
the row is locked as it is read, and rows that others have locked are passed over (SKIP LOCKED).
That one key runs once is said by a unique index on the running rows: of two workers that pick two
jobs of one key, one gets an error from it, and looks again.

How the next job is found where a hundred thousand wait is said in :mod:`pacs_jobs.choosing`.
"""

import json
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from attrs import define, evolve, field, frozen
from pacs_database.api import Database, DatabaseConnection, Listener
from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    case,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from pacs_core.contracts import current_correlation
from pacs_jobs.choosing import RUNNING, WAITING, first_due, first_due_of_keys, first_moments
from pacs_jobs.jobs import SCHEDULED, Job, JobState, NewJob, Progress
from pacs_jobs.queue import JobBacklog, JobFilter, JobQueue, LeasedJob, LeaseLostError
from pacs_jobs.table import JOBS, current_time, job_of

logger = logging.getLogger(__name__)

_CLOCK_TOLERANCE: Final = 5.0
"""Seconds by which clocks of nodes that share a database on disk differ."""
_ENDED: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
_CHANNEL: Final = "pacs_jobs"
_PAGE = 500
_LOST = "its worker did not finish it and is not heard of"
_LONGEST_ERROR = 2000
_COMBINATIONS: Final = 16
_LOOK_ANYHOW: Final = 5.0
"""Seconds after which jobs are looked for although nobody seems to have written."""

MAX_ARGUMENTS = 64 << 10
"""Bytes of a job's arguments as JSON."""


@frozen
class _Seen:
    """What was seen of the jobs of some kinds, and until when that is believed."""

    stamp: object
    until: float
    moment: float | None


@define(eq=False)
class DatabaseJobQueue(JobQueue):
    """The queue of all who share a database."""

    database: Database
    _opened: AsyncExitStack = field(factory=AsyncExitStack, init=False)
    _listener: Listener | None = field(default=None, init=False)
    _seen: dict[frozenset[str], _Seen] = field(factory=dict, init=False)

    async def start(self) -> None:
        """Make the table what this version expects."""
        await self.database.migrate("jobs", "pacs_jobs.revisions")

    async def stop(self) -> None:
        """Listen no more."""
        await self._opened.aclose()

    async def enqueue(self, job: NewJob, *, connection: DatabaseConnection | None = None) -> int:
        """Add a job, in the caller's transaction if it gives one.

        Raises
        ------
        ValueError
            The arguments are no JSON, or too long.
        """
        arguments = _to_json(job)
        correlation = current_correlation()
        async with self._within(connection) as transaction:
            now = await current_time(transaction)
            values = {
                "kind": job.kind,
                "arguments": arguments,
                "priority": job.priority,
                "key": job.key,
                "idempotency_key": job.idempotency_key or None,
                "state": JobState.WAITING,
                "due": now if job.due is None else job.due.timestamp(),
                "attempts": 0,
                "done": 0,
                "total": 0,
                "note": "",
                "error": "",
                "worker": "",
                "token": "",
                "created": now,
                "cancel_requested": False,
                "correlation": correlation.id,
                "trace_parent": correlation.trace_parent,
            }
            added = await transaction.execute(
                self.database.insert(JOBS)
                .values(values)
                .on_conflict_do_nothing(index_elements=["idempotency_key"])
                .returning(JOBS.c.number)
            )
            number = added.scalar_one_or_none()
            if number is None:
                known = select(JOBS.c.number).where(JOBS.c.idempotency_key == job.idempotency_key)
                number = (await transaction.execute(known)).scalar_one()
            await self.database.notify(transaction, _CHANNEL)
        return int(number)

    async def lease(self, kinds: Collection[str], worker: str, seconds: float) -> LeasedJob | None:
        """Take the next job that is due, or None."""
        while True:
            try:
                async with self.database.begin() as connection:
                    return await self._lease(connection, kinds, worker, seconds)
            except IntegrityError:
                continue  # another worker has begun a job with the same key just now

    async def _lease(
        self, connection: DatabaseConnection, kinds: Collection[str], worker: str, seconds: float
    ) -> LeasedJob | None:
        now = await current_time(connection)
        await self._take_back(connection, now)
        heads = [row for kind in kinds if (row := await _find_next(connection, kind, now))]
        if not heads:
            return None
        row = min(heads, key=lambda row: (-row.priority, row.due, row.number))
        taken = {
            "state": JobState.RUNNING,
            "attempts": row.attempts + 1,
            "worker": worker,
            "token": uuid4().hex,
            "leased_until": now + seconds,
        }
        await connection.execute(update(JOBS).where(JOBS.c.number == row.number).values(taken))
        job = evolve(job_of(row), state=JobState.RUNNING, attempts=row.attempts + 1, worker=worker)
        return LeasedJob(job, str(taken["token"]))

    @staticmethod
    async def _take_back(connection: DatabaseConnection, now: float) -> None:
        """Let jobs wait whose leases are over; cancel those that were to be cancelled."""
        cancelled = JOBS.c.cancel_requested
        await connection.execute(
            update(JOBS)
            .where(JOBS.c.state == RUNNING, JOBS.c.leased_until < now)
            .values(
                state=case((cancelled, JobState.CANCELLED), else_=JobState.WAITING),
                ended=case((cancelled, now), else_=None),
                token="",
                leased_until=None,
                error=_LOST,
            )
        )

    async def heartbeat(
        self, leased: LeasedJob, seconds: float, progress: Progress | None = None
    ) -> bool:
        """Hold a job for longer; return whether somebody asked to cancel it."""
        async with self.database.begin() as connection:
            now = await current_time(connection)
            values: dict[str, Any] = {"leased_until": now + seconds}
            if progress is not None:
                values |= {"done": progress.done, "total": progress.total, "note": progress.note}
            held = update(JOBS).where(_holds(leased)).values(values)
            row = (await connection.execute(held.returning(JOBS.c.cancel_requested))).one_or_none()
            if row is None:
                raise LeaseLostError(f"job {leased.job.number} is no longer held")
            return bool(row.cancel_requested)

    async def complete(
        self, leased: LeasedJob, *, connection: DatabaseConnection | None = None
    ) -> None:
        """Note that a job is done."""
        async with self._within(connection) as transaction:
            await self._end(transaction, leased, JobState.SUCCEEDED, error="")

    async def fail(self, leased: LeasedJob, error: str, retry_at: datetime | None) -> None:
        """Note that an attempt failed."""
        error = error[:_LONGEST_ERROR]
        async with self.database.begin() as connection:
            if retry_at is None:
                await self._end(connection, leased, JobState.FAILED, error=error)
            else:
                await self._wait_again(connection, leased, error=error, due=retry_at.timestamp())

    async def release(self, leased: LeasedJob) -> None:
        """Give a job back as if it had not been begun."""
        async with self.database.begin() as connection:
            attempts = leased.job.attempts - 1
            await self._wait_again(connection, leased, attempts=attempts)

    async def _end(
        self, connection: DatabaseConnection, leased: LeasedJob, state: JobState, **values: Any
    ) -> None:
        ended = await current_time(connection)
        await self._give_up_lease(connection, leased, {"state": state, "ended": ended, **values})

    async def _wait_again(
        self, connection: DatabaseConnection, leased: LeasedJob, **values: Any
    ) -> None:
        """Let it wait, unless somebody has asked to cancel it meanwhile."""
        now, cancelled = await current_time(connection), JOBS.c.cancel_requested
        state = case((cancelled, JobState.CANCELLED), else_=JobState.WAITING)
        ended = case((cancelled, now), else_=None)
        await self._give_up_lease(connection, leased, {"state": state, "ended": ended, **values})

    @staticmethod
    async def _give_up_lease(
        connection: DatabaseConnection, leased: LeasedJob, values: dict[str, Any]
    ) -> None:
        values = {"token": "", "leased_until": None, **values}
        result = await connection.execute(update(JOBS).where(_holds(leased)).values(values))
        if result.rowcount == 0:
            raise LeaseLostError(f"job {leased.job.number} is no longer held")

    async def cancel(self, number: int) -> Job:
        """Cancel a job, or ask its worker to."""
        async with self.database.begin() as connection:
            job = await _find(connection, number, for_update=True)
            if job.state in _ENDED:
                raise ValueError(f"job {number} has ended already: {job.state}")
            values: dict[str, Any] = {"cancel_requested": True}
            if job.state is JobState.WAITING:
                values |= {"state": JobState.CANCELLED, "ended": await current_time(connection)}
            await connection.execute(update(JOBS).where(JOBS.c.number == number).values(values))
            return await _find(connection, number)

    async def retry(self, number: int) -> Job:
        """Let a job that was given up wait again."""
        async with self.database.begin() as connection:
            job = await _find(connection, number, for_update=True)
            if job.state not in {JobState.FAILED, JobState.CANCELLED}:
                raise ValueError(
                    f"job {number} is {job.state}: only one that was given up waits again"
                )
            values = {
                "state": JobState.WAITING,
                "due": await current_time(connection),
                "attempts": 0,
                "ended": None,
                "cancel_requested": False,
            }
            await connection.execute(update(JOBS).where(JOBS.c.number == number).values(values))
            await self.database.notify(connection, _CHANNEL)
            return await _find(connection, number)

    async def find(self, number: int) -> Job:
        """Return a job."""
        async with self.database.connect() as connection:
            return await _find(connection, number)

    async def jobs(self, wanted: JobFilter | None = None) -> AsyncIterator[Job]:
        """Iterate over jobs by number, latest first."""
        # Page by page, each a transaction of its own: who reads slowly holds nothing open.
        statement = select(JOBS).where(*_conditions(wanted)).order_by(JOBS.c.number.desc())
        last: int | None = None
        while True:
            page = statement.limit(_PAGE)
            if last is not None:
                page = page.where(JOBS.c.number < last)
            async with self.database.connect() as connection:
                rows = (await connection.execute(page)).all()
            for row in rows:
                yield job_of(row)
            if len(rows) < _PAGE:
                return
            last = rows[-1].number

    async def purge(self, wanted: JobFilter) -> int:
        """Forget jobs that have ended."""
        conditions = [*_conditions(wanted), JOBS.c.state.in_(_ENDED)]
        async with self.database.begin() as connection:
            return (await connection.execute(delete(JOBS).where(*conditions))).rowcount

    async def heed_clock(self, seconds: float, pauses: Mapping[str, float]) -> None:
        """See base."""
        async with self.database.begin() as connection:
            now = await current_time(connection)
            ahead = JOBS.c.created - now
            shifted = await connection.execute(
                update(JOBS)
                .where(
                    JOBS.c.state == WAITING,
                    ahead > _CLOCK_TOLERANCE,
                    func.coalesce(JOBS.c.idempotency_key, "").not_like(f"{SCHEDULED}%"),
                )
                .values(due=JOBS.c.due - ahead, created=now)
            )
            if pauses:
                latest = now + case(pauses, value=JOBS.c.kind)  # NULL, and so none, for other kinds
                late = JOBS.c.due > latest + _CLOCK_TOLERANCE
                await connection.execute(
                    update(JOBS)
                    .where(JOBS.c.state == WAITING, JOBS.c.attempts > 0, late)
                    .values(due=latest)
                )
            await connection.execute(
                update(JOBS)
                .where(JOBS.c.state == RUNNING, JOBS.c.leased_until > now + 10 * seconds)
                .values(leased_until=now + seconds)
            )
        if shifted.rowcount:
            logger.warning(
                "the clock was set back: %d jobs were enqueued in what is the future now; they are "
                "done as if they had been enqueued now",
                shifted.rowcount,
            )

    async def wait(self, seconds: float) -> None:
        """Wait until a job is enqueued, for so many seconds at most."""
        if self._listener is None:
            self._listener = await self._opened.enter_async_context(self.database.listen(_CHANNEL))
        await self._listener.wait(seconds)

    async def next_due(self, kinds: Collection[str]) -> datetime | None:
        """Return when a job of these kinds may be leased."""
        wanted, stamp, now = frozenset(kinds), self.database.stamp, time.monotonic()
        seen = self._seen.get(wanted)
        if seen is None or seen.stamp != stamp or seen.until < now:
            async with self.database.connect() as connection:
                statement = first_moments(wanted, connection.dialect)
                moments = (await connection.exec_driver_sql(statement)).one()
            moment = min([each for each in moments if each is not None], default=None)
            until = now if stamp is None else now + _LOOK_ANYHOW
            if len(self._seen) >= _COMBINATIONS:  # kinds that were busy at some time
                self._seen.clear()
            self._seen[wanted] = seen = _Seen(stamp, until, moment)
        return None if seen.moment is None else datetime.fromtimestamp(seen.moment).astimezone()

    async def backlog(self) -> Sequence[JobBacklog]:
        """See base."""
        grouped = JOBS.c.kind, JOBS.c.state
        wanted = JOBS.c.state.in_([JobState.WAITING, JobState.RUNNING, JobState.FAILED])
        statement = select(*grouped, func.count(), func.min(JOBS.c.due)).where(wanted)
        async with self.database.connect() as connection:
            rows = (await connection.execute(statement.group_by(*grouped))).all()
        return [
            JobBacklog(kind, JobState(state), number, datetime.fromtimestamp(due, UTC))
            for kind, state, number, due in rows
        ]

    def _within(
        self, connection: DatabaseConnection | None
    ) -> AbstractAsyncContextManager[DatabaseConnection]:
        return self.database.begin() if connection is None else nullcontext(connection)


async def _find_next(connection: DatabaseConnection, kind: str, now: float) -> Row[Any] | None:
    for choose in (first_due, first_due_of_keys):
        row: Row[Any] | None = (await connection.execute(choose(kind, now))).one_or_none()
        if row is not None:
            return row
    return None


def _holds(leased: LeasedJob) -> ColumnElement[bool]:
    return and_(JOBS.c.number == leased.job.number, JOBS.c.token == leased.token)


async def _find(connection: DatabaseConnection, number: int, *, for_update: bool = False) -> Job:
    statement = select(JOBS).where(JOBS.c.number == number)
    row: Row[Any] | None = (
        await connection.execute(statement.with_for_update() if for_update else statement)
    ).one_or_none()
    if row is None:
        raise KeyError(f"there is no job {number}")
    return job_of(row)


def _conditions(wanted: JobFilter | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted is None:
        return conditions
    if wanted.kinds:
        conditions.append(JOBS.c.kind.in_(wanted.kinds))
    if wanted.states:
        conditions.append(JOBS.c.state.in_(wanted.states))
    if wanted.key:
        conditions.append(JOBS.c.key == wanted.key)
    if wanted.ended_before is not None:
        conditions.append(JOBS.c.ended < wanted.ended_before.timestamp())
    if wanted.numbers_below is not None:
        conditions.append(JOBS.c.number < wanted.numbers_below)
    return conditions


def _to_json(job: NewJob) -> str:
    try:
        arguments = json.dumps(dict(job.arguments), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"arguments of a {job.kind} job are no JSON: {error}") from error
    if len(arguments) > MAX_ARGUMENTS:
        raise ValueError(f"arguments of a {job.kind} job exceed {MAX_ARGUMENTS} bytes as JSON")
    return arguments
