"""SQLite, set up so that what is committed lasts and writers do not trip each other.

Theory of operation
-------------------
Python's driver would begin transactions by itself, late and deferred: two processes that both read,
and then write, would meet in an error that no waiting cures. So its own handling is switched off,
and SQLAlchemy's "begin" event says BEGIN IMMEDIATE where :meth:`begin` was asked for: the second
writer waits at the door. Readers say BEGIN, and see one state of the write-ahead log until they are
done. ``synchronous=FULL`` syncs the log with each commit.

There is room for so many connections. Who finds none waits in the event loop, not in a thread, so
that those who have one always find a thread to go on in. ``stop`` waits for each call that a
cancelled task has left.
"""

import asyncio
import logging
import os
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import TimeoutError as NoConnectionError

from pacs_core.api.files import try_lock
from pacs_database.announcing import LocalListener
from pacs_database.engine import WAIT, EngineDatabase
from pacs_database.interface import DatabaseConnection, Listener
from pacs_database.sqlite_connection import FetchingConnection, ThreadedConnection

logger = logging.getLogger(__name__)

_LOOK: Final = 0.02
"""Seconds between looks whether a name that another process holds is free."""
_KEPT: Final = 5
_MOST: Final = 15
"""Connections that stay open, and that there may be: as SQLAlchemy has it."""
_PRAGMAS: Final = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")
_IMMEDIATE: Final = "begin_immediate"  # execution option of a connection that is going to write


class SqliteDatabase(EngineDatabase):
    """The database in a file."""

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self.file = str(url.database)
        self._engine: Engine | None = None
        self._threads = ThreadPoolExecutor(2 * _MOST, "database")
        self._room = asyncio.Semaphore(_MOST)
        self._endings = set[asyncio.Future[None]]()
        self._listeners = defaultdict[str, set[LocalListener]](set)

    async def start(self) -> None:
        """Open the database, and say at once if it cannot be had."""
        await anyio.Path(self.file).parent.mkdir(parents=True, exist_ok=True)
        # The connection that was used last is the next: what it has in its cache is of use.
        self._engine = create_engine(
            self.url,
            creator=self._open,
            pool_size=_KEPT,
            max_overflow=_MOST - _KEPT,
            pool_use_lifo=True,
        )
        event.listen(self._engine, "begin", _begin)
        async with self.connect():
            pass

    async def stop(self) -> None:
        """Close every connection, after what it still does."""
        with anyio.CancelScope(shield=True):
            while self._endings:
                await asyncio.wait(self._endings)
            await anyio.to_thread.run_sync(self._stop)

    def _stop(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._threads.shutdown()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[DatabaseConnection]:
        """Write in a transaction, as the only writer."""
        async with self._take({_IMMEDIATE: True}) as connection:
            yield connection
            await connection.commit()
            for channel in connection.announced:
                for listener in list(self._listeners[channel]):
                    listener.hear()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[DatabaseConnection]:
        """Read one state."""
        async with self._take({}) as connection:
            yield connection

    @asynccontextmanager
    async def _hold(self, name: str) -> AsyncIterator[None]:
        descriptor = os.open(f"{self.file}.{name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            while not try_lock(descriptor):  # noqa: ASYNC110 another process lets go of it
                await anyio.sleep(_LOOK)
            yield
        finally:
            os.close(descriptor)

    @property
    def stamp(self) -> object | None:
        """State of the write-ahead log, to which every commit appends."""
        try:
            status = os.stat(f"{self.file}-wal")
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    async def notify(self, connection: DatabaseConnection, channel: str) -> None:
        """Tell those who listen in this process, once the transaction is committed."""
        if not isinstance(connection, ThreadedConnection):
            raise TypeError(f"{connection!r} is no connection of begin()")
        connection.announced.add(channel)

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[Listener]:
        """Listen for what is announced on a channel."""
        listener = LocalListener(self._listeners[channel])
        try:
            yield listener
        finally:
            await listener.close()

    @asynccontextmanager
    async def _take(self, options: dict[str, Any]) -> AsyncIterator[ThreadedConnection]:
        if self._engine is None:
            raise RuntimeError("the database has not been started")
        try:
            with anyio.fail_after(WAIT):
                await self._room.acquire()
        except TimeoutError as error:
            raise NoConnectionError(
                f"all {_MOST} connections to {self.file} have been in use for {WAIT:g} s"
            ) from error
        connection = ThreadedConnection(self._engine, self._threads, options)
        try:
            await connection.begin()
            yield connection
        finally:
            ending = connection.close()
            self._endings.add(ending)
            ending.add_done_callback(self._forget)
            if not connection.is_busy:
                with anyio.CancelScope(shield=True):
                    await asyncio.shield(ending)

    def _forget(self, ending: "asyncio.Future[None]") -> None:
        self._endings.discard(ending)
        self._room.release()
        if (error := ending.exception()) is not None:
            logger.warning("a connection to %s was not closed: %s", self.file, error)

    def _open(self) -> sqlite3.Connection:
        opened = sqlite3.connect(
            self.file,
            timeout=WAIT,
            isolation_level=None,  # transactions are SQLAlchemy's to begin
            check_same_thread=False,
            factory=FetchingConnection,
        )
        try:
            for pragma in _PRAGMAS:
                opened.execute(pragma).close()
        except sqlite3.Error:
            opened.close()
            raise
        return opened


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
