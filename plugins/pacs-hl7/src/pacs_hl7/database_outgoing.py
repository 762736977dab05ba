"""Messages to be sent: kept until each is taken, in the order in which they were made.

Theory of operation
-------------------
A message is written together with a job that sends it. The job does not carry the message: it sends
all that waits for its system, in order, and one job of a system runs at a time. So none overtakes
another, whichever job runs first. A system that does not answer holds up its own messages only. One
that refuses a message is not asked again: the message has failed, and those behind it go on.

Who is killed between an answer and the note of it sends once more: the control ID is the same, and
made of what the message tells, so that the other end can know it.
"""

import time
from collections.abc import AsyncIterator
from typing import Any, Final

from attrs import define
from pacs_database.api import Database, DatabaseConnection
from pacs_jobs.api import JobQueue, NewJob
from sqlalchemy import Row, delete, func, insert, select, update

from pacs_hl7.interface import SEND, Outgoing, OutgoingMessage, OutgoingState
from pacs_hl7.tables import OUTGOING

_PAGE: Final = 100


@define(eq=False)
class DatabaseOutgoing(Outgoing):
    """Messages in a table.

    Parameters
    ----------
    database : Database
    queue : JobQueue
    """

    database: Database
    queue: JobQueue

    async def start(self) -> None:
        """Make the tables what this version expects."""
        await self.database.migrate("hl7", "pacs_hl7.revisions")

    async def add(self, peer: str, control_id: str, kind: str, content: bytes) -> bool:
        """Have a message sent; False if there is one for this system with this control ID."""
        same = (OUTGOING.c.peer == peer, OUTGOING.c.control_id == control_id)
        values = {
            "peer": peer,
            "created": time.time(),
            "control_id": control_id,
            "kind": kind,
            "content": content,
            "state": OutgoingState.WAITING,
            "result": "",
        }
        async with self.database.begin() as connection:
            known = select(func.count()).select_from(OUTGOING).where(*same)
            if (await connection.execute(known)).scalar_one():
                return False
            await connection.execute(insert(OUTGOING).values(values))
            await self._enqueue(connection, peer)
        return True

    async def _enqueue(self, connection: DatabaseConnection, peer: str) -> None:
        job = NewJob(SEND, {"peer": peer}, key=f"{SEND}/{peer}")
        await self.queue.enqueue(job, connection=connection)

    async def next(self, peer: str) -> OutgoingMessage | None:
        """Return the message that is to be sent next, if there is one."""
        wanted = (
            select(OUTGOING)
            .where(OUTGOING.c.state == OutgoingState.WAITING, OUTGOING.c.peer == peer)
            .order_by(OUTGOING.c.number)
            .limit(1)
        )
        async with self.database.connect() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        return None if row is None else _message(row)

    async def note(self, number: int, state: OutgoingState, result: str) -> None:
        """Say what became of a message."""
        known = update(OUTGOING).where(OUTGOING.c.number == number)
        async with self.database.begin() as connection:
            await connection.execute(known.values(state=state, result=result.replace("\0", "")))

    async def send_again(self, number: int) -> None:
        """Let a message wait again, behind what waits already for its system.

        Raises
        ------
        KeyError
            There is none.
        """
        async with self.database.begin() as connection:
            known = select(OUTGOING).where(OUTGOING.c.number == number).with_for_update()
            row = (await connection.execute(known)).one_or_none()
            if row is None:
                raise KeyError(f"there is no outgoing message {number}")
            changed = update(OUTGOING).where(OUTGOING.c.number == number)
            await connection.execute(changed.values(state=OutgoingState.WAITING, result=""))
            await self._enqueue(connection, row.peer)

    async def search(self, state: OutgoingState | None = None) -> AsyncIterator[OutgoingMessage]:
        """Iterate over messages, the latest first."""
        statement = select(OUTGOING).order_by(OUTGOING.c.number.desc()).limit(_PAGE)
        if state is not None:
            statement = statement.where(OUTGOING.c.state == state)
        page = statement
        while True:
            async with self.database.connect() as connection:
                rows = (await connection.execute(page)).all()
            for row in rows:
                yield _message(row)
            if len(rows) < _PAGE:
                return
            page = statement.where(OUTGOING.c.number < rows[-1].number)

    async def forget(self, before: float) -> int:
        """Forget messages that were made before a time, and sent; return how many."""
        old = (OUTGOING.c.created < before, OUTGOING.c.state == OutgoingState.SENT)
        async with self.database.begin() as connection:
            return (await connection.execute(delete(OUTGOING).where(*old))).rowcount


def _message(row: Row[Any]) -> OutgoingMessage:
    return OutgoingMessage(
        row.number,
        row.peer,
        row.created,
        row.control_id,
        row.kind,
        bytes(row.content),
        OutgoingState(row.state),
        row.result,
    )
