"""Lanes of peers: which job sends what waits there.

Theory of operation
-------------------
The row of the lane says which job sends. Who adds deliveries locks that row, and enqueues a job, in
the same transaction, if there is none that has not ended. A job that finds nothing more to send
locks it as well, before it looks for the last time, and takes its number out. So what was added is
either seen by that job or has another. A job that was given up, cancelled or purged by hand is
noticed by the next who adds something, and by :meth:`Deliveries.wake`.

A job that waits for the time of a rule, or for an instance that was refused for now, and has not
been tried yet, is replaced for what is to be sent sooner. One of a peer that is away is left alone.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from attrs import frozen
from pacs_database.api import Database, DatabaseConnection
from pacs_jobs.api import Job, JobQueue, JobState, NewJob
from sqlalchemy import select, update

from pacs_routing.interface import Wanted
from pacs_routing.rows import is_lane
from pacs_routing.tables import LANES

SEND_JOB: Final = "routing.send"
"""Kind of the jobs that send what waits for a peer."""
_LIVE: Final = {JobState.WAITING, JobState.RUNNING}


@frozen
class Lanes:
    """The lanes of all who share a database.

    Attributes
    ----------
    database : Database
    queue : JobQueue
        In the same database.
    """

    database: Database
    queue: JobQueue

    async def lock(self, connection: DatabaseConnection, peer: str, lane: int) -> int:
        """Keep a lane to this transaction, and return its job."""
        new = self.database.insert(LANES).values(peer=peer, lane=lane, job=0)
        await connection.execute(new.on_conflict_do_nothing(index_elements=["peer", "lane"]))
        locked = select(LANES.c.job).where(*is_lane(peer, lane)).with_for_update()
        return int((await connection.execute(locked)).scalar_one())

    async def schedule(
        self,
        connection: DatabaseConnection,
        peer: str,
        lane: int,
        due: float = 0.0,
        *,
        replace: bool = True,
    ) -> int | None:
        """Enqueue a job for a lane that has none; with `replace`, also if it begins later.

        Returns
        -------
        int or None
            The job that this one replaces, 0 for none; None if there is no need of another.
        """
        number = await self.lock(connection, peer, lane)
        job = await self._find_live(number) if number else None
        if job is not None:
            moment = datetime.fromtimestamp(max(due, time.time()), UTC)
            is_waiting = job.state is JobState.WAITING and not job.attempts
            if not (replace and is_waiting and job.due > moment):
                return None
        await self.enqueue(connection, peer, lane, due)
        return number if job is not None else 0

    async def _find_live(self, number: int) -> Job | None:
        try:
            job = await self.queue.find(number)
        except KeyError:
            return None
        return job if job.state in _LIVE else None

    async def enqueue(
        self, connection: DatabaseConnection, peer: str, lane: int, due: float
    ) -> None:
        """Give a lane a job that begins then, whichever it had."""
        job = NewJob(
            SEND_JOB,
            {"peer": peer, "lane": lane},
            due=datetime.fromtimestamp(due, UTC) if due > time.time() else None,
            key=f"routing/{peer}/{lane}",
        )
        number = await self.queue.enqueue(job, connection=connection)
        await connection.execute(update(LANES).where(*is_lane(peer, lane)).values(job=number))

    async def cancel(self, numbers: Iterable[int | None]) -> None:
        """Cancel jobs that others replace: they would find nothing to do."""
        for number in filter(None, numbers):
            with suppress(KeyError, ValueError):  # it was purged, or has begun
                await self.queue.cancel(number)


def first_due(wanted: Iterable[Wanted]) -> dict[tuple[str, int], float]:
    """Return when something is to be sent in each lane."""
    first: dict[tuple[str, int], float] = {}
    for each in wanted:
        lane = (each.peer, each.lane)
        first[lane] = min(each.not_before, first.get(lane, each.not_before))
    return first
