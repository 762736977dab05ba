"""Messages that peers are still to get, in the database, in the order in which things happened.

Theory of operation
-------------------
A message is written in the transaction of what it tells, together with a job that sends it. The job
does not carry the message: it sends all that is outstanding for its peer and step, in their
order. So an N-SET never overtakes the N-CREATE of its step, whichever job runs first, and however
often one has failed. A message is taken out when the peer has answered; who is killed between the
two sends it again, and the answer to that is known: 0111H, or 0110H with A710H.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen
from pacs_database.api import Database, DatabaseConnection
from pacs_jobs.api import JobQueue, NewJob
from sqlalchemy import delete, func, insert, select

from pacs_core.api.attribute_lists import from_json, to_json
from pacs_core.dataset import Attributes
from pacs_sop_mpps.tables import OUTBOX

_MOST_WAITING: Final = 1000
"""Messages about one step."""


class OutboxFullError(Exception):
    """Too many messages about a step wait for peers that do not take them."""


class Channel(StrEnum):
    """Ways to tell peers; the kind of job is named after it."""

    FORWARD = "forward"
    NOTIFY = "notify"


@frozen
class Message:
    """A message to a peer.

    Attributes
    ----------
    operation : str
        ``"create"``, ``"set"`` or ``"event"``.
    event_type : int
        Event Type ID (PS3.4 Table F.9.2-1) of an event.
    attributes : Attributes
    number : int
        Of the table; 0 before it is in it.
    """

    operation: str
    event_type: int = 0
    attributes: Attributes = field(factory=dict)
    number: int = 0


@define(eq=False)
class Outbox:
    """What peers are still to be told."""

    database: Database
    queue: JobQueue

    async def add(
        self,
        connection: DatabaseConnection,
        channel: Channel,
        peers: Sequence[str],
        instance_uid: str,
        message: Message,
    ) -> None:
        """Have a message sent to peers, if the transaction is committed.

        Raises
        ------
        OutboxFullError
            Too many of this step wait already.
        """
        if peers:
            waiting = select(func.count()).where(OUTBOX.c.instance_uid == instance_uid)
            if (await connection.execute(waiting)).scalar_one() >= _MOST_WAITING:
                raise OutboxFullError("peers do not take what they are told of this step")
        for peer in peers:
            values = {
                "channel": channel,
                "peer": peer,
                "instance_uid": instance_uid,
                "operation": message.operation,
                "event_type": message.event_type,
                "attributes": to_json(message.attributes),
            }
            await connection.execute(insert(OUTBOX).values(values))
            arguments = {"peer": peer, "instance": instance_uid}
            key = f"mpps.{channel}/{peer}/{instance_uid}"
            job = NewJob(f"mpps.{channel}", arguments, key=key)
            await self.queue.enqueue(job, connection=connection)

    async def next(self, channel: Channel, peer: str, instance_uid: str) -> Message | None:
        """Return the message that is to be sent next, if there is one."""
        wanted = (
            select(OUTBOX)
            .where(
                OUTBOX.c.instance_uid == instance_uid,
                OUTBOX.c.channel == channel,
                OUTBOX.c.peer == peer,
            )
            .order_by(OUTBOX.c.number)
            .limit(1)
        )
        async with self.database.connect() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        if row is None:
            return None
        return Message(row.operation, row.event_type, from_json(row.attributes), row.number)

    async def remove(self, number: int) -> None:
        """Take out a message that has been sent."""
        async with self.database.begin() as connection:
            await connection.execute(delete(OUTBOX).where(OUTBOX.c.number == number))
