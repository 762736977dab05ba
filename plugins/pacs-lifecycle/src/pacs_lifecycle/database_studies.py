"""The facts of studies, and holds, in tables of the site's database."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, delete, select, tuple_, update

from pacs_lifecycle.database_tables import DatabaseTables
from pacs_lifecycle.interface import Hold, Studies, StudyFacts
from pacs_lifecycle.tables import HOLDS, STUDIES

_BATCH: Final = 500


class DatabaseStudies(DatabaseTables, Studies):
    """The studies of all nodes that share a database."""

    async def note_arrivals(self, arrivals: Mapping[str, float]) -> None:
        """See base."""
        rows = [
            {"uid": uid, "arrived": moment, "complete": False}
            for uid, moment in sorted(arrivals.items())
        ]
        if not rows:
            return
        added = self.database.insert(STUDIES)
        later = added.on_conflict_do_update(
            index_elements=[STUDIES.c.uid],
            set_={"arrived": added.excluded.arrived, "complete": added.excluded.complete},
        )
        async with self.database.begin() as connection:
            await connection.execute(later, rows)

    async def note_complete(self, uids: Collection[str], *, complete: bool) -> None:
        """See base."""
        async with self.database.begin() as connection:
            for some in _batches(uids):
                which = STUDIES.c.uid.in_(some)
                await connection.execute(update(STUDIES).where(which).values(complete=complete))

    async def forget(self, uids: Collection[str]) -> None:
        """See base."""
        async with self.database.begin() as connection:
            for some in _batches(uids):
                await connection.execute(delete(STUDIES).where(STUDIES.c.uid.in_(some)))

    async def by_arrival(self, before: float) -> AsyncIterator[Sequence[StudyFacts]]:
        """See base."""
        order = (STUDIES.c.arrived, STUDIES.c.uid)
        query = select(STUDIES).where(STUDIES.c.arrived < before).order_by(*order).limit(_BATCH)
        rows: Sequence[Row[Any]] = ()
        while True:
            # Each batch is a view of its own: nobody waits while its studies are looked at.
            last = (rows[-1].arrived, rows[-1].uid) if rows else None
            after = query if last is None else query.where(tuple_(*order) > last)
            async with self.database.connect() as connection:
                rows = (await connection.execute(after)).all()
            if rows:
                yield [StudyFacts(row.uid, row.arrived, row.complete) for row in rows]
            if len(rows) < _BATCH:
                return

    async def by_uid(self, after: str) -> AsyncIterator[str]:
        """See base."""
        while True:
            query = select(STUDIES.c.uid).where(STUDIES.c.uid > after)
            async with self.database.connect() as connection:
                some = query.order_by(STUDIES.c.uid).limit(_BATCH)
                uids = (await connection.execute(some)).scalars().all()
            for uid in uids:
                yield uid
            if len(uids) < _BATCH:
                return
            after = uids[-1]

    async def hold(self, hold: Hold) -> None:
        """See base."""
        row = {
            "study": hold.study,
            "reason": hold.reason,
            "held_by": hold.held_by,
            "since": hold.since,
        }
        added = self.database.insert(HOLDS).values(row)
        changed = added.on_conflict_do_update(index_elements=[HOLDS.c.study], set_=row)
        async with self.database.begin() as connection:
            await connection.execute(changed)

    async def release(self, study: str) -> bool:
        """See base."""
        async with self.database.begin() as connection:
            gone = await connection.execute(delete(HOLDS).where(HOLDS.c.study == study))
        return bool(gone.rowcount)

    async def holds(self, studies: Collection[str] = ()) -> Sequence[Hold]:
        """See base."""
        found: list[Hold] = []
        async with self.database.connect() as connection:
            for some in _batches(studies) if studies else [None]:
                query = select(HOLDS).order_by(HOLDS.c.since, HOLDS.c.study)
                if some is not None:
                    query = query.where(HOLDS.c.study.in_(some))
                rows = await connection.execute(query)
                found += [Hold(row.study, row.reason, row.held_by, row.since) for row in rows]
        return found


def _batches(uids: Collection[str]) -> list[list[str]]:
    listed = sorted(uids)
    return [listed[start : start + _BATCH] for start in range(0, len(listed), _BATCH)]
