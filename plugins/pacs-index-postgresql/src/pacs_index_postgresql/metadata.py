"""The metadata that the index keeps, in a table of their own: one row for each instance.

A transaction that removes an instance removes its row, and one that adds an instance does not touch
the table. So which instances lack metadata is found by walking over the ids of instances: all up to
`through` have been seen to have some. Ids are given before commits, so `through` is moved while
nobody writes. Whatever forgets metadata moves `through` back, and changes the revision, without
which neither `through` is moved forward nor anything kept: whoever began before has looked at what
was.
"""

import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from attrs import frozen

from pacs_core.contracts import (
    InstancePath,
    LackingMetadata,
    PreparedMetadata,
    Query,
    StoredInstance,
)
from pacs_core.relational import Sql
from pacs_index_postgresql.locations import (
    ABOVE,
    LOCATION,
    ROWS_OF_PATHS,
    columns_of_paths,
    stored_instance,
)
from pacs_index_postgresql.outbox import QUIET
from pacs_index_postgresql.server import Server
from pacs_index_postgresql.text import decode, encode
from pacs_index_postgresql.transaction import Transaction
from pacs_index_postgresql.writer import IndexWriter

_STATE: Final = "SELECT form, through, revision FROM metadata_state"
_LACKING: Final = f"""
    SELECT {LOCATION}, instance.id FROM instance {ABOVE}
    WHERE instance.id > $1 AND ($2 OR NOT EXISTS (
        SELECT FROM metadata WHERE metadata.instance = instance.id))
    ORDER BY instance.id LIMIT $3"""  # noqa: S608
_FIND: Final = f"""
    SELECT {LOCATION}, instance.id FROM instance {ABOVE}
    WHERE SOPInstanceUID = $1 AND StudyInstanceUID = $2"""  # noqa: S608
_KEEP: Final = """
    INSERT INTO metadata VALUES ($1, $2) ON CONFLICT (instance) DO UPDATE SET content = $2"""
_THROUGH: Final = """
    UPDATE metadata_state SET through = $1 WHERE revision = $2 AND form = $3 AND NOT EXISTS (
        SELECT FROM instance WHERE id > through AND id <= $1 AND NOT EXISTS (
            SELECT FROM metadata WHERE metadata.instance = instance.id))"""
_FAR: Final = 512
"""Instances that are walked over again and again before `through` is moved."""
CONTENT: Final = (
    "(SELECT content FROM metadata WHERE metadata.instance = instance.id "
    "AND (SELECT form FROM metadata_state) = (SELECT name FROM form))"
)
"""The column of what is kept for an instance, within :func:`in_form`."""


def in_form(form: str) -> Sql:
    """Return the common table expression for `CONTENT`: the form that is asked for."""
    return Sql("WITH form (name) AS (VALUES (?::text)) ", (form,))


def instance_with_metadata(row: Sequence[Any]) -> tuple[StoredInstance, bytes | None]:
    """Return what the columns of `LOCATION` and `CONTENT` say."""
    content = row[-1]
    return stored_instance(row[:-1]), None if content is None else _decompress(content)


def _decompress(content: bytes) -> bytes | None:
    try:
        return zlib.decompress(content)
    except zlib.error:
        return None


@frozen
class PostgresqlMetadata(PreparedMetadata):
    """The metadata as the kernel sees them."""

    _form: str
    _server: Server
    _writer: Callable[[], IndexWriter]
    _find: Callable[[Query, str], AsyncIterator[tuple[StoredInstance, bytes | None]]]

    def find(self, query: Query) -> AsyncIterator[tuple[StoredInstance, bytes | None]]:
        """Iterate over instances and what is kept, see :meth:`PreparedMetadata.find`."""
        return self._find(query, self._form)

    async def lacking(self, limit: int) -> LackingMetadata:
        """Return what lacks metadata, see :meth:`PreparedMetadata.lacking`."""

        async def work(connection: Any) -> LackingMetadata:
            # In this order: what comes or goes in between must not look as if it had been there.
            present, noted, revision = await connection.fetchrow(_STATE)
            is_other = decode(present) != self._form
            noted = 0 if is_other else noted
            last = await connection.fetchval("SELECT coalesce(max(id), 0) FROM instance")
            if last <= noted:
                return LackingMetadata((), revision)
            rows = await connection.fetch(_LACKING, noted, is_other, limit)
            through = rows[0][-1] - 1 if rows else last
            if through - noted >= (_FAR if rows else 1) and not is_other:
                async with connection.transaction():
                    await connection.execute(QUIET)
                    await connection.execute(_THROUGH, through, revision, encode(self._form))
            return LackingMetadata([stored_instance(row) for row in rows], revision)

        return await self._server.run(work)

    async def revision(self) -> int:
        """Return the revision, see :meth:`PreparedMetadata.revision`."""
        row = await self._server.run(lambda connection: connection.fetchrow(_STATE))
        return int(row[2])

    async def keep(
        self, metadata: Sequence[tuple[StoredInstance, bytes | None]], revision: int
    ) -> bool:
        """Keep metadata, see :meth:`PreparedMetadata.keep`."""

        async def work(connection: Any) -> bool:
            async with connection.transaction():
                await connection.execute("SET LOCAL synchronous_commit = off")
                present, _, now = await connection.fetchrow(f"{_STATE} FOR UPDATE")
                if now != revision:
                    return False
                if decode(present) != self._form:
                    await connection.execute("DELETE FROM metadata")
                    await connection.execute(
                        "UPDATE metadata_state SET form = $1, through = 0", encode(self._form)
                    )
                for instance, content in metadata:
                    study, uid = instance.identity.path
                    row = await connection.fetchrow(_FIND, encode(uid), encode(study))
                    if row is not None and stored_instance(row) == instance:
                        kept = None if content is None else zlib.compress(content)
                        await connection.execute(_KEEP, row[-1], kept)
            return True

        return await self._server.run(work)

    async def forget(self, paths: Sequence[InstancePath]) -> None:
        """Forget the metadata of some instances, see :meth:`PreparedMetadata.forget`."""

        async def work(changes: Transaction) -> None:
            rows = await changes.connection.fetch(ROWS_OF_PATHS, *columns_of_paths(paths))
            await changes.forget_metadata([row[0] for row in rows])

        await self._writer().run(work)
