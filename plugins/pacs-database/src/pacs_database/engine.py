"""The database of a URL: what SQLite and PostgreSQL have in common."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Final

import anyio
from sqlalchemy import URL

from pacs_database.interface import Database

WAIT: Final = 30.0
"""Seconds that a writer waits for another, or for a connection, before it gives up."""


class EngineDatabase(Database):
    """The database of a URL.

    Parameters
    ----------
    url : URL
        With SQLAlchemy's name of a driver.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self.dialect = url.get_backend_name()
        self.identity = url.set(password=None).render_as_string()

    async def migrate(self, owner: str, package: str) -> None:
        """Bring the tables of a plugin to what its code expects."""
        # Alembic takes a second to import: in a thread, so that the node goes on meanwhile.
        migrations = await anyio.to_thread.run_sync(import_module, "pacs_database.migrations")
        async with self.begin() as connection:
            await connection.run_sync(migrations.migrate, owner, package)

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Hold a name: a lock of the server, or of a file beside that of SQLite."""
        if not name.isidentifier():
            raise ValueError(f"{name!r} cannot be held: use letters, digits and _ only")
        async with self._hold(name):
            yield

    @abstractmethod
    def _hold(self, name: str) -> AbstractAsyncContextManager[None]: ...


def make_database(url: URL) -> EngineDatabase:
    """Return the database of a URL; what the other kind needs is not imported."""
    if url.get_backend_name() == "sqlite":
        from pacs_database.sqlite_database import SqliteDatabase

        return SqliteDatabase(url)
    from pacs_database.postgresql_database import PostgresqlDatabase

    return PostgresqlDatabase(url)
