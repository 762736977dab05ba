"""A database for the tests of plugins that keep tables: a file, or a PostgreSQL server."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from pacs_core.contracts import DatabaseSettings, NodeSettings
from pacs_database.address import database_url
from pacs_database.engine import EngineDatabase
from pacs_database.interface import Database

_PROGRAMS = Path("/usr/lib/postgresql")


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
    database = EngineDatabase(database_url(settings))
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
    found = sorted(_PROGRAMS.glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise LookupError("no PostgreSQL server is installed: apt-get install postgresql")
    # PostgreSQL refuses to run as root, and the name of its socket has 107 bytes at most.
    user = "postgres" if os.getuid() == 0 else None
    with TemporaryDirectory(prefix="pg-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o777)
        data = directory / "data"
        options = f"-c listen_addresses= -c unix_socket_directories={name} -c fsync=off"
        _run([found[-1] / "initdb", "-D", data, "-U", "pacs", "-A", "trust", "-N"], user)
        control: list[str | Path] = [found[-1] / "pg_ctl", "-D", data, "-w", "-s"]
        _run([*control, "-l", directory / "log", "-o", options, "start"], user)
        try:
            yield f"postgresql://pacs@/postgres?host={name}"
        finally:
            _run([*control, "-m", "immediate", "stop"], user)


async def new_database(url: str) -> str:
    """Create a database on the server of a URL, and return its URL."""
    name = f"test_{uuid4().hex}"
    settings = NodeSettings(database=DatabaseSettings(url))
    engine = create_async_engine(database_url(settings), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return make_url(url).set(database=name).render_as_string()


def _run(command: list[str | Path], user: str | None) -> None:
    subprocess.run(  # noqa: S603
        command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=60
    )
