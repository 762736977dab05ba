"""Events that receivers are still to get, in the database, in the order in which they happened.

Theory of operation
-------------------
An event is written in the transaction of what it tells, for each receiver. For a configured peer a
job is enqueued with it, which sends all that is outstanding for the receiver, in order: so a late
job finds nothing left to do, and one that fails holds back what came after. Other receivers, known
by their AE title alone, fetch theirs. An event is taken out when it was answered: who is killed
between the two sends it again.

A receiver that takes nothing must not hold up work, or fill the disk: beyond a number of events,
and after some days, those for it are dropped.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from attrs import define, field, frozen
from pacs_database.api import Database, DatabaseConnection
from pacs_jobs.api import JobQueue, NewJob
from sqlalchemy import delete, func, insert, select

from pacs_core.api.attribute_lists import from_json, to_json
from pacs_core.contracts import NodeSettings
from pacs_sop_ups.steps import EventType, StepEvent
from pacs_sop_ups.tables import OUTBOX

logger = logging.getLogger(__name__)

_MOST_WAITING: Final = 50_000
"""Events for one receiver."""


@frozen
class WaitingEvent:
    """An event that a receiver is still to get."""

    number: int
    instance_uid: str
    event: StepEvent
    moment: float


@define(eq=False)
class Outbox:
    """What receivers are still to be told.

    Parameters
    ----------
    database : Database
    queue : JobQueue
    settings : callable
        Returns the node's settings, for the AE titles of peers.
    """

    database: Database
    queue: JobQueue
    settings: Callable[[], NodeSettings] = field(default=NodeSettings)

    async def add(
        self,
        connection: DatabaseConnection,
        receivers: Iterable[str],
        told: Sequence[tuple[str, StepEvent]],
    ) -> None:
        """Have receivers told of events of steps, if the transaction is committed."""
        now = time.time()
        for receiver in receivers:
            if not told or not await self._has_room(connection, receiver, len(told)):
                continue
            rows = [
                {
                    "receiver": receiver,
                    "instance_uid": uid,
                    "event_type": int(event.kind),
                    "information": to_json(event.information),
                    "moment": now,
                }
                for uid, event in told
            ]
            await connection.execute(insert(OUTBOX), rows)
            if self.settings().peer(receiver) is not None:
                job = NewJob("ups.notify", {"receiver": receiver}, key=f"ups.notify/{receiver}")
                await self.queue.enqueue(job, connection=connection)

    async def _has_room(self, connection: DatabaseConnection, receiver: str, more: int) -> bool:
        counted = select(func.count()).where(OUTBOX.c.receiver == receiver)
        waiting = (await connection.execute(counted)).scalar_one()
        if waiting + more <= _MOST_WAITING:
            return True
        logger.warning("%s does not take events: %d are dropped", receiver, more)
        return False

    async def next(self, receiver: str, after: int = 0, most: int = 100) -> list[WaitingEvent]:
        """Return what is to be told next, in order."""
        wanted = (
            select(OUTBOX)
            .where(OUTBOX.c.receiver == receiver, OUTBOX.c.number > after)
            .order_by(OUTBOX.c.number)
            .limit(most)
        )
        async with self.database.connect() as connection:
            rows = (await connection.execute(wanted)).all()
        return [
            WaitingEvent(
                row.number,
                row.instance_uid,
                StepEvent(EventType(row.event_type), from_json(row.information)),
                row.moment,
            )
            for row in rows
        ]

    async def remove(self, number: int) -> None:
        """Take out an event that was told."""
        async with self.database.begin() as connection:
            await connection.execute(delete(OUTBOX).where(OUTBOX.c.number == number))

    async def drop(self, before: float) -> int:
        """Drop what nobody has taken since, in seconds since the epoch; return how many."""
        async with self.database.begin() as connection:
            dropped = await connection.execute(delete(OUTBOX).where(OUTBOX.c.moment < before))
        return int(dropped.rowcount)
