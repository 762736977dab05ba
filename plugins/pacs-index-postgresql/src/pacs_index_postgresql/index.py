"""The index."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pacs_core.contracts import (
    Conflict,
    Durability,
    Fingerprint,
    Index,
    IndexRebuild,
    IndexResult,
    InstancePath,
    InstanceRecord,
    Level,
    Query,
    StoredInstance,
)
from pacs_core.dataset import Attributes
from pacs_core.relational import (
    TABLES,
    Matching,
    Paging,
    Reading,
    build_catalog,
    counted_entities,
    matching_entities,
    matching_instances,
    read_attributes,
    read_instances,
)
from pacs_index_postgresql.changes import Changes, LastSeen
from pacs_index_postgresql.config import PostgresqlIndexConfig
from pacs_index_postgresql.conflicts import PAGE, listings
from pacs_index_postgresql.correction_log import PostgresqlCorrectionLog
from pacs_index_postgresql.dialect import PostgresqlDialect
from pacs_index_postgresql.errors import PostgresqlIndexError, translate_error
from pacs_index_postgresql.leases import PostgresqlLeases
from pacs_index_postgresql.locations import (
    BATCH,
    CORRECTED,
    LOCATE,
    LOCATION,
    UNFLUSHED,
    stored_instance,
)
from pacs_index_postgresql.metadata import (
    CONTENT,
    PostgresqlMetadata,
    in_form,
    instance_with_metadata,
)
from pacs_index_postgresql.outbox import PostgresqlChangeLog
from pacs_index_postgresql.rebuilding import rebuild
from pacs_index_postgresql.schema import prepare
from pacs_index_postgresql.searching import RunningSearch, Searcher
from pacs_index_postgresql.server import Server
from pacs_index_postgresql.text import decode, encode
from pacs_index_postgresql.writer import IndexWriter


class PostgresqlIndex(Index):
    """An index in a PostgreSQL database, which any number of nodes may share.

    Parameters
    ----------
    config : PostgresqlIndexConfig
    """

    shared = True

    def __init__(self, config: PostgresqlIndexConfig) -> None:
        self._config = config
        self._catalog = build_catalog(config.attributes, plugin="index-postgresql", is_sorted=True)
        self._wanted = frozenset(self._catalog.attributes)
        self._searchable = {level: self._catalog.searchable(level) for level in Level}
        self._dialect = PostgresqlDialect(config.schema)
        self._server = Server(config)
        self._searcher = Searcher(self._server)
        self._running: IndexWriter | None = None
        self._last_seen = LastSeen()
        self._change_log = PostgresqlChangeLog(self._server, config.schema)
        self._leases = PostgresqlLeases(self._server)
        self._correction_log = PostgresqlCorrectionLog(self._server, self._last_seen)

    async def start(self) -> None:
        """Connect, and bring the tables to the present schema."""
        await self._server.open()
        try:
            async with self._server.connection(patience=self._config.timeout) as connection:
                await prepare(connection, self._config.schema, self._catalog, self._server.where)
        except Exception as error:
            where = self._server.where
            await self._server.close()
            raise translate_error(error, where) from error
        changes = Changes(
            self._catalog, self._config.schema, self._config.known_series, self._last_seen
        )
        self._running = IndexWriter(self._server, changes, self._config.batch)

    async def stop(self) -> None:
        """Commit what is queued, and close all connections."""
        writer, self._running = self._running, None
        if writer is not None:
            await writer.close()
        await self._server.close()

    @property
    def _writer(self) -> IndexWriter:
        if self._running is None:
            raise PostgresqlIndexError("the index is not running: call start() first")
        return self._running

    @property
    def wanted_tags(self) -> frozenset[int]:
        """Tags of everything stored."""
        return self._wanted

    def searchable_tags(self, level: Level) -> frozenset[int]:
        """Tags of the level and those above."""
        return self._searchable[level]

    async def add(
        self, record: InstanceRecord, *, durability: Durability = Durability.COMMIT
    ) -> IndexResult:
        """Add an instance, see :meth:`Index.add`."""
        return (await self._writer.add([record], durability))[0]

    async def add_many(
        self, records: Sequence[InstanceRecord], *, durability: Durability = Durability.COMMIT
    ) -> Sequence[IndexResult]:
        """Add instances together, see :meth:`Index.add_many`."""
        return await self._writer.add(records, durability) if records else []

    async def replace(self, record: InstanceRecord) -> IndexResult:
        """Put an instance in the place of another, see :meth:`Index.replace`."""
        result: IndexResult = await self._writer.run(lambda changes: changes.replace(record))
        return result

    async def remove(self, path: InstancePath) -> StoredInstance | None:
        """Remove an instance, see :meth:`Index.remove`."""
        found: StoredInstance | None = await self._writer.run(lambda changes: changes.remove(path))
        return found

    async def settle(self, paths: Sequence[InstancePath]) -> None:
        """Forget that objects were not on disk, see :meth:`Index.settle`."""
        await self._writer.run(lambda changes: changes.settle(paths))

    async def clear(self) -> None:
        """Remove everything, see :meth:`Index.clear`."""
        await self._writer.run(lambda changes: changes.clear())

    async def unflushed(self) -> AsyncIterator[StoredInstance]:
        """Iterate over what is not settled, see :meth:`Index.unflushed`."""
        async for instance in self._by_row(UNFLUSHED):
            yield instance

    async def corrected(self) -> AsyncIterator[StoredInstance]:
        """Iterate over what corrections apply to, see :meth:`Index.corrected`."""
        async for instance in self._by_row(CORRECTED):
            yield instance

    async def _by_row(self, statement: str) -> AsyncIterator[StoredInstance]:
        last, more = 0, True
        # Only a full page has another after it: what is added meanwhile is not run after.
        while more:
            found = await self._fetch(statement, last)
            more = len(found) == BATCH
            for row in found:
                last = row[-1]
                yield stored_instance(row)

    async def _fetch(self, statement: str, *values: Any) -> list[Any]:
        found: list[Any] = await self._server.run(
            lambda connection: connection.fetch(statement, *values), long=True
        )
        return found

    async def conflicts(self) -> AsyncIterator[Conflict]:
        """Iterate over all conflicts, see :meth:`Index.conflicts`."""
        for listing in listings(self._catalog):
            last, more = listing.first, True
            while more:
                found = await self._fetch(listing.query, last, PAGE)
                more = len(found) == PAGE
                for row in found:
                    last = row[0]
                    yield listing.conflict(row)

    @property
    def change_log(self) -> PostgresqlChangeLog:
        """The changes that are kept for consumers."""
        return self._change_log

    @property
    def correction_log(self) -> PostgresqlCorrectionLog:
        """The log of corrections."""
        return self._correction_log

    @property
    def leases(self) -> PostgresqlLeases:
        """Leases of all nodes that share the index."""
        return self._leases

    def prepared_metadata(self, form: str) -> PostgresqlMetadata:
        """Return the metadata that are kept, see :meth:`Index.prepared_metadata`."""
        return PostgresqlMetadata(form, self._server, lambda: self._writer, self._find_metadata)

    def _find_metadata(
        self, query: Query, form: str
    ) -> AsyncIterator[tuple[StoredInstance, bytes | None]]:
        found = matching_instances(self._dialect, self._catalog, query)
        columns = f"{LOCATION}, {CONTENT}"
        reading = read_instances(self._dialect, columns, instance_with_metadata, in_form(form))
        return self._batches(query, found, reading)

    async def gap(self) -> str:
        """Return why instances may be lacking, see :meth:`Index.gap`."""
        return await self._noted_gap() or ""

    async def has_no_gap(self) -> bool:
        """Tell whether none is lacking, see :meth:`Index.has_no_gap`."""
        return await self._noted_gap() == ""

    async def _noted_gap(self) -> str | None:
        # An empty one counts least, should two nodes have noted one each.
        statement = "SELECT max(reason) FROM gap"
        noted = await self._server.run(lambda connection: connection.fetchval(statement))
        return None if noted is None else decode(noted)

    async def note_gap(self, reason: str) -> None:
        """Note why instances may be lacking, see :meth:`Index.note_gap`."""
        await self._writer.run(lambda changes: changes.note_gap(reason))

    @asynccontextmanager
    async def rebuilding(self) -> AsyncIterator[IndexRebuild]:
        """Build another schema beside this one, see :meth:`Index.rebuilding`."""
        async with rebuild(self._server, self._config, PostgresqlIndex) as building:
            yield building

    async def analyze(self) -> None:
        """Let the server count what the tables have, by which it plans searches."""
        tables = ", ".join(TABLES.values())
        await self._server.run(lambda connection: connection.execute(f"ANALYZE {tables}"))

    async def take_over_corrections(self, statement: str) -> None:
        """Take the log of corrections of the index before this one."""
        await self._server.run(lambda connection: connection.execute(statement))
        await self._correction_log.corrections()

    async def locate(self, path: InstancePath) -> StoredInstance | None:
        """Look an instance up, see :meth:`Index.locate`."""
        uids = encode(path[1]), encode(path[0])
        row = await self._server.run(lambda connection: connection.fetchrow(LOCATE, *uids))
        return stored_instance(row) if row else None

    def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Iterate over what matches, see :meth:`Index.search`."""
        found = matching_entities(self._dialect, self._catalog, query)
        reading = read_attributes(self._dialect, self._catalog, query)
        return self._batches(query, found, reading)

    async def count(self, query: Query) -> int:
        """Count what matches, see :meth:`Index.count`."""
        return await self._searcher.count(counted_entities(self._dialect, self._catalog, query))

    def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Iterate over matching instances, see :meth:`Index.instances`."""
        found = matching_instances(self._dialect, self._catalog, query)
        reading = read_instances(self._dialect, LOCATION, stored_instance)
        return self._batches(query, found, reading)

    async def fingerprint(self, query: Query) -> Fingerprint:
        """Return number and digest of the instances that match, see :meth:`Index.fingerprint`."""
        found = matching_instances(self._dialect, self._catalog, query)
        return await self._searcher.fingerprint(found)

    async def _batches(self, query: Query, found: Matching, reading: Reading) -> AsyncIterator[Any]:
        paging = Paging(found, query.limit, query.offset)
        running = RunningSearch(self._searcher, paging, reading)
        while not paging.is_exhausted:
            for result in await running.batch():
                yield result
