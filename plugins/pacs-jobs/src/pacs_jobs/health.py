"""Health of the job queue: what readiness asks for, and what somebody should look at."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Final

import anyio
from attrs import frozen

from pacs_core.contracts import HealthCheck, WarningSource
from pacs_jobs.config import JobsConfig
from pacs_jobs.jobs import JobState
from pacs_jobs.queue import JobQueue

_AGAIN: Final = 1.0
"""Seconds after which it is looked again: the clock may have gone ahead just now, or the node have
started with much that was due meanwhile, which it begins one after the other."""
_NOBODY: Final = ("health",)
"""No kind: by asking for it, the queue is asked whether it answers."""


@frozen(eq=False)
class JobsCheck(HealthCheck):
    """Looks whether the queue answers, and whether jobs are begun that there is room for.

    A database that can be read, but not written to, is one reason why they are not. That there is
    more to do than is done is no reason not to be ready: nobody else would do it sooner.

    Attributes
    ----------
    queue : JobQueue
    config : JobsConfig
    free : callable
        Returns the kinds of which this process may begin another job.
    begun : callable
        Returns how many it has begun.
    """

    queue: JobQueue
    config: JobsConfig
    free: Callable[[], Collection[str]]
    begun: Callable[[], int]
    name: str = "jobs"

    async def check(self) -> str:
        """See base."""
        before = self.begun()
        if await self._seconds_late() > self.config.overdue:
            await anyio.sleep(_AGAIN)
            late = await self._seconds_late()
            if late > self.config.overdue and self.begun() == before:
                return f"a job was due {late:.0f} s ago, and is not begun"
        if self.config.given_up:
            number = (await count_given_up(self.queue)).total()
            if number >= self.config.given_up:
                return f"jobs were given up: {number}"
        return ""

    async def _seconds_late(self) -> float:
        due = await self.queue.next_due(self.free() or _NOBODY)
        return 0.0 if due is None else (datetime.now(UTC) - due).total_seconds()


class JobWarnings(WarningSource):
    """What somebody should look at: jobs that nobody tries any more."""


@frozen(eq=False)
class GivenUpWarnings(JobWarnings):
    """Warns of jobs that were given up, until they are tried again or purged.

    Attributes
    ----------
    queue : JobQueue
    """

    queue: JobQueue

    async def warnings(self) -> Sequence[str]:
        """See base."""
        kinds = await count_given_up(self.queue)
        if not kinds:
            return ()
        told = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        return (f"jobs were given up ({told}): pacs jobs list --state failed",)


async def count_given_up(queue: JobQueue) -> Counter[str]:
    """Return how many jobs were given up, by kind."""
    found = await queue.backlog()
    return Counter({each.kind: each.count for each in found if each.state is JobState.FAILED})
