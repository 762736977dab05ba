"""Findings of damage, and how far the looks have come, in tables of the site's database."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from attrs import asdict
from sqlalchemy import Row, delete, func, select, update

from pacs_lifecycle.database_tables import DatabaseTables
from pacs_lifecycle.interface import Finding, Findings, Pass
from pacs_lifecycle.tables import FINDINGS, PASSES


class DatabaseFindings(DatabaseTables, Findings):
    """The findings of all nodes that share a database."""

    async def claim(self, name: str, seconds: float) -> Pass | None:
        """See base."""
        now, is_it = time.time(), PASSES.c.name == name
        new = self.database.insert(PASSES).values(name=name, held_until=0.0, **asdict(Pass()))
        async with self.database.begin() as connection:
            await connection.execute(new.on_conflict_do_nothing())
            held = update(PASSES).where(is_it, PASSES.c.held_until < now)
            if not (await connection.execute(held.values(held_until=now + seconds))).rowcount:
                return None
            return _pass_of((await connection.execute(select(PASSES).where(is_it))).one())

    async def save(self, name: str, state: Pass, hold: float) -> None:
        """See base."""
        values = {**asdict(state), "held_until": time.time() + hold if hold else 0.0}
        async with self.database.begin() as connection:
            await connection.execute(update(PASSES).where(PASSES.c.name == name).values(values))

    async def last(self, name: str) -> Pass:
        """See base."""
        async with self.database.connect() as connection:
            row = (await connection.execute(select(PASSES).where(PASSES.c.name == name))).first()
        return Pass() if row is None else _pass_of(row)

    async def note(self, by_whom: str, findings: Sequence[Finding]) -> None:
        """See base."""
        async with self.database.begin() as connection:
            for each in findings:
                values = {**asdict(each), "by_whom": by_whom}
                again = {"kind": each.kind, "detail": each.detail, "by_whom": by_whom}
                added = self.database.insert(FINDINGS).values(values)
                await connection.execute(
                    added.on_conflict_do_update(index_elements=[FINDINGS.c.key], set_=again)
                )

    async def clear(self, by_whom: str, instances: Collection[str] | None = None) -> None:
        """See base."""
        gone = delete(FINDINGS).where(FINDINGS.c.by_whom == by_whom)
        if instances is not None:
            gone = gone.where(FINDINGS.c.instance.in_(list(instances)))
        async with self.database.begin() as connection:
            await connection.execute(gone)

    async def found(self, limit: int) -> Sequence[Finding]:
        """See base."""
        query = select(FINDINGS).order_by(FINDINGS.c.found, FINDINGS.c.key).limit(limit)
        async with self.database.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [Finding(row.key, row.kind, row.instance, row.detail, row.found) for row in rows]

    async def counts(self) -> Mapping[str, int]:
        """See base."""
        query = select(FINDINGS.c.kind, func.count().label("number")).group_by(FINDINGS.c.kind)
        async with self.database.connect() as connection:
            return {row.kind: row.number for row in await connection.execute(query)}


def _pass_of(row: Row[Any]) -> Pass:
    return Pass(row.position, row.began, row.ended, row.checked, row.unread, row.size)
