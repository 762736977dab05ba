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
from pacs_database.api import Database
from pacs_jobs.api import JobQueue, NewJob
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pacs_core.dataset import Attributes
from pacs_sop_mpps.tables import OUTBOX
from pacs_sop_mpps.values import from_json, to_json

_BATCH: Final = 100


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
        connection: AsyncConnection,
        channel: Channel,
        peers: Sequence[str],
        instance_uid: str,
        message: Message,
    ) -> None:
        """Have a message sent to peers, if the transaction is committed."""
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

    async def waiting(self, channel: Channel, peer: str, instance_uid: str) -> list[Message]:
        """Return the messages that are to be sent next, in their order."""
        wanted = (
            select(OUTBOX)
            .where(
                OUTBOX.c.instance_uid == instance_uid,
                OUTBOX.c.channel == channel,
                OUTBOX.c.peer == peer,
            )
            .order_by(OUTBOX.c.number)
            .limit(_BATCH)
        )
        async with self.database.connect() as connection:
            rows = (await connection.execute(wanted)).all()
        return [
            Message(row.operation, row.event_type, from_json(row.attributes), row.number)
            for row in rows
        ]

    async def remove(self, number: int) -> None:
        """Take out a message that has been sent."""
        async with self.database.begin() as connection:
            await connection.execute(delete(OUTBOX).where(OUTBOX.c.number == number))
