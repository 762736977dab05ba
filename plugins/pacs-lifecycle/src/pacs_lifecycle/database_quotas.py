"""Use of quotas, in tables of the site's database.

There is a row for each study of a quota, and one with their sums, changed in one transaction: so a
sum costs a look at one row, and counting a study again changes nothing.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from sqlalchemy import Row, delete, select, tuple_, update

from pacs_lifecycle.database_tables import DatabaseTables
from pacs_lifecycle.interface import Quotas, StudyFacts, Usage
from pacs_lifecycle.tables import QUOTAS, STUDIES, USAGE

_BATCH: Final = 200


class DatabaseQuotas(DatabaseTables, Quotas):
    """The quotas of all nodes that share a database."""

    async def define(self, quota: str, definition: str) -> bool:
        """See base."""
        new = {"definition": definition, "studies": 0, "instances": 0, "size": 0}
        async with self.database.begin() as connection:
            row = (await connection.execute(_of(quota).with_for_update())).first()
            if row is not None and row.definition == definition:
                return False
            await connection.execute(delete(USAGE).where(USAGE.c.quota == quota))
            added = self.database.insert(QUOTAS).values(name=quota, **new)
            await connection.execute(
                added.on_conflict_do_update(index_elements=[QUOTAS.c.name], set_=new)
            )
        return True

    async def note(self, quota: str, study: str, instances: int, size: int) -> None:
        """See base."""
        which = (USAGE.c.quota == quota, USAGE.c.study == study)
        async with self.database.begin() as connection:
            # The row of sums is locked first, so that two that count one study do so in turn.
            if (await connection.execute(_of(quota).with_for_update())).first() is None:
                return
            row = (await connection.execute(select(USAGE).where(*which))).first()
            former = (1, row.instances, row.size) if row is not None else (0, 0, 0)
            now = (1, instances, size) if instances else (0, 0, 0)
            if now == former:
                return
            await connection.execute(delete(USAGE).where(*which))
            if instances:
                new = {"quota": quota, "study": study, "instances": instances, "size": size}
                await connection.execute(self.database.insert(USAGE).values(new))
            sums = {
                column: QUOTAS.c[column] + after - before
                for column, after, before in zip(
                    ("studies", "instances", "size"), now, former, strict=True
                )
            }
            await connection.execute(update(QUOTAS).where(QUOTAS.c.name == quota).values(sums))

    async def usage(self, quota: str) -> Usage:
        """See base."""
        async with self.database.connect() as connection:
            row = (await connection.execute(_of(quota))).first()
        return Usage() if row is None else Usage(row.studies, row.instances, row.size)

    async def has_study(self, quota: str, study: str) -> bool:
        """See base."""
        query = select(USAGE.c.study).where(USAGE.c.quota == quota, USAGE.c.study == study)
        async with self.database.connect() as connection:
            return (await connection.execute(query)).first() is not None

    async def studies(self, quota: str) -> AsyncIterator[StudyFacts]:
        """See base."""
        order = (STUDIES.c.arrived, STUDIES.c.uid)
        query = (
            select(STUDIES)
            .join(USAGE, USAGE.c.study == STUDIES.c.uid)
            .where(USAGE.c.quota == quota)
            .order_by(*order)
            .limit(_BATCH)
        )
        rows: Sequence[Row[Any]] = ()
        while True:
            last = (rows[-1].arrived, rows[-1].uid) if rows else None
            after = query if last is None else query.where(tuple_(*order) > last)
            async with self.database.connect() as connection:
                rows = (await connection.execute(after)).all()
            for row in rows:
                yield StudyFacts(row.uid, row.arrived, row.complete)
            if len(rows) < _BATCH:
                return


def _of(quota: str) -> Any:
    return select(QUOTAS).where(QUOTAS.c.name == quota)
