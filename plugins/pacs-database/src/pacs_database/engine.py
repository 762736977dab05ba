"""SQLAlchemy's engine, set up so that what is committed lasts and writers do not trip each other.

Theory of operation
-------------------
SQLite. Python's driver would begin transactions by itself, late and deferred: two processes that
both read, and then write, would meet in an error that no waiting cures. So its own handling is
switched off, and SQLAlchemy's "begin" event says BEGIN IMMEDIATE where :meth:`begin` was asked
for: the second writer waits at the door. Readers say BEGIN, and see one state of the write-ahead
log until they are done. ``synchronous=FULL`` syncs the log with each commit. A task that is
cancelled gets the connection it has asked for first, since one that is half open would be nobody's;
``stop`` waits for each that is still at the statement of such a task.

PostgreSQL. READ COMMITTED for writers, which lock rows by what they ask (``FOR UPDATE``, unique
keys); REPEATABLE READ, read only, for readers. A connection that the server has closed meanwhile is
noticed before it is used (``pool_pre_ping``).
"""

import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from weakref import WeakSet
from zlib import crc32

import anyio
from sqlalchemy import URL, Connection, event, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from pacs_core.api.files import try_lock
from pacs_database.announcing import LocalListener, PostgresListener
from pacs_database.interface import Database, Listener
from pacs_database.sqlite_connection import SqliteConnection

WAIT = 30.0
"""Seconds that a writer waits for another before it gives up."""

_LOOK = 0.02
"""Seconds between looks whether a name that another process holds is free."""
_PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")
_ANNOUNCED = "announced"  # channels, while a transaction of SQLite lasts
_IMMEDIATE = "begin_immediate"  # execution option of a connection that is going to write


class EngineDatabase(Database):
    """The database of a URL.

    Parameters
    ----------
    url : URL
        With SQLAlchemy's name of an asynchronous driver.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine: AsyncEngine | None = None
        self._listeners = defaultdict[str, set[LocalListener]](set)
        self._files = WeakSet[SqliteConnection]()
        self.dialect = url.get_backend_name()
        self.identity = url.set(password=None).render_as_string()
        if self.dialect == "sqlite":
            self.directory = Path(str(url.database)).parent

    async def start(self) -> None:
        """Open the database, and say at once if it cannot be had."""
        if self.dialect == "sqlite":
            await anyio.Path(str(self.directory)).mkdir(parents=True, exist_ok=True)
            self._engine = create_async_engine(self._url, async_creator=self._open_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin_sqlite)
        else:
            arguments = {"timeout": WAIT, "server_settings": {"application_name": "pacs-core"}}
            self._engine = create_async_engine(
                self._url, pool_pre_ping=True, pool_timeout=WAIT, connect_args=arguments
            )
        async with self.connect():
            pass

    async def stop(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            await self._engine.dispose()
        for each in list(self._files):
            await each.close()

    async def migrate(self, owner: str, package: str) -> None:
        """Bring the tables of a plugin to what its code expects."""
        # Alembic takes a second to import: in a thread, so that the node goes on meanwhile.
        migrations = await anyio.to_thread.run_sync(import_module, "pacs_database.migrations")
        async with self.begin() as connection:
            await connection.run_sync(migrations.migrate, owner, package)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Write in a transaction, as the only writer of SQLite."""
        options: dict[str, Any] = {_IMMEDIATE: True} if self.dialect == "sqlite" else {}
        async with self._take(options) as connection:
            connection.info[_ANNOUNCED] = set[str]()
            async with connection.begin():
                yield connection
            for channel in connection.info[_ANNOUNCED]:
                for listener in list(self._listeners[channel]):
                    listener.hear()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Read one state."""
        options: dict[str, Any] = {}
        if self.dialect == "postgresql":
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self._take(options) as connection:
            yield connection

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Hold a name: a lock of the server, or of a file beside that of SQLite."""
        if not name.isidentifier():
            raise ValueError(f"{name!r} cannot be held: use letters, digits and _ only")
        if self.dialect == "postgresql":
            async with self._take({}) as connection, connection.begin():
                key = crc32(f"pacs-database {name}".encode())
                # Of two numbers, so that it is none of those of migrations.
                await connection.execute(
                    select(func.pg_advisory_xact_lock(key >> 16, key & 0xFFFF))
                )
                yield
            return
        descriptor = os.open(f"{self._url.database}.{name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            while not try_lock(descriptor):  # noqa: ASYNC110 another process lets go of it
                await anyio.sleep(_LOOK)
            yield
        finally:
            os.close(descriptor)

    @property
    def stamp(self) -> object | None:
        """State of SQLite's write-ahead log, to which every commit appends."""
        if self.dialect != "sqlite":
            return None
        try:
            status = os.stat(f"{self._url.database}-wal")
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    async def notify(self, connection: AsyncConnection, channel: str) -> None:
        """Tell those who listen, once the transaction is committed."""
        if self.dialect == "postgresql":
            await connection.execute(select(func.pg_notify(channel, "")))
        else:
            connection.info[_ANNOUNCED].add(channel)

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[Listener]:
        """Listen for what is announced on a channel."""
        listener: LocalListener | PostgresListener
        if self.dialect == "postgresql":
            listener = PostgresListener(self._opened(), channel)
        else:
            listener = LocalListener(self._listeners[channel])
        try:
            yield listener
        finally:
            await listener.close()

    @asynccontextmanager
    async def _take(self, options: dict[str, Any]) -> AsyncIterator[AsyncConnection]:
        connection = self._opened().connect()
        with anyio.CancelScope(shield=self.dialect == "sqlite"):
            await connection.start()
        try:
            await connection.execution_options(**options)
            yield connection
        finally:
            with anyio.CancelScope(shield=True):
                await connection.close()

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise RuntimeError("the database has not been started")
        return self._engine

    async def _open_sqlite(self) -> SqliteConnection:
        connection = SqliteConnection(str(self._url.database), _PRAGMAS, WAIT)
        self._files.add(connection)
        await connection
        return connection


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
