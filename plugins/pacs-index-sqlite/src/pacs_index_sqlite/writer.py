"""The writer: one thread that commits together whatever has gathered."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from attrs import define, field, frozen

from pacs_core.contracts import Durability, InstancePath, StoredInstance
from pacs_index_sqlite.changes import Changes
from pacs_index_sqlite.errors import (
    GoneIndexError,
    ReplacedIndexError,
    SqliteIndexError,
    translate_error,
)
from pacs_index_sqlite.files import IndexFiles
from pacs_index_sqlite.locations import locate

# Theory of operation
#
# SQLite has one writer at a time, and what a commit costs is the fsync of its log, not the rows. So
# there is one connection that writes and one thread that uses it, and all changes that have
# gathered while the thread was busy go into one transaction (group commit). Nobody waits for a
# batch to fill: with little load a batch is one change, with much it is many.
#
#   1. `run` puts a job into the queue and awaits its future.
#   2. The thread takes what there is, up to the limit, and drops what was cancelled meanwhile.
#   3. It begins the transaction. Another process may be writing; the thread looks again soon, then
#      ever more rarely, until its patience ends. Then it checks that the file is still the index
#      that the path leads to: a rebuild may have put another in its place.
#   4. All jobs do their work, then COMMIT. If one raises, the transaction is rolled back and all
#      run once more, each in a savepoint, so that only the one that fails fails.
#   5. The futures are set in the event loop, after the commit: what is told is true.
#
# Each batch is as durable as its most demanding job: `synchronous` is set before the transaction.
#
# The short way: changes that need not be on disk yet, while none is queued, are made in the thread
# of the event loop: all that come in one turn of it in one transaction, which costs more than a
# row. `_connected` is held by whoever uses the connection, and taken without waiting: if the thread
# has it, or another process writes, or anything fails, the jobs take the long way. A checkpoint,
# which brings the log into the file, waits for the disk unless nothing needs to be on it: that is
# left to the thread, which comes by with each flush. So the event loop waits for no lock here, and
# for the disk but to begin a log anew, whose head SQLite syncs.
#
# A crash leaves the transaction or does not: SQLite's log sees to that. The memory of which series
# exist (`Changes._known`) is not in the transaction, so whatever rolls back forgets it.

Result = TypeVar("Result")

_PAUSE = 0.0001  # seconds between looks whether another process has written, at first
_LONGEST_PAUSE = 0.002
_LEVELS = ("off", "normal", "full")
_CHECKPOINT_PAGES = 4000  # of the log, from which on the thread's commits bring them into the file
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
class IndexWriter:
    """Runs changes one after another in a thread of its own, a transaction for each batch.

    Nothing waits for a batch to fill: while one is written to disk the next gathers, so that the
    batches grow with the load. A change that fails takes nobody else's with it.

    Changes that need not be on disk yet, while there are no others, are made at once in the
    callers' thread: they wait for nothing, and the hop to the writer and back would cost twice as
    much.
    """

    _files: IndexFiles
    _connection: sqlite3.Connection
    _locating: sqlite3.Connection
    _changes: Changes
    _limit: int
    _synchronous: str
    _patience: float
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    _queue: "SimpleQueue[_Job | None]" = field(factory=SimpleQueue, init=False)
    _thread: threading.Thread = field(init=False)
    _closed: bool = field(default=False, init=False)
    _level: int = field(default=-1, init=False)
    _checkpoints: int = field(default=-1, init=False)
    _queued: int = field(default=0, init=False)
    _coming: list[_Job] = field(factory=list, init=False)
    """Changes of this turn of the event loop that need not be on disk yet."""
    _connected: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        # The writer's thread waits for other processes itself: the caller's must not.
        self._connection.execute("PRAGMA busy_timeout = 0")
        self._thread = threading.Thread(target=self._run, name="index-writer", daemon=True)
        self._thread.start()

    async def run(
        self, work: Callable[[Changes], Result], durability: Durability = Durability.COMMIT
    ) -> Result:
        """Make a change; it is committed when this returns, and as durable as asked for.

        A caller that is cancelled before the change was begun has not made it.
        """
        if self._closed:
            raise SqliteIndexError(f"the index {self._files.path} is stopped")
        job = _Job(work, self._loop.create_future(), durability)
        if durability is Durability.COMMIT or self._queued:
            self._put(job)
        else:
            if not self._coming:
                self._loop.call_soon(self._make_at_once)
            self._coming.append(job)
        return cast(Result, self._unwrap(await job.future))

    def _put(self, job: _Job) -> None:
        self._queued += 1
        self._queue.put(job)

    def _make_at_once(self) -> None:
        """Make here what has come in this turn of the loop, if nothing is in the way.

        What fails here is left to the thread, which waits for others, and says what is wrong.
        """
        jobs, self._coming = [job for job in self._coming if not job.future.cancelled()], []
        outcomes = None
        if jobs and self._connected.acquire(blocking=False):
            try:
                outcomes = self._try(jobs)
            finally:
                self._connected.release()
        if outcomes is not None:
            _deliver(outcomes)
        else:
            for job in jobs:
                self._put(job)

    def _try(self, jobs: list[_Job]) -> list[_Outcome] | None:
        try:
            self._synchronize(jobs, waits=False)
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            return None
        try:
            self._files.check()
            self._changes.outbox.begin()
            outcomes = [_Outcome(job, job.work(self._changes)) for job in jobs]
            self._connection.execute("COMMIT")
        except Exception:
            with suppress(sqlite3.Error):  # then the thread meets it as well, and says so
                self._undo()
            return None
        return outcomes

    def locate(self, path: InstancePath) -> StoredInstance | None:
        """Look an instance up where it costs least; waits for nothing.

        The connection that writes has the latest pages at hand, which another would have to read.
        """
        if not self._connected.acquire(blocking=False):
            return locate(self._locating, path)
        try:
            return locate(self._connection, path)
        finally:
            self._connected.release()

    def refuse(self) -> None:
        """Take no more changes; call it in the event loop, before :meth:`close`."""
        self._closed = True
        self._make_at_once()

    def close(self) -> None:
        """Finish what is queued and end the thread. Blocks."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            jobs, last = self._gather()
            outcomes: list[_Outcome] = []
            if waiting := [job for job in jobs if not job.future.cancelled()]:
                with self._connected:
                    outcomes = self._commit(waiting)
            if jobs:
                self._loop.call_soon_threadsafe(self._end, len(jobs), outcomes)

    def _end(self, jobs: int, outcomes: list[_Outcome]) -> None:
        self._queued -= jobs
        _deliver(outcomes)

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
        self._synchronize(jobs, waits=True)
        changes = self._changes
        for run in (lambda job: _Outcome(job, job.work(changes)), self._single):
            try:
                self._begin()
                outcomes = [run(job) for job in jobs]
                self._connection.execute("COMMIT")
            except Exception as error:
                failure = error
                self._undo()
                # Trying each by itself would meet the same obstacle, once for each.
                if _is_busy(error) or isinstance(error, ReplacedIndexError | GoneIndexError):
                    break
            else:
                return outcomes
        return [_Outcome(job, error=failure) for job in jobs]

    def _begin(self) -> None:
        """Begin to write, once no other process does, if the file is still the index."""
        deadline, pause = time.monotonic() + self._patience, _PAUSE
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._files.check()
                self._changes.outbox.begin()
                return

    def _synchronize(self, jobs: list[_Job], *, waits: bool) -> None:
        """Set how far the next commit waits for the disk: as the most demanding change asks.

        Where nobody may wait, it brings nothing of the log into the file if that is to be synced.
        """
        needed = max([_NEEDED[job.durability] for job in jobs])
        level = min(needed, _LEVELS.index(self._synchronous))
        if level != self._level:
            self._connection.execute(f"PRAGMA synchronous = {_LEVELS[level]}")
            self._level = level
        checkpoints = _CHECKPOINT_PAGES if waits or not level else 0
        if checkpoints != self._checkpoints:
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {checkpoints}")
            self._checkpoints = checkpoints

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
            outcome = _Outcome(job, error=error)
        self._connection.execute("RELEASE item")
        return outcome

    def _undo(self) -> None:
        self._changes.forget()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _unwrap(self, outcome: _Outcome) -> Any:
        """Return what a change returned, or raise why it was not made."""
        error = outcome.error
        if isinstance(error, sqlite3.Error):
            raise translate_error(error, self._files.path) from error
        if error is not None:
            raise error
        return outcome.result


def _is_busy(error: Exception | None) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _deliver(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        if not outcome.job.future.done():
            outcome.job.future.set_result(outcome)
