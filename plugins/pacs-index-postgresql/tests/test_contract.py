"""The index keeps the contract of all indexes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from pacs_index_postgresql.config import PostgresqlIndexConfig
from pacs_index_postgresql.index import PostgresqlIndex
from pacs_index_postgresql.server import Server

from pacs_core.testing.index_contract import IndexContract

_MODULE = "pacs_index_postgresql.index"


class KeptServer(Server):
    """Connections that stay from test to test: each new one costs more than most tests do."""

    async def open(self) -> None:
        if not self.where:
            await super().open()

    async def close(self) -> None:
        """Keep what :meth:`end` closes."""

    async def end(self) -> None:
        await super().close()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for all tests of this file, to which the connections belong."""
    return "asyncio"


@pytest.fixture(scope="module")
async def kept(settings: PostgresqlIndexConfig, anyio_backend: str) -> AsyncIterator[KeptServer]:
    server = KeptServer(settings)
    yield server
    await server.end()


@pytest.fixture(scope="module")
async def connection(server: str, anyio_backend: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that empties tables."""
    connection = await asyncpg.connect(server)
    yield connection
    await connection.close()


class TestPostgresqlIndex(IndexContract):
    @pytest.fixture(autouse=True)
    def _take(
        self,
        monkeypatch: pytest.MonkeyPatch,
        kept: KeptServer,
        connection: asyncpg.Connection,
        empty: Callable[[asyncpg.Connection], Awaitable[None]],
        settings: PostgresqlIndexConfig,
    ) -> None:
        # The index that another is built beside has one, that other has another.
        make = lambda config: kept if config == settings else Server(config)  # noqa: E731
        monkeypatch.setattr(f"{_MODULE}.Server", make)
        self._empty = lambda: empty(connection)
        self._settings = settings

    async def make_index(self, tmp_path: Path) -> PostgresqlIndex:
        await self._empty()
        return PostgresqlIndex(self._settings)
