"""Fixtures for the tests of the SQLite index."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pacs_index_sqlite.index import SqliteIndex


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database file is."""
    return tmp_path / "index.sqlite"


@pytest.fixture
async def index(path: Path, anyio_backend: str) -> AsyncIterator[SqliteIndex]:
    """An empty index, started; stopped afterwards."""
    index = SqliteIndex(path)
    await index.start()
    yield index
    await index.stop()
