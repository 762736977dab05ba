"""A database for the tests of plugins that keep tables: a file, or a PostgreSQL server."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import make_url, text

from pacs_core.contracts import DatabaseSettings, NodeSettings
from pacs_core.testing.postgresql import postgresql_server
from pacs_database.address import database_url
from pacs_database.engine import make_database
from pacs_database.interface import Database


@asynccontextmanager
async def open_database(directory: Path, url: str = "") -> AsyncIterator[Database]:
    """Open the database of a URL for an ``async with`` block.

    Parameters
    ----------
    directory : Path
        Data directory: has the SQLite file if there is no URL.
    url : str
    """
    settings = NodeSettings(data_directory=directory, database=DatabaseSettings(url))
    database = make_database(database_url(settings))
    try:
        await database.start()
        yield database
    finally:
        await database.stop()


@contextmanager
def run_postgresql() -> Iterator[str]:
    """Run a PostgreSQL server of its own for a ``with`` block, on a UNIX socket only.

    Yields
    ------
    str
        URL of its database ``postgres``, for ``[database] url``; :func:`new_database` makes others.

    Raises
    ------
    LookupError
        PostgreSQL is not installed.
    """
    with postgresql_server() as server:
        yield server.url


async def new_database(url: str) -> str:
    """Create a database on the server of a URL, and return its URL."""
    from sqlalchemy.ext.asyncio import create_async_engine

    name = f"test_{uuid4().hex}"
    settings = NodeSettings(database=DatabaseSettings(url))
    engine = create_async_engine(database_url(settings), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return make_url(url).set(database=name).render_as_string()
