"""Fixtures that pytest finds wherever pacs-database is installed: a database of each kind."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pacs_database.interface import Database


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Run a PostgreSQL server until the tests end; without one, tests that need it are skipped.

    They fail instead where ``PACS_REQUIRE_PEERS=1``.

    Returns
    -------
    str
        As :func:`pacs_database.testing.run_postgresql`.
    """
    from pacs_core.testing.peer_programs import do_without
    from pacs_database.testing import run_postgresql

    try:
        server = run_postgresql()
        url = server.__enter__()
    except LookupError as error:
        do_without(str(error))
    try:
        yield url
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, anyio_backend: Any) -> str:
    """Run the test on SQLite and on PostgreSQL, with an empty database.

    Returns
    -------
    str
        For :func:`pacs_database.testing.open_database`, with a directory of the test's own.
    """
    from pacs_database.testing import new_database

    if request.param == "sqlite":
        return ""
    return await new_database(request.getfixturevalue("postgresql_url"))


@pytest.fixture
async def database(tmp_path: Path, database_url: str) -> "AsyncIterator[Database]":
    """Open the database of ``database_url`` in ``tmp_path`` until the test ends.

    Returns
    -------
    Database
        Of either kind, one after the other.
    """
    from pacs_database.testing import open_database

    async with open_database(tmp_path, database_url) as database:
        yield database
