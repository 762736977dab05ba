"""Registrations in a table.

Theory of operation
-------------------
What is to be sent is kept before it is sent, with all UIDs and the very bytes of the manifest, so
that whoever sends it again after a crash sends the same: a repository that has it already knows it.
A registration that is taken, and the one that it replaces, change in one transaction. The bytes are
forgotten once nobody will send them any more.
"""

import time
from collections.abc import AsyncIterator
from typing import Any, Final

from attrs import asdict, define, evolve
from pacs_database.api import Database
from pacs_jobs.api import JobQueue, NewJob
from sqlalchemy import Row, Select, insert, select, update

from pacs_xds.interface import REGISTER, Registration, Registrations, RegistrationState
from pacs_xds.tables import REGISTRATIONS

_PAGE: Final = 100


@define(eq=False)
class DatabaseRegistrations(Registrations):
    """Registrations in a table.

    Parameters
    ----------
    database : Database
    queue : JobQueue
    """

    database: Database
    queue: JobQueue

    async def start(self) -> None:
        """Make the tables what this version expects."""
        await self.database.migrate("xds", "pacs_xds.revisions")

    async def request(self, study_instance_uid: str) -> None:
        """See base; registrations of a study are made one after the other."""
        job = NewJob(
            REGISTER, {"study": study_instance_uid}, key=f"{REGISTER}/{study_instance_uid}"
        )
        await self.queue.enqueue(job)

    async def latest(self, study_instance_uid: str) -> Registration | None:
        """See base."""
        return await self._first(_of(study_instance_uid))

    async def current(self, study_instance_uid: str) -> Registration | None:
        """See base."""
        registered = REGISTRATIONS.c.state == RegistrationState.REGISTERED
        return await self._first(_of(study_instance_uid).where(registered))

    async def _first(self, wanted: Select[Any]) -> Registration | None:
        async with self.database.connect() as connection:
            row = (await connection.execute(wanted.limit(1))).one_or_none()
        return None if row is None else _registration(row)

    async def add(self, registration: Registration) -> Registration:
        """See base."""
        values = asdict(registration)
        del values["number"]
        values["modalities"] = "\\".join(registration.modalities)
        async with self.database.begin() as connection:
            made = await connection.execute(
                insert(REGISTRATIONS).values(values).returning(REGISTRATIONS.c.number)
            )
            return evolve(registration, number=made.scalar_one())

    async def note_attempt(self, registration: Registration) -> None:
        """See base."""
        known = REGISTRATIONS.c.number == registration.number
        values = {"attempts": REGISTRATIONS.c.attempts + 1, "changed": time.time()}
        async with self.database.begin() as connection:
            await connection.execute(update(REGISTRATIONS).where(known).values(values))

    async def note(self, registration: Registration, state: RegistrationState, reason: str) -> None:
        """See base."""
        is_registered = state is RegistrationState.REGISTERED
        values: dict[str, object] = {
            "state": state,
            "reason": reason.replace("\0", "")[:2000],
            "changed": time.time(),
        }
        table = REGISTRATIONS.c
        async with self.database.begin() as connection:
            if is_registered:
                values["content"] = b""
                before = update(REGISTRATIONS).where(
                    table.study_instance_uid == registration.study_instance_uid,
                    table.state == RegistrationState.REGISTERED,
                    table.number != registration.number,
                )
                replaced = {"state": RegistrationState.REPLACED, "changed": time.time()}
                await connection.execute(before.values(replaced))
            known = update(REGISTRATIONS).where(table.number == registration.number)
            await connection.execute(known.values(values))

    async def search(
        self, *, study: str = "", state: RegistrationState | None = None
    ) -> AsyncIterator[Registration]:
        """See base."""
        wanted = select(REGISTRATIONS).order_by(REGISTRATIONS.c.number.desc()).limit(_PAGE)
        if study:
            wanted = wanted.where(REGISTRATIONS.c.study_instance_uid == study)
        if state is not None:
            wanted = wanted.where(REGISTRATIONS.c.state == state)
        page = wanted
        while True:
            async with self.database.connect() as connection:
                rows = (await connection.execute(page)).all()
            for row in rows:
                yield _registration(row)
            if len(rows) < _PAGE:
                return
            page = wanted.where(REGISTRATIONS.c.number < rows[-1].number)


def _of(study_instance_uid: str) -> Select[Any]:
    return (
        select(REGISTRATIONS)
        .where(REGISTRATIONS.c.study_instance_uid == study_instance_uid)
        .order_by(REGISTRATIONS.c.number.desc())
    )


def _registration(row: Row[Any]) -> Registration:
    values = dict(row._mapping)
    values["state"] = RegistrationState(values["state"])
    values["modalities"] = tuple(each for each in row.modalities.split("\\") if each)
    values["content"] = bytes(values["content"])
    return Registration(**values)
