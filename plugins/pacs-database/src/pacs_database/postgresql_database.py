"""PostgreSQL, through SQLAlchemy's asyncio and asyncpg.

READ COMMITTED for writers, which lock rows by what they ask (``FOR UPDATE``, unique keys);
REPEATABLE READ, read only, for readers. A connection that the server has closed meanwhile is
noticed before it is used (``pool_pre_ping``).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from zlib import crc32

import anyio
from sqlalchemy import URL, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from pacs_database.announcing import PostgresListener
from pacs_database.engine import WAIT, EngineDatabase
from pacs_database.interface import DatabaseConnection, Listener


class PostgresqlDatabase(EngineDatabase):
    """The database of a server."""

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self._engine: AsyncEngine | None = None

    async def start(self) -> None:
        """Connect, and say at once if there is no connection to be had."""
        arguments = {"timeout": WAIT, "server_settings": {"application_name": "pacs-core"}}
        self._engine = create_async_engine(
            self.url, pool_pre_ping=True, pool_timeout=WAIT, connect_args=arguments
        )
        async with self.connect():
            pass

    async def stop(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            await self._engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Write in a transaction."""
        async with self._take({}) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Read one state."""
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self._take(options) as connection:
            yield connection

    @asynccontextmanager
    async def _hold(self, name: str) -> AsyncIterator[None]:
        async with self._take({}) as connection, connection.begin():
            key = crc32(f"pacs-database {name}".encode())
            # Of two numbers, so that it is none of those of migrations.
            await connection.execute(select(func.pg_advisory_xact_lock(key >> 16, key & 0xFFFF)))
            yield

    async def notify(self, connection: DatabaseConnection, channel: str) -> None:
        """Tell those who listen on any node, once the transaction is committed."""
        await connection.execute(select(func.pg_notify(channel, "")))

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[Listener]:
        """Listen for what is announced on a channel."""
        listener = PostgresListener(self._opened(), channel)
        try:
            yield listener
        finally:
            await listener.close()

    @asynccontextmanager
    async def _take(self, options: dict[str, Any]) -> AsyncIterator[AsyncConnection]:
        connection = self._opened().connect()
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
