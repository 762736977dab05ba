"""The contract of job queues."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import anyio
from attrs import frozen

from pacs_core.contracts import Component
from pacs_jobs.jobs import Job, JobState, NewJob, Progress

if TYPE_CHECKING:
    from pacs_database.api import DatabaseConnection


@frozen
class LeasedJob:
    """A job that a worker holds until its lease is over.

    Attributes
    ----------
    job : Job
    token : str
        Shown with each word about it: whoever has lost the lease is not believed.
    """

    job: Job
    token: str


@frozen
class JobFilter:
    """Which jobs to list or purge: those that meet all that is given.

    Attributes
    ----------
    kinds : collection of str
    states : collection of JobState
    key : str
    ended_before : datetime or None
    numbers_below : int or None
        For the next page of a list, which has the latest first.
    """

    kinds: Collection[str] = ()
    states: Collection[JobState] = ()
    key: str = ""
    ended_before: datetime | None = None
    numbers_below: int | None = None


@frozen
class JobBacklog:
    """Jobs of a kind that are in a state.

    Attributes
    ----------
    kind : str
    state : JobState
    count : int
    oldest : datetime
        When the first of them was due.
    """

    kind: str
    state: JobState
    count: int
    oldest: datetime


class LeaseLostError(Exception):
    """The lease of a job is over, and somebody else may have it."""


class JobQueue(Component):
    """Jobs that outlive the processes that made them.

    What was enqueued is there after ``SIGKILL`` and loss of power. All methods may be called by
    several tasks, processes, and, as far as the database is shared, nodes.
    """

    @abstractmethod
    async def enqueue(self, job: NewJob, *, connection: "DatabaseConnection | None" = None) -> int:
        """Add a job, and return its number; that of the first for a known idempotency key.

        Parameters
        ----------
        job : NewJob
        connection : DatabaseConnection, optional
            Of :meth:`Database.begin`: the job is there if and when that transaction is committed.
        """

    @abstractmethod
    async def lease(self, kinds: Collection[str], worker: str, seconds: float) -> LeasedJob | None:
        """Take the next job that is due, or None.

        By priority, then by the time that it was due, then by number; none whose key is running.
        Counts as an attempt.

        Parameters
        ----------
        kinds : collection of str
        worker : str
            Who takes it, for people.
        seconds : float
            After which somebody else may take it, unless :meth:`heartbeat` was called.
        """

    @abstractmethod
    async def heartbeat(
        self, leased: LeasedJob, seconds: float, progress: Progress | None = None
    ) -> bool:
        """Hold a job for longer; return whether somebody asked to cancel it.

        Raises
        ------
        LeaseLostError
        """

    @abstractmethod
    async def complete(
        self, leased: LeasedJob, *, connection: "DatabaseConnection | None" = None
    ) -> None:
        """Note that a job is done, if wanted in the transaction of what it did.

        Raises
        ------
        LeaseLostError
        """

    @abstractmethod
    async def fail(self, leased: LeasedJob, error: str, retry_at: datetime | None) -> None:
        """Note that an attempt failed; without `retry_at` the job is given up.

        Raises
        ------
        LeaseLostError
        """

    @abstractmethod
    async def release(self, leased: LeasedJob) -> None:
        """Give a job back as if it had not been begun; one to be cancelled is cancelled.

        Raises
        ------
        LeaseLostError
        """

    @abstractmethod
    async def cancel(self, number: int) -> Job:
        """Cancel a job: at once if it waits, else its worker is asked to.

        Raises
        ------
        KeyError
            There is no such job.
        ValueError
            It has ended; says how.
        """

    @abstractmethod
    async def retry(self, number: int) -> Job:
        """Let a job that failed or was cancelled wait again, with all of its attempts.

        Raises
        ------
        KeyError, ValueError
            As :meth:`cancel`.
        """

    @abstractmethod
    async def find(self, number: int) -> Job:
        """Return a job.

        Raises
        ------
        KeyError
        """

    @abstractmethod
    def jobs(self, wanted: JobFilter | None = None) -> AsyncIterator[Job]:
        """Iterate over jobs by number, latest first."""

    @abstractmethod
    async def purge(self, wanted: JobFilter) -> int:
        """Forget jobs that have ended, and return how many; others are left alone."""

    async def backlog(self) -> Sequence[JobBacklog]:
        """Return what waits, runs, or was given up, by kind and state."""
        return ()

    async def heed_clock(self, seconds: float, pauses: Mapping[str, float]) -> None:
        """Correct times that were written while the clock was wrong, and went ahead.

        A job that waits, and was enqueued at a time that is still to come, waits for as long as it
        was to, from now on; one that is due at a time of day is left alone. One that is to be tried
        again later than after the longest pause of its kind is tried after that. A lease that lasts
        for far longer than any is over after so many seconds, unless its holder speaks before.
        Workers call it now and then.

        Parameters
        ----------
        seconds : float
            That leases last.
        pauses : mapping of str to float
            Seconds that a job of a kind waits for another attempt at most.
        """

    async def wait(self, seconds: float) -> None:
        """Wait until there may be a new job that is due, for so many seconds at most.

        A queue that cannot tell lets the time pass.
        """
        await anyio.sleep(seconds)

    @abstractmethod
    async def next_due(self, kinds: Collection[str]) -> datetime | None:
        """Return when a job of these kinds may be leased, if none is enqueued meanwhile."""
