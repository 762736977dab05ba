"""Fixtures for the tests of the SQLite index."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest
from pacs_index_sqlite.index import SqliteIndex


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database file is."""
    return tmp_path / "index.sqlite"


@pytest.fixture(scope="session")
def make_empty(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], SqliteIndex]:
    """Make an index on a copy of an empty file: to make its tables takes longer than most tests."""
    template = tmp_path_factory.mktemp("template") / "index.sqlite"

    async def start() -> None:
        index = SqliteIndex(template)
        await index.start()
        await index.stop()

    anyio.run(start)

    def make(path: Path) -> SqliteIndex:
        shutil.copyfile(template, path)
        return SqliteIndex(path)

    return make


@pytest.fixture
async def index(
    path: Path, make_empty: Callable[[Path], SqliteIndex], anyio_backend: str
) -> AsyncIterator[SqliteIndex]:
    """An empty index, started; stopped afterwards."""
    index = make_empty(path)
    await index.start()
    yield index
    await index.stop()
