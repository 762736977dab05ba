"""A PostgreSQL server for all tests of a process, and an empty index in it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import asyncpg
import pytest
from pacs_index_postgresql.config import PostgresqlIndexConfig
from pacs_index_postgresql.index import PostgresqlIndex

from pacs_core.contracts import Secret
from pacs_core.testing.postgresql import postgresql_server

SCHEMA = "pacs"
# Tables as they are after their first start: made once, emptied before each test.
_EMPTY = """
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'pacs'
            AND tablename NOT IN ('schema_version', 'metadata_state')
            ORDER BY array_position(ARRAY['instance', 'series_variant', 'series_header', 'series',
                'study_variant', 'study_header', 'study', 'patient'], tablename::text)
        LOOP EXECUTE format('DELETE FROM pacs.%I', name); END LOOP;
        IF to_regclass('pacs.metadata_state') IS NOT NULL THEN
            UPDATE pacs.metadata_state SET form = '', through = 0;
        END IF;
    END $$"""


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a server."""
    try:
        with postgresql_server() as server:
            yield server.url
    except LookupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def settings(server: str, tmp_path_factory: pytest.TempPathFactory) -> PostgresqlIndexConfig:
    """The configuration of an index on the server."""
    file = tmp_path_factory.mktemp("secret") / "dsn"
    file.write_text(server)
    return PostgresqlIndexConfig(dsn=Secret(file=str(file)), timeout=120.0)


Empty = Callable[[asyncpg.Connection], Awaitable[None]]


@pytest.fixture(scope="session")
def empty() -> Empty:
    """Empty all tables through a connection."""

    async def execute(connection: asyncpg.Connection) -> None:
        await connection.execute(_EMPTY)

    return execute


@pytest.fixture
async def index(
    server: str, settings: PostgresqlIndexConfig, empty: Empty, anyio_backend: str
) -> AsyncIterator[PostgresqlIndex]:
    """An empty index, started; stopped afterwards."""
    connection = await asyncpg.connect(server)
    await empty(connection)
    await connection.close()
    index = PostgresqlIndex(settings)
    await index.start()
    yield index
    await index.stop()
