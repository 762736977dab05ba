"""The writer: one thread that commits together whatever has gathered."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from attrs import define, field, frozen

from pacs_core.contracts import Durability
from pacs_index_sqlite.changes import Changes
from pacs_index_sqlite.errors import SqliteIndexError, translated

Result = TypeVar("Result")

_LEVELS = ("off", "normal", "full")
_NEEDED = {Durability.NONE: 0, Durability.WRITE_BEHIND: 1, Durability.COMMIT: 2}
"""What ``PRAGMA synchronous`` must be at least: ``normal`` writes the log without fsync, but keeps
log and database file in order at checkpoints."""


@frozen
class _Job:
    work: Callable[[Changes], Any]
    future: "asyncio.Future[Any]"
    durability: Durability


@frozen
class _Outcome:
    job: _Job
    result: Any = None
    error: Exception | None = None


@define
class Writer:
    """Runs changes one after another in a thread of its own, a transaction for each batch.

    Nothing waits for a batch to fill: while one is written to disk the next gathers, so that the
    batches grow with the load. A change that fails takes nobody else's with it.
    """

    _path: Path
    _connection: sqlite3.Connection
    _changes: Changes
    _limit: int
    _synchronous: str
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    _queue: "SimpleQueue[_Job | None]" = field(factory=SimpleQueue, init=False)
    _thread: threading.Thread = field(init=False)
    _closed: bool = field(default=False, init=False)
    _level: int = field(default=-1, init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="index-writer", daemon=True)
        self._thread.start()

    async def run(
        self, work: Callable[[Changes], Result], durability: Durability = Durability.COMMIT
    ) -> Result:
        """Make a change; it is committed when this returns, and as durable as asked for.

        A caller that is cancelled before the change was begun has not made it.
        """
        if self._closed:
            raise SqliteIndexError(f"the index {self._path} is stopped")
        job = _Job(work, self._loop.create_future(), durability)
        self._queue.put(job)
        return cast(Result, await job.future)

    def close(self) -> None:
        """Finish what is queued and end the thread. Blocks."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            jobs, last = self._gather()
            if outcomes := self._commit([job for job in jobs if not job.future.cancelled()]):
                self._loop.call_soon_threadsafe(_deliver, outcomes)

    def _gather(self) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        entry = self._queue.get()
        try:
            while entry is not None and len(jobs) < self._limit - 1:
                jobs.append(entry)
                entry = self._queue.get_nowait()
        except Empty:
            return jobs, False
        return (jobs, True) if entry is None else ([*jobs, entry], False)

    def _commit(self, jobs: list[_Job]) -> list[_Outcome]:
        # All at once first; if one fails, each within a savepoint of its own.
        failure: Exception | None = None
        self._synchronize(jobs)
        for run in (self._together, self._singly):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                outcomes = run(jobs)
                self._connection.execute("COMMIT")
            except Exception as error:
                failure = error
                self._undo()
                if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                    break
            else:
                return outcomes
        return [_Outcome(job, error=self._told(failure)) for job in jobs]

    def _synchronize(self, jobs: list[_Job]) -> None:
        """Set how far the next commit waits for the disk: as the most demanding change asks."""
        needed = max((_NEEDED[job.durability] for job in jobs), default=self._level)
        level = min(needed, _LEVELS.index(self._synchronous))
        if level != self._level:
            self._connection.execute(f"PRAGMA synchronous = {_LEVELS[level]}")
            self._level = level

    def _together(self, jobs: list[_Job]) -> list[_Outcome]:
        changes = self._changes
        return [_Outcome(job, job.work(changes)) for job in jobs]

    def _singly(self, jobs: list[_Job]) -> list[_Outcome]:
        return [self._single(job) for job in jobs]

    def _single(self, job: _Job) -> _Outcome:
        self._connection.execute("SAVEPOINT item")
        try:
            outcome = _Outcome(job, job.work(self._changes))
        except Exception as error:
            self._changes.forget()
            # SQLite itself ends the transaction after some errors, the disk being full for one.
            if not self._connection.in_transaction:
                raise
            self._connection.execute("ROLLBACK TO item")
            outcome = _Outcome(job, error=self._told(error))
        self._connection.execute("RELEASE item")
        return outcome

    def _undo(self) -> None:
        self._changes.forget()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _told(self, error: Exception | None) -> Exception | None:
        return translated(error, self._path) if isinstance(error, sqlite3.Error) else error


def _deliver(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        future = outcome.job.future
        if future.done():
            continue
        if outcome.error is None:
            future.set_result(outcome.result)
        else:
            future.set_exception(outcome.error)
