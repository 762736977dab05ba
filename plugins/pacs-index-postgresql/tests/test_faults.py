"""Faults of the server: named at start, waited for while it is away, and got over."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from anyio import to_thread
from attrs import evolve
from pacs_index_postgresql.config import PostgresqlIndexConfig
from pacs_index_postgresql.errors import (
    NewerSchemaError,
    PostgresqlIndexError,
    UnavailableIndexError,
)
from pacs_index_postgresql.index import PostgresqlIndex
from pacs_index_postgresql.locks import STRUCTURE, take

from pacs_core.contracts import Level, Secret, StorageFullError
from pacs_core.testing.index_harness import found, make_record, path_of
from pacs_core.testing.postgresql import PostgresqlServer, postgresql_server

pytestmark = pytest.mark.anyio
PASSWORD = "wonderful"


@pytest.fixture(scope="module")
def guarded() -> Iterator[PostgresqlServer]:
    """A server that asks for a password."""
    try:
        with postgresql_server(PASSWORD) as server:
            yield server
    except LookupError as error:
        pytest.skip(str(error))


def config_of(tmp_path: Path, dsn: str, timeout: float = 60.0) -> PostgresqlIndexConfig:
    file = tmp_path / "dsn"
    file.write_text(dsn)
    return PostgresqlIndexConfig(dsn=Secret(file=str(file)), timeout=timeout)


def url_of(server: PostgresqlServer, user: str = f"pacs:{PASSWORD}", name: str = "postgres") -> str:
    return f"postgresql://{user}@/{name}?host={server.directory}"


@pytest.fixture
async def index(guarded: PostgresqlServer, tmp_path: Path) -> AsyncIterator[PostgresqlIndex]:
    """An index on that server, empty."""
    index = PostgresqlIndex(config_of(tmp_path, url_of(guarded)))
    await index.start()
    await index.clear()
    yield index
    await index.stop()


@pytest.mark.parametrize(
    ("user", "name", "says"),
    [
        ("pacs:wrong", "postgres", "the password is wrong: correct it in dsn"),
        (f"pacs:{PASSWORD}", "nothing", "the server has no such database: make it with"),
        ("nobody:x", "postgres", "the password is wrong"),
    ],
)
async def test_what_is_wrong_is_named_at_start(
    guarded: PostgresqlServer, tmp_path: Path, user: str, name: str, says: str
) -> None:
    index = PostgresqlIndex(config_of(tmp_path, url_of(guarded, user, name)))
    with pytest.raises(PostgresqlIndexError, match=says) as raised:
        await index.start()
    assert PASSWORD not in str(raised.value)
    assert "wrong@" not in str(raised.value)
    await index.stop()


async def test_a_user_without_rights_is_told_at_start(
    guarded: PostgresqlServer, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(url_of(guarded))
    await connection.execute(
        "DROP SCHEMA IF EXISTS own; DROP ROLE IF EXISTS guest;"
        "CREATE ROLE guest LOGIN PASSWORD 'guest'"
    )
    config = config_of(tmp_path, url_of(guarded, "guest:guest"))
    guest = PostgresqlIndex(evolve(config, schema="own"))
    with pytest.raises(PostgresqlIndexError, match="the user may not do this: GRANT CREATE"):
        await guest.start()
    # To own the schema is enough.
    await connection.execute("CREATE SCHEMA own AUTHORIZATION guest")
    await guest.start()
    await guest.add(make_record())
    await guest.stop()
    await connection.execute("DROP OWNED BY guest; DROP ROLE guest")
    await connection.close()


async def test_a_server_that_is_too_old_is_named_at_start(
    guarded: PostgresqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs_index_postgresql.server.OLDEST", 99)
    with pytest.raises(PostgresqlIndexError, match="needs 99 or later: upgrade it"):
        await PostgresqlIndex(config_of(tmp_path, url_of(guarded))).start()


async def test_a_change_that_a_deadlock_undid_is_made_again(
    guarded: PostgresqlServer, index: PostgresqlIndex
) -> None:
    """Of two that wait for each other the server undoes one: here it is the index that asks."""
    connection = await asyncpg.connect(
        url_of(guarded), server_settings={"search_path": "pacs", "deadlock_timeout": "300s"}
    )
    undone = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    async with connection.transaction():
        await connection.execute("LOCK TABLE patient IN EXCLUSIVE MODE")
        adding = asyncio.create_task(index.add(make_record()))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not await connection.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await take(connection, STRUCTURE, "pacs")
    assert (await adding).existing is None
    assert len(await found(index, Level.IMAGE)) == 1
    while not await connection.fetchval(undone):  # noqa: ASYNC110 - counted a moment later
        await asyncio.sleep(0.05)
    await connection.close()


async def test_a_server_that_is_not_there_is_named_at_start(tmp_path: Path) -> None:
    dsn = "postgresql://pacs:x@127.0.0.1:1/pacs"
    index = PostgresqlIndex(config_of(tmp_path, dsn, timeout=0.5))
    with pytest.raises(UnavailableIndexError, match="check that the server runs, and host and"):
        await index.start()


async def test_a_server_that_starts_with_the_node_is_waited_for(
    guarded: PostgresqlServer, tmp_path: Path
) -> None:
    """As in orthanc-setup-samples issue 10, where the database was not ready yet."""
    await to_thread.run_sync(guarded.kill)
    index = PostgresqlIndex(config_of(tmp_path, url_of(guarded)))
    async with asyncio.TaskGroup() as tasks:
        starting = tasks.create_task(index.start())
        await asyncio.sleep(0.1)
        assert not starting.done()
        await to_thread.run_sync(guarded.start)
    await index.stop()


async def test_an_index_without_an_address_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(PostgresqlIndexError, match=r"dsn of \[plugin.index-postgresql\]"):
        await PostgresqlIndex(PostgresqlIndexConfig()).start()
    with pytest.raises(PostgresqlIndexError, match="NOWHERE is not set"):
        await PostgresqlIndex(PostgresqlIndexConfig(dsn=Secret(env="NOWHERE"))).start()


async def test_a_newer_schema_is_refused(guarded: PostgresqlServer, tmp_path: Path) -> None:
    config = config_of(tmp_path, url_of(guarded))
    index = PostgresqlIndex(config)
    await index.start()
    await index.stop()
    connection = await asyncpg.connect(url_of(guarded))
    await connection.execute("UPDATE pacs.schema_version SET version = version + 1")
    with pytest.raises(NewerSchemaError, match="install the later version again"):
        await PostgresqlIndex(config).start()
    await connection.execute("UPDATE pacs.schema_version SET version = version - 1")
    await connection.close()


async def test_nodes_that_start_at_once_make_the_tables_once(
    guarded: PostgresqlServer, tmp_path: Path
) -> None:
    config = config_of(tmp_path, url_of(guarded))
    connection = await asyncpg.connect(url_of(guarded))
    await connection.execute("DROP SCHEMA IF EXISTS pacs CASCADE")
    await connection.close()
    indexes = [PostgresqlIndex(config) for _ in range(3)]
    await asyncio.gather(*(index.start() for index in indexes))
    await indexes[0].add(make_record())
    assert await indexes[2].locate(path_of(make_record())) is not None
    await asyncio.gather(*(index.stop() for index in indexes))


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    guarded: PostgresqlServer, index: PostgresqlIndex
) -> None:
    """Additions go on while the server is killed and started again; none fails or doubles."""
    acknowledged: list[int] = []
    killed = asyncio.Event()

    async def add(worker: int) -> None:
        for n in range(worker, 10_000, 4):
            result = await index.add(make_record(f"1.{n % 5}.{n}"))
            assert result.existing is None, n
            acknowledged.append(n)
            if killed.is_set() and n > 300:
                return

    async with asyncio.TaskGroup() as tasks:
        for worker in range(4):
            tasks.create_task(add(worker))
        for _ in range(2):
            while len(acknowledged) < 50:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await to_thread.run_sync(guarded.kill)
            await to_thread.run_sync(guarded.start)
        killed.set()
    for n in acknowledged:
        assert await index.locate(path_of(make_record(f"1.{n % 5}.{n}"))) is not None, n
    assert len(await found(index, Level.IMAGE)) == len(acknowledged)


async def test_a_server_that_is_away_for_too_long_means_out_of_resources(
    guarded: PostgresqlServer, tmp_path: Path
) -> None:
    index = PostgresqlIndex(config_of(tmp_path, url_of(guarded), timeout=1.0))
    await index.start()
    await to_thread.run_sync(guarded.kill)
    try:
        for call in (index.add(make_record()), index.locate(path_of(make_record()))):
            with pytest.raises(UnavailableIndexError, match="is not available"):
                await call
    finally:
        await to_thread.run_sync(guarded.start)
    async with asyncio.timeout(60):
        while True:
            try:
                await index.replace(make_record())
                break
            except UnavailableIndexError:
                continue
    assert await index.locate(path_of(make_record())) is not None
    await index.stop()


async def test_a_server_that_is_slow_means_out_of_resources(
    guarded: PostgresqlServer, tmp_path: Path
) -> None:
    index = PostgresqlIndex(config_of(tmp_path, url_of(guarded), timeout=1.0))
    await index.start()
    await index.clear()
    connection = await asyncpg.connect(url_of(guarded))
    async with connection.transaction():
        await connection.execute("LOCK TABLE pacs.instance IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(UnavailableIndexError):
            await index.add(make_record())
        with pytest.raises(UnavailableIndexError):
            await found(index, Level.IMAGE)
    await connection.close()
    while True:
        try:
            await index.add(make_record())
            break
        except UnavailableIndexError:
            continue
    assert await found(index, Level.IMAGE) == ["1.2.3.1.1.1"]
    await index.stop()


@pytest.fixture
def small_disk(guarded: PostgresqlServer) -> Iterator[Path]:
    """A disk of 4 MiB, for the server as well."""
    place = guarded.directory / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs", place]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a disk cannot be mounted here")
    try:
        (place / "data").mkdir()
        shutil.chown(place / "data", "postgres")
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


async def test_a_full_disk_is_named_and_got_over(
    guarded: PostgresqlServer, index: PostgresqlIndex, small_disk: Path
) -> None:
    connection = await asyncpg.connect(url_of(guarded), server_settings={"search_path": "pacs"})
    await connection.execute(f"CREATE TABLESPACE small LOCATION '{small_disk / 'data'}'")
    await connection.execute("ALTER TABLE instance SET TABLESPACE small")
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    added, said = 0, ""
    while not said:
        try:
            await index.add(make_record(f"1.1.{added}"))
            added += 1
        except StorageFullError as error:
            said = str(error)
    assert "no room left for the index" in said
    assert len(await found(index, Level.IMAGE)) == added
    filler.unlink()
    await index.add(make_record(f"1.1.{added}"))
    assert len(await found(index, Level.IMAGE)) == added + 1
    await connection.execute("ALTER TABLE instance SET TABLESPACE pg_default")
    await connection.execute("DROP TABLESPACE small")
    await connection.close()
