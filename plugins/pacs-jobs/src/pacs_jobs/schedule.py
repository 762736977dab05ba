"""The service that enqueues what is done at set times, and forgets what has ended.

Each kind with a schedule has its next job in the queue, due when the cron expression says. So what
came due while no node ran is done when one starts, once; and the idempotency key, which has the
moment in it, keeps several nodes, and a restart, from doing it twice.
"""

import logging
import os
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import anyio
from attrs import define

from pacs_core.contracts import Node, Service, Started
from pacs_jobs.config import JobsConfig
from pacs_jobs.jobs import SCHEDULED, JobKind, JobState, NewJob
from pacs_jobs.kinds import declared_kinds, next_occurrence
from pacs_jobs.queue import JobFilter, JobQueue

logger = logging.getLogger(__name__)

LOCAL_TIME: Final = Path("/etc/localtime")
_LONGEST_SLEEP = 600.0
"""Seconds; clocks are set, and summer time begins."""


def local_zone() -> tzinfo:
    """Return the time zone of the machine, with its summer time.

    An offset alone, as :meth:`datetime.astimezone` has it, would put the occurrence after a change
    of the clocks an hour off, and once more in its place when they have changed.
    """
    name = os.environ.get("TZ", "").removeprefix(":")
    try:
        if name:
            return ZoneInfo(name)
        with LOCAL_TIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, LookupError):
        return datetime.now().astimezone().tzinfo or UTC


@define(eq=False)
class JobSchedule(Service):
    """Keeps the next job of each schedule in the queue.

    Parameters
    ----------
    node : Node
    config : JobsConfig
    """

    node: Node
    config: JobsConfig

    async def run(self, started: Started) -> None:
        """Enqueue, forget, and sleep until the next job is due."""
        queue = self.node.find(JobQueue)
        scheduled = [d.kind for d in declared_kinds(self.node).values() if d.kind.schedule]
        started()
        while True:
            now = datetime.now(local_zone())
            moments = [await self._enqueue_next(queue, kind, now) for kind in scheduled]
            await self._forget(queue, now)
            pauses = [(moment - now).total_seconds() + 1.0 for moment in moments]
            await anyio.sleep(min([_LONGEST_SLEEP, *pauses]))

    @staticmethod
    async def _enqueue_next(queue: JobQueue, kind: JobKind, now: datetime) -> datetime:
        moment = next_occurrence(kind.schedule, now)
        key = f"{SCHEDULED}{kind.name} {moment.isoformat()}"
        await queue.enqueue(NewJob(kind.name, due=moment, key=kind.name, idempotency_key=key))
        return moment

    async def _forget(self, queue: JobQueue, now: datetime) -> None:
        for states, days in (
            ((JobState.SUCCEEDED,), self.config.keep_succeeded),
            ((JobState.FAILED, JobState.CANCELLED), self.config.keep_given_up),
        ):
            await queue.purge(JobFilter(states=states, ended_before=now - timedelta(days=days)))
