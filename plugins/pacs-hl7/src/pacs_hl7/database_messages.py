"""Messages in the site's database."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from typing import Any, Final

from attrs import define
from pacs_database.api import Database
from sqlalchemy import Row, delete, func, insert, select, update

from pacs_hl7.effects import effects_from_json, effects_to_json
from pacs_hl7.interface import ConflictKind, KeptMessage, Messages, MessageState
from pacs_hl7.tables import MESSAGES

_PAGE: Final = 100
_LONGEST: Final = 200
"""Characters that are kept apart of what a sender says of itself and its message."""


@define(eq=False)
class DatabaseMessages(Messages):
    """Messages in a table.

    Parameters
    ----------
    database : Database
    """

    database: Database

    async def start(self) -> None:
        """Make the table what this version expects."""
        await self.database.migrate("hl7", "pacs_hl7.revisions")

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for whoever heeds a message."""
        return self.database.hold("hl7_turn")

    async def keep(
        self, content: bytes, *, sender: str, control_id: str, kind: str, patient: str
    ) -> KeptMessage:
        """Keep a message durably."""
        named = {"sender": sender, "control_id": control_id, "kind": kind, "patient": patient}
        # PostgreSQL's text cannot have U+0000.
        values: dict[str, Any] = {
            name: text[:_LONGEST].replace("\0", "") for name, text in named.items()
        }
        values["digest"] = sha256(content).hexdigest()
        same = [MESSAGES.c[name] == values[name] for name in ("control_id", "sender", "digest")]
        async with self.database.begin() as connection:
            known = (await connection.execute(select(MESSAGES).where(*same))).one_or_none()
            if known is None:
                values |= {
                    "received": time.time(),
                    "content": content,
                    "state": MessageState.RECEIVED,
                    "result": "",
                    "answer": b"",
                    "conflict": "",
                    "effects": "",
                }
                added = insert(MESSAGES).values(values).returning(*MESSAGES.c)
                known = (await connection.execute(added)).one()
            return _message(known)

    async def namesakes(self, message: KeptMessage) -> int:
        """Count them; the index of control IDs is asked."""
        same = [
            MESSAGES.c.control_id == message.control_id,
            MESSAGES.c.sender == message.sender,
            MESSAGES.c.number != message.number,
        ]
        async with self.database.connect() as connection:
            statement = select(func.count()).select_from(MESSAGES).where(*same)
            return int((await connection.execute(statement)).scalar_one())

    async def note(self, message: KeptMessage) -> None:
        """Say what became of a message."""
        values = {
            "state": message.state,
            "result": message.result.replace("\0", ""),
            "answer": message.answer,
            "conflict": message.conflict or "",
            "effects": effects_to_json(message.effects),
        }
        known = update(MESSAGES).where(MESSAGES.c.number == message.number)
        async with self.database.begin() as connection:
            await connection.execute(known.values(values))

    async def find(self, number: int) -> KeptMessage:
        """Return a message."""
        async with self.database.connect() as connection:
            row = (
                await connection.execute(select(MESSAGES).where(MESSAGES.c.number == number))
            ).one_or_none()
        if row is None:
            raise KeyError(f"there is no message {number}")
        return _message(row)

    async def search(
        self, *, state: MessageState | None = None, patient: str = "", conflicts: bool = False
    ) -> AsyncIterator[KeptMessage]:
        """Iterate over messages, the latest first."""
        statement = select(MESSAGES).order_by(MESSAGES.c.number.desc()).limit(_PAGE)
        if state is not None:
            statement = statement.where(MESSAGES.c.state == state)
        if patient:
            statement = statement.where(MESSAGES.c.patient == patient)
        if conflicts:
            statement = statement.where(MESSAGES.c.conflict != "")
        page = statement
        while True:
            async with self.database.connect() as connection:
                rows = (await connection.execute(page)).all()
            for row in rows:
                yield _message(row)
            if len(rows) < _PAGE:
                return
            page = statement.where(MESSAGES.c.number < rows[-1].number)

    async def forget(self, before: float) -> int:
        """Forget messages received before a time; not what failed, or was not worked on yet."""
        kept = (MessageState.FAILED, MessageState.RECEIVED)
        old = [MESSAGES.c.received < before, MESSAGES.c.state.not_in(kept)]
        async with self.database.begin() as connection:
            return (await connection.execute(delete(MESSAGES).where(*old))).rowcount


def _message(row: Row[Any]) -> KeptMessage:
    return KeptMessage(
        row.number,
        row.received,
        row.sender,
        row.control_id,
        row.kind,
        row.patient,
        bytes(row.content),
        MessageState(row.state),
        row.result,
        bytes(row.answer),
        ConflictKind(row.conflict) if row.conflict else None,
        effects_from_json(row.effects),
    )
