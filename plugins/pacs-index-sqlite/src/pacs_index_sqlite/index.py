"""The index."""

import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from anyio import Lock, to_thread
from attrs import evolve

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
    Matching,
    Paging,
    Reading,
    build_catalog,
    matching_entities,
    matching_instances,
    read_attributes,
)
from pacs_index_sqlite.changes import Changes
from pacs_index_sqlite.config import SqliteIndexConfig
from pacs_index_sqlite.conflicts import is_full, listings
from pacs_index_sqlite.correction_log import LastSeen, SqliteCorrectionLog, take_over
from pacs_index_sqlite.dialect import SQLITE
from pacs_index_sqlite.errors import (
    CorruptIndexError,
    ReplacedIndexError,
    SqliteIndexError,
    translate_error,
    translate_errors,
)
from pacs_index_sqlite.leases import LeaseTable, SqliteLeases
from pacs_index_sqlite.locations import BATCH, corrected_after, unflushed_after
from pacs_index_sqlite.metadata import Metadata, SqliteMetadata
from pacs_index_sqlite.opened import OpenIndex, open_connections
from pacs_index_sqlite.outbox import Outbox, Row, SqliteChangeLog
from pacs_index_sqlite.rebuilding import Predecessor, SqliteRebuild, alone
from pacs_index_sqlite.searching import (
    RunningSearch,
    count_of,
    fingerprint_of,
    kept_metadata,
    names_few,
    stored_instances,
)

# Theory of operation
#
# Three ways lead into the file. Changes are queued for the one thread that writes (`writer`).
# Searches are read batch by batch in worker threads, on connections of a pool (`searching`).
# `locate`, and what is as short, is read in the event loop's own thread, on a connection of its
# own; so are searches that name what they find, as long as that is fast (`ReaderPool.run_brief`).
#
# Each of them first asks for what is open now (`_current`), which compares it with what lies at the
# path: another process may have built the index anew. The one that finds it replaced opens the new
# one, under a lock, so that it is opened once. Searches that are under way go on in the old file,
# which stays on disk as long as it is open; it is closed with the last of them.

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class SqliteIndex(Index):
    """An index in one SQLite file on a local disk, which several processes may share.

    Changes that are to be on disk go through one thread, which commits together whatever has
    gathered; searches run in worker threads. What waits for no disk, and takes less time than to
    hand it to a thread and back, is done in the event loop's own: :meth:`locate` (some 15 µs), a
    search for what is named by its UID, and rows that need not be on disk yet.

    Parameters
    ----------
    path : Path
        The database file; it is created with its folder.
    config : SqliteIndexConfig
    """

    shared = True

    def __init__(self, path: Path, config: SqliteIndexConfig | None = None) -> None:
        self._path = path
        self.directory = path.parent
        self._config = config or SqliteIndexConfig()
        self._catalog = build_catalog(self._config.attributes, plugin="index-sqlite")
        self._wanted = frozenset(self._catalog.attributes)
        self._searchable = {level: self._catalog.searchable(level) for level in Level}
        self._in_use: OpenIndex | None = None
        self._opening = Lock()
        self._change_log = SqliteChangeLog(self._write_outbox, self._read)
        self._leases = SqliteLeases(self._write_leases, self._read)
        self._last_seen = LastSeen()
        self._correction_log = SqliteCorrectionLog(self._write, self._read, self._last_seen)

    async def start(self) -> None:
        """Open or create the file, and bring it to the present schema."""
        self._in_use = await self._open()

    async def _open(self) -> OpenIndex:
        connections = await to_thread.run_sync(
            open_connections, self._path, self._config, self._catalog
        )
        return OpenIndex.begin(connections, self._config, self._catalog, self._last_seen)

    async def stop(self) -> None:
        """Commit what is queued, and close the file."""
        opened, self._in_use = self._in_use, None
        if opened is not None:
            await opened.close()

    @property
    def _opened(self) -> OpenIndex:
        if self._in_use is None:
            raise SqliteIndexError(f"the index {self._path} is not running: call start() first")
        return self._in_use

    async def _current(self) -> OpenIndex:
        """Return what is open, once it is what lies at the path."""
        while True:
            opened = self._opened
            try:
                opened.connections.files.check()
            except ReplacedIndexError:
                await self._open_again(opened)
            else:
                return opened

    async def _open_again(self, replaced: OpenIndex) -> None:
        async with self._opening:
            if self._in_use is not replaced:
                return
            self._in_use = anew = await self._open()
            log.warning("the index %s was replaced by another; it is opened again", self._path)
            await replaced.close()
            if anew.connections.fresh:
                await self.note_gap("a new, empty file took its place while the node was running")

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
        if durability is Durability.WRITE_BEHIND:
            return await self._change(
                lambda changes: changes.add(record, unflushed=True), durability
            )
        return await self._change(lambda changes: changes.add(record), durability)

    async def add_many(
        self, records: Sequence[InstanceRecord], *, durability: Durability = Durability.COMMIT
    ) -> Sequence[IndexResult]:
        """Add instances in one transaction, see :meth:`Index.add_many`."""
        behind = durability is Durability.WRITE_BEHIND

        def work(changes: Changes) -> list[IndexResult]:
            return [changes.add(record, unflushed=behind) for record in records]

        return await self._change(work, durability) if records else []

    async def unflushed(self) -> AsyncIterator[StoredInstance]:
        """Iterate over what is not settled, see :meth:`Index.unflushed`."""
        async for instance in self._by_row(unflushed_after):
            yield instance

    async def _by_row(
        self, page: Callable[[int, sqlite3.Connection], list[tuple[int, StoredInstance]]]
    ) -> AsyncIterator[StoredInstance]:
        with await self._current() as opened:
            last, more = 0, True
            # Only a full page has another after it: what is added meanwhile is not run after.
            while more:
                found = await opened.readers.run(partial(page, last))
                more = len(found) == BATCH
                for row, instance in found:
                    last = row
                    yield instance

    async def settle(self, paths: Sequence[InstancePath]) -> None:
        """Forget that objects were not on disk, see :meth:`Index.settle`."""
        await self._change(lambda changes: changes.settle(paths))

    async def replace(self, record: InstanceRecord) -> IndexResult:
        """Put an instance in the place of another, see :meth:`Index.replace`."""
        return await self._change(lambda changes: changes.replace(record))

    async def remove(self, path: InstancePath) -> StoredInstance | None:
        """Remove an instance, see :meth:`Index.remove`."""
        return await self._change(lambda changes: changes.remove(path))

    async def conflicts(self) -> AsyncIterator[Conflict]:
        """Iterate over all conflicts, see :meth:`Index.conflicts`."""
        with await self._current() as opened:
            for listing in listings(self._catalog):
                last, more = listing.first, True
                while more:
                    found = await opened.readers.run(partial(listing.page, last))
                    more = is_full(found)
                    for key, conflict in found:
                        last = key
                        yield conflict

    async def clear(self) -> None:
        """Remove everything."""
        await self._change(Changes.clear)

    async def is_empty(self) -> bool:
        """Tell whether there is no instance."""
        return not await self._read_all("SELECT 1 FROM instance LIMIT 1")

    async def _read_all(self, statement: str) -> list[Any]:
        """Return all rows of a statement."""
        return await self._read(lambda connection: connection.execute(statement).fetchall())

    async def _read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        opened = await self._current()
        return await opened.readers.run(work)

    @property
    def change_log(self) -> SqliteChangeLog:
        """The changes kept for consumers."""
        return self._change_log

    def prepared_metadata(self, form: str) -> SqliteMetadata:
        """Return the metadata that are kept, see :meth:`Index.prepared_metadata`."""
        return SqliteMetadata(form, self._write_metadata, self._read, self._find_metadata)

    async def _write_metadata(self, work: Callable[[Metadata], Result]) -> Result:
        # What a power failure takes of this is made again.
        return await self._change(lambda changes: work(changes.metadata), Durability.WRITE_BEHIND)

    def _find_metadata(
        self, query: Query, form: str
    ) -> AsyncIterator[tuple[StoredInstance, bytes | None]]:
        found = matching_instances(SQLITE, self._catalog, query)
        return self._batches(query, found, kept_metadata(form))

    @property
    def correction_log(self) -> SqliteCorrectionLog:
        """The log of corrections."""
        return self._correction_log

    async def corrected(self) -> AsyncIterator[StoredInstance]:
        """Iterate over what corrections apply to, see :meth:`Index.corrected`."""
        async for instance in self._by_row(corrected_after):
            yield instance

    async def _write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        return await self._change(lambda changes: work(changes.connection))

    async def take_over_corrections(self, rows: list[Row]) -> None:
        """Put the log of the index before this one in the place of this one's."""
        await self._write(lambda connection: take_over(connection, rows))

    @property
    def leases(self) -> SqliteLeases:
        """Leases of all processes that share the file."""
        return self._leases

    async def _write_leases(self, work: Callable[[LeaseTable], Result]) -> Result:
        # No holder outlives a power failure.
        return await self._change(lambda changes: work(changes.leases), Durability.WRITE_BEHIND)

    async def _write_outbox(self, work: Callable[[Outbox], Result]) -> Result:
        # What a power failure takes of this is done again.
        return await self._change(lambda changes: work(changes.outbox), Durability.WRITE_BEHIND)

    async def take_over(self, table: str, rows: list[Row]) -> None:
        """Put rows of the index before this one into a table that is kept for consumers."""
        await self._change(lambda changes: changes.outbox.take_over(table, rows))

    async def gap(self) -> str:
        """Return why instances may be lacking, see :meth:`Index.gap`; read in this thread."""
        return await self._noted_gap() or ""

    async def has_no_gap(self) -> bool:
        """Tell whether none is lacking, see :meth:`Index.has_no_gap`."""
        return await self._noted_gap() == ""

    async def _noted_gap(self) -> str | None:
        opened = await self._current()
        with translate_errors(self._path):
            return opened.gap()

    async def note_gap(self, reason: str) -> None:
        """Note why instances may be lacking, see :meth:`Index.note_gap`."""
        await self._change(lambda changes: changes.note_gap(reason))

    async def damage(self) -> Sequence[str]:
        """Check the file's structure, and that its tables and their indexes agree."""
        checks = ("PRAGMA integrity_check(100)", "PRAGMA foreign_key_check")
        try:
            whole, orphans = [await self._read_all(check) for check in checks]
        except CorruptIndexError as error:
            return [str(error)]
        found = [f"the index {self._path}: {text}" for (text,) in whole if text != "ok"]
        tables = Counter((child, parent) for child, _, parent, _ in orphans)
        for (child, parent), rows in tables.items():
            found.append(f"the index {self._path}: {rows} of {child} belong to no {parent}")
        return found

    @asynccontextmanager
    async def rebuilding(self) -> AsyncIterator[IndexRebuild]:
        """Build another file beside this one, see :meth:`Index.rebuilding`."""
        with alone(self._path) as actual, translate_errors(self._path):
            patience = self._config.busy_timeout
            before = await to_thread.run_sync(Predecessor.open, self._path, patience)
            # Nothing of it is needed after a crash; it is flushed before it is put in place.
            config = evolve(self._config, synchronous="off")
            building = SqliteRebuild(SqliteIndex(actual, config), self._path, actual, before)
            try:
                await building.index.start()
                try:
                    yield building
                finally:
                    await building.index.stop()
                await to_thread.run_sync(building.put_in_place)
            finally:
                if before is not None:
                    await to_thread.run_sync(before.close)

    async def note_unflushed(self, paths: Sequence[InstancePath]) -> None:
        """Note that the objects of these instances, as far as they are here, may not be on disk."""
        await self._change(lambda changes: changes.note_unflushed(paths))

    async def _change(
        self, work: Callable[[Changes], Result], durability: Durability = Durability.COMMIT
    ) -> Result:
        while True:
            opened = self._opened
            try:
                return await opened.writer.run(work, durability)
            except ReplacedIndexError:
                await self._open_again(opened)

    async def locate(self, path: InstancePath) -> StoredInstance | None:
        """Look an instance up, in this thread."""
        opened = await self._current()
        try:  # on the way of every instance: a context manager would cost more than the rest
            return opened.writer.locate(path)
        except sqlite3.Error as error:
            raise translate_error(error, self._path) from error

    def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Iterate over what matches, see :meth:`Index.search`."""
        found = matching_entities(SQLITE, self._catalog, query)
        reading = read_attributes(SQLITE, self._catalog, query)
        return self._batches(query, found, reading, brief=names_few(query))

    async def count(self, query: Query) -> int:
        """Count what matches, see :meth:`Index.count`."""
        counted = count_of(self._catalog, query)
        opened = await self._current()
        return await opened.readers.run(counted)

    def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Iterate over matching instances, see :meth:`Index.instances`."""
        found = matching_instances(SQLITE, self._catalog, query)
        return self._batches(query, found, stored_instances())

    async def fingerprint(self, query: Query) -> Fingerprint:
        """Return number and digest of the instances that match, see :meth:`Index.fingerprint`."""
        make = fingerprint_of(self._catalog, query)
        opened = await self._current()
        run = opened.readers.run_brief if names_few(query) else opened.readers.run
        return await run(make)

    async def _batches(
        self, query: Query, found: Matching, reading: Reading, *, brief: bool = False
    ) -> AsyncIterator[Any]:
        paging = Paging(found, query.limit, query.offset)
        search = RunningSearch(found, reading, paging)
        with await self._current() as opened:  # to the end in one file, though it be replaced
            run = opened.readers.run_brief if brief else opened.readers.run
            while not paging.is_exhausted:
                for result in await run(search.batch):
                    yield result
