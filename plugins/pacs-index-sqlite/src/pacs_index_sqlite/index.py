"""The index."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from anyio import to_thread

from pacs_core.contracts import Durability, Index, InstanceRecord, Level, Query, StoredInstance
from pacs_core.dataset import Attributes
from pacs_index_sqlite.catalog import build_catalog
from pacs_index_sqlite.changes import BATCH, Changes, unflushed_after
from pacs_index_sqlite.config import SqliteIndexConfig
from pacs_index_sqlite.database import ReaderPool, connect, connect_writer
from pacs_index_sqlite.errors import SqliteIndexError, translated, translating
from pacs_index_sqlite.schema import prepare
from pacs_index_sqlite.searching import (
    Fetch,
    Matching,
    Search,
    fetch_attributes,
    fetch_instances,
    matching,
    matching_instances,
)
from pacs_index_sqlite.writer import Writer

Result = TypeVar("Result")


class SqliteIndex(Index):
    """An index in one SQLite file on a local disk, which several processes may share.

    Changes go through one thread, which commits together whatever has gathered. Searches run in
    worker threads. :meth:`locate` reads in the event loop's own thread: a point look-up in a file
    that is in memory takes some 15 µs, less than handing it to a thread and back.

    Parameters
    ----------
    path : Path
        The database file; it is created with its folder.
    config : SqliteIndexConfig
    """

    shared = True

    def __init__(self, path: Path, config: SqliteIndexConfig | None = None) -> None:
        self._path = path
        self._config = config or SqliteIndexConfig()
        self._catalog = build_catalog(self._config.attributes)
        self._wanted = frozenset(self._catalog.attributes)
        self._writing: sqlite3.Connection | None = None
        self._locating: sqlite3.Connection | None = None
        self._writer: Writer | None = None
        self._readers: ReaderPool | None = None

    async def start(self) -> None:
        """Open or create the file, and bring it to the present schema."""
        await to_thread.run_sync(self._open)
        if self._writing is not None and self._locating is not None:
            changes = Changes(self._writing, self._catalog, self._config.known_series)
            config = self._config
            self._writer = Writer(
                self._path,
                self._writing,
                self._locating,
                changes,
                config.batch,
                config.synchronous,
                config.busy_timeout,
            )
        self._readers = ReaderPool(self._path, self._config)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with translating(self._path):
            self._writing = connect_writer(self._path, self._config)
            prepare(self._writing, self._catalog, self._path)
            self._locating = connect(self._path, self._config)

    async def stop(self) -> None:
        """Commit what is queued, and close the file."""
        await to_thread.run_sync(self._close)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._readers is not None:
            self._readers.close()
        for connection in (self._locating, self._writing):
            if connection is not None:
                connection.close()
        self._writer = self._readers = self._locating = self._writing = None

    @property
    def wanted_tags(self) -> frozenset[int]:
        """Tags of everything stored."""
        return self._wanted

    def searchable_tags(self, level: Level) -> frozenset[int]:
        """Tags of the level and those above."""
        return self._catalog.searchable(level)

    async def add(
        self, record: InstanceRecord, *, durability: Durability = Durability.COMMIT
    ) -> StoredInstance | None:
        """Add an instance, see :meth:`Index.add`."""
        if durability is Durability.WRITE_BEHIND:
            return await self._change(lambda changes: changes.add_unflushed(record), durability)
        return await self._change(lambda changes: changes.add(record), durability)

    async def unflushed(self) -> AsyncIterator[StoredInstance]:
        """Iterate over what is not settled, see :meth:`Index.unflushed`."""
        if self._readers is None:
            raise self._not_running()
        found: list[StoredInstance] | None = None
        # Only a full page has another after it: what is added meanwhile is not run after.
        while found is None or len(found) == BATCH:
            after = found[-1].identity.sop_instance_uid if found else ""
            found = await self._readers.run(partial(unflushed_after, after))
            for instance in found:
                yield instance

    async def settle(self, sop_instance_uids: Sequence[str]) -> None:
        """Forget that objects were not on disk, see :meth:`Index.settle`."""
        await self._change(lambda changes: changes.settle(sop_instance_uids))

    async def replace(self, record: InstanceRecord) -> StoredInstance | None:
        """Put an instance in the place of another, see :meth:`Index.replace`."""
        return await self._change(lambda changes: changes.replace(record))

    async def remove(self, sop_instance_uid: str) -> StoredInstance | None:
        """Remove an instance, see :meth:`Index.remove`."""
        return await self._change(lambda changes: changes.remove(sop_instance_uid))

    async def clear(self) -> None:
        """Remove everything."""
        await self._change(Changes.clear)

    async def _change(
        self, work: Callable[[Changes], Result], durability: Durability = Durability.COMMIT
    ) -> Result:
        if self._writer is None:
            raise self._not_running()
        return await self._writer.run(work, durability)

    def _not_running(self) -> SqliteIndexError:
        return SqliteIndexError(f"the index {self._path} is not running: call start() first")

    async def locate(self, sop_instance_uid: str) -> StoredInstance | None:
        """Look an instance up, in this thread."""
        if self._writer is None:
            raise self._not_running()
        try:
            return self._writer.locate(sop_instance_uid)
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Iterate over what matches, see :meth:`Index.search`."""
        return self._batches(
            query, matching(self._catalog, query), fetch_attributes(self._catalog, query)
        )

    def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Iterate over matching instances, see :meth:`Index.instances`."""
        return self._batches(query, matching_instances(self._catalog, query), fetch_instances())

    async def _batches(self, query: Query, found: Matching, fetch: Fetch) -> AsyncIterator[Any]:
        if self._readers is None:
            raise self._not_running()
        search = Search(found, fetch, query.limit, query.offset)
        while not search.is_exhausted:
            for result in await self._readers.run(search.batch):
                yield result
