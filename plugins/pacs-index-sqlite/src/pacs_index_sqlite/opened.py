"""An index file in use: its connections, the thread that writes, those that read."""

import sqlite3
from pathlib import Path

from anyio import to_thread
from attrs import define

from pacs_core.relational import Catalog
from pacs_index_sqlite.changes import Changes
from pacs_index_sqlite.config import SqliteIndexConfig
from pacs_index_sqlite.correction_log import LastSeen
from pacs_index_sqlite.database import ReaderPool, connect, connect_writer
from pacs_index_sqlite.errors import SqliteIndexError, translate_errors
from pacs_index_sqlite.files import IndexFiles
from pacs_index_sqlite.migration import GAP
from pacs_index_sqlite.rebuilding import end_interrupted
from pacs_index_sqlite.schema import prepare
from pacs_index_sqlite.writer import IndexWriter

_ATTEMPTS = 10


@define
class Connections:
    """What is open before the event loop takes part.

    Attributes
    ----------
    files : IndexFiles
    writing, locating : sqlite3.Connection
    fresh : bool
        Whether the file was made just now, or was empty.
    """

    files: IndexFiles
    writing: sqlite3.Connection
    locating: sqlite3.Connection
    fresh: bool

    def close(self) -> None:
        """Close both."""
        self.locating.close()
        self.writing.close()


def open_connections(path: Path, config: SqliteIndexConfig, catalog: Catalog) -> Connections:
    """Open the file that the path leads to, make it if need be, and bring its schema up to date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with translate_errors(path):
        for _ in range(_ATTEMPTS):
            connections = _connect(path, config, catalog)
            # Another may have taken its place while it was opened.
            if connections.files.actual == path.resolve():
                return connections
            connections.close()
    raise SqliteIndexError(f"the index {path} is replaced again and again")


def _connect(path: Path, config: SqliteIndexConfig, catalog: Catalog) -> Connections:
    actual = path.resolve()
    writing = connect_writer(actual, config)
    try:
        fresh = writing.execute("PRAGMA user_version").fetchone() == (0,)
        prepare(writing, catalog, path)
        writing.execute(GAP)
        end_interrupted(path, writing)
        locating = connect(actual, config)
    except BaseException:
        writing.close()
        raise
    return Connections(IndexFiles(path, actual), writing, locating, fresh)


@define(eq=False)
class OpenIndex:
    """An index file that is served from.

    Attributes
    ----------
    connections : Connections
    writer : IndexWriter
    readers : ReaderPool
    """

    connections: Connections
    writer: IndexWriter
    readers: ReaderPool
    _searches: int = 0
    _retired: bool = False

    @classmethod
    def begin(
        cls,
        connections: Connections,
        config: SqliteIndexConfig,
        catalog: Catalog,
        last_seen: LastSeen,
    ) -> "OpenIndex":
        """Start the threads; call it in the event loop."""
        changes = Changes(connections.writing, catalog, config.known_series, last_seen)
        writer = IndexWriter(
            connections.files,
            connections.writing,
            connections.locating,
            changes,
            config.batch,
            config.synchronous,
            config.busy_timeout,
        )
        return cls(connections, writer, ReaderPool(connections.files.actual, config))

    def gap(self) -> str | None:
        """Return why instances may be lacking; empty if none is, None if nobody knows."""
        # An empty one counts least, should two processes have noted one each.
        (noted,) = self.connections.locating.execute("SELECT max(reason) FROM gap").fetchone()
        return None if noted is None else str(noted)

    def __enter__(self) -> "OpenIndex":
        """Keep the readers for a search."""
        self._searches += 1
        return self

    def __exit__(self, *_: object) -> None:
        """Let them go, with the last search if another file is in use by now."""
        self._searches -= 1
        if self._retired and not self._searches:
            self.readers.close()

    async def close(self) -> None:
        """Commit what is queued, and close the file, but for searches that run."""
        self._retired = True
        self.writer.refuse()
        await to_thread.run_sync(self._close_writing)
        if not self._searches:
            self.readers.close()

    def _close_writing(self) -> None:
        self.writer.close()
        self.connections.close()
