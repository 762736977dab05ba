"""The facts of studies in a table of the site's database."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

from pacs_database.api import Database
from sqlalchemy import Row, delete, select, tuple_, update

from pacs_store_tiered.interface import Studies, StudyFacts
from pacs_store_tiered.tables import STUDIES

_BATCH: Final = 500


class DatabaseStudies(Studies):
    """The studies of all nodes that share a database.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def start(self) -> None:
        """Make the table what this version expects."""
        await self.database.migrate("tiered", "pacs_store_tiered.revisions")

    async def note_arrivals(self, arrivals: Mapping[str, float]) -> None:
        """See base."""
        rows = [
            {"uid": uid, "arrived": moment, "used": moment, "complete": False, "pinned": ""}
            for uid, moment in sorted(arrivals.items())
        ]
        await self._upsert(rows, "arrived", "used", "complete")

    async def note_complete(self, uids: Collection[str], *, complete: bool = True) -> None:
        """See base."""
        await self._update(uids, complete=complete)

    async def note_uses(self, uids: Collection[str], moment: float) -> None:
        """See base."""
        await self._update(uids, used=moment)

    async def pin(self, uids: Collection[str], reason: str) -> None:
        """See base."""
        rows = [
            {"uid": uid, "arrived": 0.0, "used": 0.0, "complete": False, "pinned": reason}
            for uid in sorted(uids)
        ]
        await self._upsert(rows, "pinned")

    async def pinned(self) -> AsyncIterator[StudyFacts]:
        """See base."""
        async for study in self.by_use():
            if study.pinned:
                yield study

    async def by_use(self) -> AsyncIterator[StudyFacts]:
        """See base."""
        order = (STUDIES.c.used, STUDIES.c.uid)
        query = select(STUDIES).order_by(*order).limit(_BATCH)
        rows: Sequence[Row[Any]] = ()
        while True:
            # Each batch is a view of its own: nobody waits while its studies are looked at.
            after = query.where(tuple_(*order) > (rows[-1].used, rows[-1].uid)) if rows else query
            async with self.database.connect() as connection:
                rows = (await connection.execute(after)).all()
            for row in rows:
                yield StudyFacts(row.uid, row.arrived, row.used, row.complete, row.pinned)
            if len(rows) < _BATCH:
                return

    async def forget(self, uid: str) -> None:
        """See base."""
        async with self.database.begin() as connection:
            gone = delete(STUDIES).where(STUDIES.c.uid == uid, STUDIES.c.pinned == "")
            await connection.execute(gone)

    async def _upsert(self, rows: Sequence[Mapping[str, Any]], *columns: str) -> None:
        if not rows:
            return
        added = self.database.insert(STUDIES)
        later = added.on_conflict_do_update(
            index_elements=[STUDIES.c.uid], set_={name: added.excluded[name] for name in columns}
        )
        async with self.database.begin() as connection:
            await connection.execute(later, rows)

    async def _update(self, uids: Collection[str], **values: Any) -> None:
        listed = sorted(uids)
        async with self.database.begin() as connection:
            for start in range(0, len(listed), _BATCH):
                some = STUDIES.c.uid.in_(listed[start : start + _BATCH])
                await connection.execute(update(STUDIES).where(some).values(**values))
