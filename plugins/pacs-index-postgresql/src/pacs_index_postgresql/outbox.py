"""The changes that are kept for consumers: written with the rows, read later, trimmed when done.

Numbers are in the order of commits, see :mod:`.changes`. Who begins to follow waits for all that
write, and keeps them out for a moment: none of those that did not see it ends later.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from pacs_core.contracts import Change, ChangeKind, ChangeLog, ChangesLostError, Cursor
from pacs_index_postgresql.locations import LOCATION, stored_instance
from pacs_index_postgresql.locks import ORDER, STRUCTURE, take
from pacs_index_postgresql.server import Server

QUIET: Final = "LOCK TABLE instance IN SHARE MODE"
"""Waits until nobody writes instances, and lets nobody begin until the transaction ends."""
_LAST: Final = """coalesce(
    (SELECT last_value FROM pg_sequences WHERE schemaname = current_schema()
     AND sequencename = 'change_sequence_seq'), 0)"""
_FOLLOW: Final = f"""
    INSERT INTO consumer VALUES ($1, {_LAST}, $2) ON CONFLICT (name) DO NOTHING"""  # noqa: S608
_AFTER: Final = f"""
    SELECT {LOCATION}, sequence, kind, time FROM change
    WHERE sequence > $1 ORDER BY sequence LIMIT $2"""  # noqa: S608
_CURSORS: Final = """
    SELECT name, sequence, walked,
    (SELECT count(*) FROM change WHERE change.sequence > consumer.sequence)
    FROM consumer WHERE name = coalesce($1, name) ORDER BY name"""
_ADVANCE: Final = (
    "UPDATE consumer SET sequence = greatest(sequence, $2), walked = TRUE WHERE name = $1"
)
_TRIM: Final = """
    DELETE FROM change WHERE sequence <= coalesce(
    (SELECT min(sequence) FROM consumer), (SELECT max(sequence) FROM change))"""
_NOTE_STUDY: Final = "INSERT INTO change (kind, time, StudyInstanceUID) VALUES ($1, $2, $3)"
_THROUGH: Final = "SELECT through FROM complete_study WHERE StudyInstanceUID = $1"
_OPEN: Final = "DELETE FROM complete_study WHERE StudyInstanceUID = $1"
_COMPLETE: Final = """
    INSERT INTO complete_study VALUES ($1, $2)
    ON CONFLICT (StudyInstanceUID) DO UPDATE SET through = $2"""


@frozen
class PostgresqlChangeLog(ChangeLog):
    """The changes as the kernel sees them."""

    _server: Server
    _schema: str

    async def follow(self, consumer: str, *, walked: bool = True) -> Cursor:
        """Return the cursor of a consumer, see :meth:`ChangeLog.follow`."""

        async def work(connection: Any) -> Cursor:
            if not await _cursors(connection, consumer):
                async with connection.transaction():
                    await connection.execute(QUIET)
                    await connection.execute(_FOLLOW, consumer, walked)
            return (await _cursors(connection, consumer))[0]

        return await self._server.run(work)

    async def changes(self, after: int, limit: int) -> Sequence[Change]:
        """Return some changes, see :meth:`ChangeLog.changes`."""

        async def work(connection: Any) -> list[Change]:
            found = await connection.fetch(_AFTER, after, limit)
            if not found and after > await connection.fetchval(f"SELECT {_LAST}"):
                raise ChangesLostError(
                    f"the index has never had a change {after}: it was made anew"
                )
            return [_change(row) for row in found]

        return await self._server.run(work)

    async def advance(self, consumer: str, sequence: int) -> None:
        """Move a cursor, see :meth:`ChangeLog.advance`."""

        async def work(connection: Any) -> None:
            async with connection.transaction():
                if await connection.execute(_ADVANCE, consumer, sequence) == "UPDATE 0":
                    raise ChangesLostError(f"the index does not know the consumer {consumer}")
                await connection.execute(_TRIM)

        await self._server.run(work)

    async def unfollow(self, consumer: str) -> bool:
        """Forget a consumer, see :meth:`ChangeLog.unfollow`."""

        async def work(connection: Any) -> bool:
            async with connection.transaction():
                done = await connection.execute("DELETE FROM consumer WHERE name = $1", consumer)
                await connection.execute(_TRIM)
            return bool(done != "DELETE 0")

        return await self._server.run(work)

    async def cursors(self) -> Sequence[Cursor]:
        """Return all cursors, see :meth:`ChangeLog.cursors`."""
        return await self._server.run(_cursors)

    async def note_complete(self, study_instance_uid: str, through: int) -> bool:
        """Note that a study is complete, see :meth:`ChangeLog.note_complete`."""
        study = study_instance_uid

        async def work(connection: Any) -> bool:
            has = "SELECT EXISTS (SELECT FROM study WHERE StudyInstanceUID = $1)"
            if not await connection.fetchval(has, study):
                await connection.execute(_OPEN, study)
                return False
            known = await connection.fetchval(_THROUGH, study) is not None
            await connection.execute(_COMPLETE, study, through)
            if not known:
                await _note_study(connection, ChangeKind.STUDY_COMPLETE, study)
            return not known

        return await self._alone(work)

    async def note_reopened(self, study_instance_uid: str, sequence: int) -> bool:
        """Note that a study is complete no more, see :meth:`ChangeLog.note_reopened`."""
        study = study_instance_uid

        async def work(connection: Any) -> bool:
            through = await connection.fetchval(_THROUGH, study)
            if through is None or sequence <= through:
                return False
            await connection.execute(_OPEN, study)
            await _note_study(connection, ChangeKind.STUDY_REOPENED, study)
            return True

        return await self._alone(work)

    async def _alone(self, work: Any) -> bool:
        async def run(connection: Any) -> bool:
            async with connection.transaction():
                for lock in (STRUCTURE, ORDER):
                    await take(connection, lock, self._schema)
                return bool(await work(connection))

        return await self._server.run(run)


async def _cursors(connection: Any, consumer: str | None = None) -> list[Cursor]:
    rows = await connection.fetch(_CURSORS, consumer)
    return [Cursor(name, sequence, walked, behind) for name, sequence, walked, behind in rows]


async def _note_study(connection: Any, kind: ChangeKind, study: str) -> None:
    await connection.execute(_NOTE_STUDY, kind.value, time.time(), study)


def _change(row: Any) -> Change:
    *location, sequence, kind, when = row
    instance = None if location[2] is None else stored_instance(location)
    return Change(sequence, ChangeKind(kind), when, location[0], instance)
