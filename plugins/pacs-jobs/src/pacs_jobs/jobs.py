"""Jobs, and the kinds of them that plugins declare.

A job goes through these states::

    WAITING --lease--> RUNNING --complete--> SUCCEEDED
       ^                 |  |
       |--- back-off ----|  |--- no attempt left, or pointless --> FAILED
       |                    |--- cancelled ----------------------> CANCELLED
       |------------------ retry by hand ------------ from FAILED, CANCELLED

A worker that dies leaves its job RUNNING until the lease is over; then it waits again. That counts
as an attempt: what kills its worker each time is given up as well.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import anyio.lowlevel
from attrs import define, field, frozen
from attrs.validators import ge, gt, matches_re

from pacs_core.contracts import NO_CORRELATION, Component, Correlation, Node

Arguments = Mapping[str, Any]
"""What JSON can carry; keep it small, and refer to what is large."""


SCHEDULED: Final = "schedule "
"""With which idempotency keys of jobs begin that are due at a time of day."""


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Given up: somebody has to look. The dead letters of the queue."""
    CANCELLED = "cancelled"


@frozen
class NewJob:
    """A job to be enqueued.

    Attributes
    ----------
    kind : str
        Name of a :class:`JobKind`.
    arguments : mapping
    priority : int
        Greater ones go first among those that are due.
    due : datetime or None
        Not before this moment, which has a time zone; None for at once.
    key : str
        Of jobs with the same key, other than ``""``, one runs at a time, whatever their kinds.
    idempotency_key : str
        A job whose key, other than ``""``, the queue has seen is not enqueued again, until the
        first one is purged.
    """

    kind: str
    arguments: Arguments = field(factory=dict)
    priority: int = 0
    due: datetime | None = field(default=None)
    key: str = ""
    idempotency_key: str = ""

    @due.validator
    def _check_due(self, _attribute: object, due: datetime | None) -> None:
        if due is not None and due.tzinfo is None:
            raise ValueError("`due` needs a time zone")


@frozen
class Progress:
    """How far a job has come: `done` of `total` units, 0 if that is not known; and a sentence."""

    done: int = 0
    total: int = 0
    note: str = ""


@frozen
class Job:
    """A job as it stands in the queue.

    Attributes
    ----------
    number : int
    kind, arguments, priority, key, idempotency_key
        As enqueued.
    state : JobState
    due : datetime
        When it may run, or run again.
    attempts : int
        How often it was begun.
    progress : Progress
    error : str
        Why it failed last.
    worker : str
        Who runs it, or did.
    created, ended : datetime, datetime or None
    cancel_requested : bool
        Whether its worker has been asked to give it up.
    correlation : Correlation
        What it follows from: that within which it was enqueued.
    """

    number: int
    kind: str
    arguments: Arguments
    priority: int
    key: str
    idempotency_key: str
    state: JobState
    due: datetime
    attempts: int
    progress: Progress
    error: str
    worker: str
    created: datetime
    ended: datetime | None
    cancel_requested: bool
    correlation: Correlation = NO_CORRELATION


class JobFailedError(Exception):
    """Raised by a handler when trying again is pointless; says why."""


@define(eq=False)
class RunningJob:
    """A job in the hands of its handler.

    Attributes
    ----------
    number : int
    arguments : mapping
    attempt : int
        From 1.
    progress : Progress or None
        What was reported last.
    """

    number: int
    arguments: Arguments = field(factory=dict)
    attempt: int = 1
    progress: Progress | None = None

    async def report(self, progress: Progress) -> None:
        """Say how far it is, for ``pacs jobs``; as often as one likes, written now and then."""
        self.progress = progress
        await anyio.lowlevel.checkpoint()


class JobHandler(Component, ABC):
    """Does the jobs of one kind; several at once if the kind says so.

    A job is done at least once: its worker may be killed after the work and before that is noted.
    So let a second run find what the first has done.
    """

    @abstractmethod
    async def run(self, job: RunningJob) -> None:
        """Do a job.

        It is cancelled when somebody cancels the job, when its lease was lost, at
        :attr:`JobKind.timeout`, and when the node stops; then it waits again, and the attempt does
        not count.

        Raises
        ------
        JobFailedError
            It will not work next time either.
        Exception
            Anything else: it is tried again after a pause, as its kind says.
        """


@frozen
class JobKind:
    """What plugins return from the hook ``pacs_job_kinds``.

    Attributes
    ----------
    name : str
        Unique; begin it with the plugin's name, as in ``"routing.send"``.
    create : callable
        Called once in each worker.
    description : str
        One line.
    concurrency : int
        Jobs of this kind at once in one worker process.
    attempts : int
        After which it is given up.
    first_pause, longest_pause : float
        Seconds between two attempts: doubled with each, up to the longest.
    timeout : float
        Seconds for one attempt.
    schedule : str
        A cron expression, in the time zone of the machine, at which a job without arguments is
        enqueued; empty for none. One that was missed while no node ran is made up for, once.
    requires : tuple of type
        Interfaces of capabilities that the handler cannot do without.
    """

    name: str = field(validator=matches_re(r"[a-z][a-z0-9._-]{0,62}"))
    create: Callable[[Node], JobHandler] = field(repr=False)
    description: str = ""
    concurrency: int = field(default=1, validator=ge(1))
    attempts: int = field(default=10, validator=ge(1))
    first_pause: float = field(default=10.0, validator=gt(0))
    longest_pause: float = field(default=3600.0, validator=gt(0))
    timeout: float = field(default=3600.0, validator=gt(0))
    schedule: str = ""
    requires: tuple[type, ...] = ()

    def pause_after(self, attempts: int) -> float:
        """Return the seconds to wait after so many attempts."""
        return min(self.first_pause * 2.0 ** min(attempts - 1, 60), self.longest_pause)
