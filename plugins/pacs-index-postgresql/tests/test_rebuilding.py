"""The index is built anew beside the one in use, while nodes go on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from attrs import evolve
from pacs_index_postgresql.config import PostgresqlIndexConfig
from pacs_index_postgresql.errors import PostgresqlIndexError, UnavailableIndexError
from pacs_index_postgresql.index import PostgresqlIndex

from pacs_core.contracts import Level, Query, Secret
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import found, make_record, path_of

pytestmark = pytest.mark.anyio

_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pacs%' ORDER BY nspname"


@pytest.fixture
async def connection(index: PostgresqlIndex, server: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(server, server_settings={"search_path": "pacs"})
    yield connection
    await connection.close()


async def test_a_node_stores_while_another_builds_and_goes_on_in_the_new_index(
    index: PostgresqlIndex, settings: PostgresqlIndexConfig, connection: asyncpg.Connection
) -> None:
    """Whatever was acknowledged before, meanwhile and afterwards is there, and no id came again."""
    builder = PostgresqlIndex(settings)
    added: list[str] = []
    done = asyncio.Event()
    await index.add(make_record("1.1.1", SeriesDescription="before"))
    before = await connection.fetchval("SELECT max(id) FROM instance")

    async def store() -> None:
        n = 1
        while not done.is_set():
            n += 1
            result = await index.add(make_record(f"1.{n % 3}.{n}", SeriesDescription="before"))
            assert result.existing is None
            added.append(f"1.2.3.1.{n % 3}.{n}")

    async with asyncio.TaskGroup() as tasks:
        async with builder.rebuilding() as building:
            tasks.create_task(store())
            await building.index.add(make_record("1.1.1", SeriesDescription="anew"))
            while len(added) < 100:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert await found(index, Level.SERIES, key="SeriesDescription") == ["before"] * 3
            told = 0
            async for path, served in building.changes():
                assert served is not None
                number = path.sop_instance_uid.removeprefix("1.2.3.")
                await building.index.replace(make_record(number, SeriesDescription="anew"))
                told += 1
            assert told >= 100
        count = len(added)
        while len(added) < count + 20:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        done.set()
    assert sorted(await found(index, Level.IMAGE)) == sorted(["1.2.3.1.1.1", *added])
    assert await connection.fetchval("SELECT min(id) FROM instance") > before + 2**39
    assert [row[0] for row in await connection.fetch(_SCHEMAS)] == ["pacs"]


async def test_a_rebuild_that_was_cut_short_ends_when_a_node_starts(
    index: PostgresqlIndex, settings: PostgresqlIndexConfig, connection: asyncpg.Connection
) -> None:
    await index.add(make_record("1"))
    builder = PostgresqlIndex(settings)
    killed = builder.rebuilding()
    building = await killed.__aenter__()
    await building.index.add(make_record("2"))
    with pytest.raises(PostgresqlIndexError, match="another process builds the index"):
        async with PostgresqlIndex(settings).rebuilding():
            pass
    other = PostgresqlIndex(settings)
    await other.start()
    await other.stop()
    assert [row[0] for row in await connection.fetch(_SCHEMAS)] == ["pacs", "pacs_rebuild"]
    # As if its process were killed: its connections end, and nothing is tidied.
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND application_name = 'pacs-core'"
    )
    while await connection.fetchval("SELECT count(*) FROM pg_locks WHERE objsubid = 2"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await other.start()
    assert [row[0] for row in await connection.fetch(_SCHEMAS)] == ["pacs"]
    assert not await connection.fetchval("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
    assert await found(other, Level.IMAGE) == ["1.2.3.1.1.1"]
    await other.stop()
    with pytest.raises(Exception, match="connection"):
        await killed.__aexit__(None, None, None)


async def test_a_search_does_not_pass_over_what_was_renumbered(
    index: PostgresqlIndex, settings: PostgresqlIndexConfig
) -> None:
    """A search that began in the index before says so, rather than that nothing is left."""
    records = [make_record(f"1.1.{n}") for n in range(100)]
    await index.add_many(records)
    running = index.search(Query(Level.IMAGE, (), frozenset({tag_of("SOPInstanceUID")})))
    await anext(running)
    async with PostgresqlIndex(settings).rebuilding() as building:
        await building.index.add_many(records)
    with pytest.raises(UnavailableIndexError, match="built anew since this search began"):
        assert [result async for result in running] == []
    assert len(await found(index, Level.IMAGE)) == 100


async def test_an_index_that_is_not_there_is_built(
    index: PostgresqlIndex, settings: PostgresqlIndexConfig, connection: asyncpg.Connection
) -> None:
    lost = PostgresqlIndex(evolve(settings, schema="lost"))
    async with lost.rebuilding() as building:
        await building.index.add(make_record("1"))
        assert [change async for change in building.changes()] == []
    await lost.start()
    assert await lost.locate(path_of(make_record("1"))) is not None
    await lost.stop()
    await connection.execute("DROP SCHEMA lost CASCADE")


async def test_a_user_without_the_right_to_make_schemas_is_told(
    index: PostgresqlIndex, server: str, settings: PostgresqlIndexConfig, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(server)
    await connection.execute(
        "DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN;"
        "GRANT USAGE ON SCHEMA pacs TO guest; GRANT ALL ON ALL TABLES IN SCHEMA pacs TO guest"
    )
    file = tmp_path / "dsn"
    file.write_text(server.replace("//pacs@", "//guest@"))
    guest = PostgresqlIndex(evolve(settings, dsn=Secret(file=str(file))))
    with pytest.raises(PostgresqlIndexError, match="GRANT CREATE ON DATABASE"):
        async with guest.rebuilding():
            pass
    await connection.execute("DROP OWNED BY guest; DROP ROLE guest")
    await connection.close()


async def test_what_others_have_in_the_schema_stays(
    index: PostgresqlIndex, connection: asyncpg.Connection
) -> None:
    """PostgreSQL's search_path begins with the user's name, which often is that of the schema."""
    await connection.execute(
        """CREATE TYPE pacs.state AS ENUM ('waiting', 'done');
        CREATE TABLE pacs.worklist (id serial PRIMARY KEY, state state, name text);
        INSERT INTO pacs.worklist (state, name) VALUES ('done', 'Doe^Jane');
        CREATE VIEW pacs.names AS SELECT name FROM worklist;
        CREATE SEQUENCE pacs."odd ""name" START 7"""
    )
    async with index.rebuilding() as building:
        await building.index.add(make_record("1.1.1"))
        async for _ in building.changes():
            pass
    await connection.execute("INSERT INTO pacs.worklist (state, name) VALUES ('waiting', 'Roe')")
    rows = await connection.fetch("SELECT id, state, name FROM worklist ORDER BY id")
    assert [tuple(row) for row in rows] == [(1, "done", "Doe^Jane"), (2, "waiting", "Roe")]
    assert await connection.fetchval("SELECT count(*) FROM names") == 2
    assert await connection.fetchval("""SELECT nextval('"odd ""name"')""") == 7
    assert await connection.fetch(_SCHEMAS) == [("pacs",)]
