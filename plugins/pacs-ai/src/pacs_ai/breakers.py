"""Circuit breakers: services that fail again and again are left alone for a while."""

import time
from typing import Final

from pacs_database.api import Database
from sqlalchemy import select, update

from pacs_ai.tables import BREAKERS

_LONGEST: Final = 500


class Breakers:
    """The breakers of the services, for all who share a database.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_until(self, service: str, pause: float) -> tuple[float, str]:
        """Return until when a service is left alone, and why; 0 if whoever asks may try.

        Of several who come when that time is over, one may try; the others wait once more.
        """
        now = time.time()
        is_due = (BREAKERS.c.service == service, BREAKERS.c.open_until <= now)
        async with self._database.connect() as connection:
            statement = select(BREAKERS).where(BREAKERS.c.service == service)
            row = (await connection.execute(statement)).mappings().first()
        if row is None or not row["open_until"]:
            return 0.0, ""
        async with self._database.begin() as connection:
            claim = update(BREAKERS).where(*is_due).values(open_until=now + pause)
            if (await connection.execute(claim)).rowcount:
                return 0.0, ""
        return max(float(row["open_until"]), now + 0.1), str(row["reason"])

    async def note_success(self, service: str) -> None:
        """Close the breaker of a service."""
        closed = {"failures": 0, "open_until": 0.0, "reason": ""}
        where = (BREAKERS.c.service == service, BREAKERS.c.failures > 0)
        async with self._database.begin() as connection:
            await connection.execute(update(BREAKERS).where(*where).values(closed))

    async def note_failure(self, service: str, reason: str, most: int, pause: float) -> bool:
        """Count a failure of a service; tell whether that opens its breaker."""
        new = self._database.insert(BREAKERS).values(
            service=service, failures=0, open_until=0.0, reason=""
        )
        where = BREAKERS.c.service == service
        async with self._database.begin() as connection:
            await connection.execute(new.on_conflict_do_nothing(index_elements=["service"]))
            counted = update(BREAKERS).where(where)
            counted = counted.values(failures=BREAKERS.c.failures + 1, reason=reason[:_LONGEST])
            await connection.execute(counted)
            failures = (await connection.execute(select(BREAKERS.c.failures).where(where))).scalar()
            if (failures or 0) < most:
                return False
            opened = update(BREAKERS).where(where).values(open_until=time.time() + pause)
            await connection.execute(opened)
        return failures == most

    async def opened(self) -> dict[str, tuple[float, str]]:
        """Return the services that are left alone: until when, and why."""
        statement = select(BREAKERS).where(BREAKERS.c.open_until > 0)
        async with self._database.connect() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return {row["service"]: (row["open_until"], row["reason"]) for row in rows}
