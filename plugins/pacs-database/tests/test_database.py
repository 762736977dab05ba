"""The database: transactions, processes, migrations."""

import asyncio
import multiprocessing
import subprocess
import sys
import threading
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from pacs_database.address import address_problems, database_url
from pacs_database.api import Database, MigrationError
from pacs_database.testing import open_database
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from pacs_core.contracts import DatabaseSettings, NodeSettings, Secret

pytestmark = pytest.mark.anyio

FIRST = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "1", None
def upgrade():
    name = sa.Column("name", sa.Text, primary_key=True)
    op.create_table("counts", name, sa.Column("n", sa.Integer))
"""
SECOND = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "2", "1"
def upgrade():
    op.add_column("counts", sa.Column("note", sa.Text))
"""
BROKEN = """
from alembic import op
revision, down_revision = "2", "1"
def upgrade():
    op.execute("CREATE TABLE half (x INTEGER)")
    op.execute("this is no SQL")
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of revisions, importable by the name ``sample_revisions``."""
    package = tmp_path / "code" / "sample_revisions"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "first.py").write_text(FIRST)
    monkeypatch.syspath_prepend(str(package.parent))
    sys.modules.pop("sample_revisions", None)
    return package


@pytest.fixture
async def database(database: Database, revisions: Path) -> Database:
    await database.migrate("sample", "sample_revisions")
    return database


async def rows(database: Database, statement: str) -> list[tuple[object, ...]]:
    async with database.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]


async def test_what_is_committed_is_read_by_others(
    database: Database, tmp_path: Path, database_url: str
) -> None:
    async with database.begin() as connection:
        await connection.execute(text("INSERT INTO counts VALUES ('a', 1)"))
    async with open_database(tmp_path, database_url) as other:
        assert await rows(other, "SELECT * FROM counts") == [("a", 1)]


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    async def insert_twice() -> None:
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO counts VALUES ('a', 1)"))
            await connection.execute(text("INSERT INTO counts VALUES ('a', 2)"))

    with pytest.raises(IntegrityError):
        await insert_twice()
    assert await rows(database, "SELECT * FROM counts") == []


async def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    async with database.connect() as reader:
        before = (await reader.execute(text("SELECT count(*) FROM counts"))).scalar()
        async with database.begin() as writer:
            await writer.execute(text("INSERT INTO counts VALUES ('a', 1)"))
        again = (await reader.execute(text("SELECT count(*) FROM counts"))).scalar()
    assert (before, again) == (0, 0)
    assert await rows(database, "SELECT count(*) FROM counts") == [(1,)]


async def test_writers_that_read_first_wait_for_each_other(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(text("INSERT INTO counts VALUES ('a', 0)"))

    select = "SELECT n FROM counts"
    if database.dialect == "postgresql":
        select += " FOR UPDATE"

    async def increase() -> None:
        for _ in range(10):
            async with database.begin() as connection:
                n = (await connection.execute(text(select))).scalar_one()
                await anyio.lowlevel.checkpoint()
                await connection.execute(text("UPDATE counts SET n = :n"), {"n": n + 1})

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(increase)
    assert await rows(database, "SELECT n FROM counts") == [(40,)]


async def test_a_writer_that_is_cancelled_leaves_nothing_and_blocks_nobody(
    database: Database,
) -> None:
    async with anyio.create_task_group() as tasks:

        async def write() -> None:
            async with database.begin() as connection:
                await connection.execute(text("INSERT INTO counts VALUES ('a', 1)"))
                await anyio.sleep_forever()

        tasks.start_soon(write)
        await anyio.sleep(0.2)
        tasks.cancel_scope.cancel()
    async with database.begin() as connection:
        await connection.execute(text("INSERT INTO counts VALUES ('b', 1)"))
    assert await rows(database, "SELECT name FROM counts") == [("b",)]


async def test_whoever_is_cancelled_leaves_no_task_and_no_connection(
    tmp_path: Path, revisions: Path, database_url: str
) -> None:
    """Wherever in a transaction that was: opening, beginning, writing, committing, closing."""
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    async with open_database(tmp_path, database_url) as database:
        await database.migrate("sample", "sample_revisions")

        async def write() -> None:
            while True:
                async with database.begin() as connection:
                    await connection.execute(text("INSERT INTO counts VALUES ('a', 1)"))
                    await connection.execute(text("DELETE FROM counts"))
                async with database.connect() as connection:
                    await connection.execute(text("SELECT count(*) FROM counts"))

        for milliseconds in range(20):
            with anyio.move_on_after(milliseconds / 1000):
                async with anyio.create_task_group() as group:
                    for _ in range(3):
                        group.start_soon(write)
        assert await rows(database, "SELECT count(*) FROM counts") == [(0,)]
    assert asyncio.all_tasks() == tasks
    ours = [
        each for each in set(threading.enumerate()) - threads if each.name.startswith("database")
    ]
    for each in ours:
        each.join(10)
    assert not any(each.is_alive() for each in ours)


async def test_a_writer_that_gives_up_at_the_door_goes_at_once(
    tmp_path: Path, revisions: Path
) -> None:
    """Its thread waits on for the other writer, and takes back what it gets then."""
    async with open_database(tmp_path) as database:
        await database.migrate("sample", "sample_revisions")
        turned_away = anyio.Event()

        async def wait_at_the_door() -> None:
            with anyio.move_on_after(0.05):
                async with database.begin():
                    pytest.fail("there was another writer")
            turned_away.set()

        async with database.begin() as connection, anyio.create_task_group() as tasks:
            tasks.start_soon(wait_at_the_door)
            await turned_away.wait()
            await connection.execute(text("INSERT INTO counts VALUES ('a', 1)"))
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO counts VALUES ('b', 1)"))
        assert await rows(database, "SELECT name FROM counts") == [("a",), ("b",)]


async def test_more_tasks_than_connections_take_turns(database: Database) -> None:
    """Whoever has a connection goes on, however many wait for one."""
    begun: list[int] = []

    async def read(number: int) -> None:
        async with database.connect() as connection:
            for _ in range(3):
                await connection.execute(text("SELECT count(*) FROM counts"))
            begun.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(read, number)
    assert sorted(begun) == list(range(100))


async def test_who_gets_no_connection_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs_database.sqlite_database.WAIT", 0.1)
    async with open_database(tmp_path) as database, AsyncExitStack() as stack:
        for _ in range(15):
            await stack.enter_async_context(database.connect())
        with pytest.raises(SQLAlchemyError, match=r"all 15 connections to .* in use for 0.1 s"):
            await stack.enter_async_context(database.connect())


async def test_rows_are_there_in_whichever_way_they_are_taken(database: Database) -> None:
    async with database.begin() as connection:
        names = [{"name": f"{number:03}"} for number in range(200)]
        await connection.execute(text("INSERT INTO counts VALUES (:name, 1)"), names)
        select = text("SELECT name FROM counts ORDER BY name")
        expected = [each["name"] for each in names]
        assert (await connection.execute(select)).scalars().all() == expected
        assert [row.name for row in await connection.execute(select)] == expected
        result = await connection.execute(select)
        assert [row.name for part in result.partitions(7) for row in part] == expected
        result = await connection.execute(select)
        assert [row.name for row in (result.fetchone(), *result.fetchmany(5))] == expected[:6]
        assert [row.name for row in result.fetchall()] == expected[6:]
        assert await connection.scalar(select) == "000"
        changed = await connection.execute(text("UPDATE counts SET n = 2 WHERE name < '100'"))
        assert changed.rowcount == 100
        gone = await connection.execute(text("DELETE FROM counts WHERE n = 2 RETURNING name"))
        assert sorted(gone.scalars()) == expected[:100]
        assert await connection.scalar(text("SELECT name FROM counts WHERE n = 3")) is None


def test_what_the_other_database_needs_is_not_in_memory(tmp_path: Path) -> None:
    code = f"""
import anyio, sys
from pathlib import Path
from pacs_database.testing import open_database
async def run():
    async with open_database(Path({str(tmp_path)!r})) as database, database.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE counts (n INTEGER)")
anyio.run(run)
print({{"sqlalchemy.orm", "sqlalchemy.ext.asyncio", "greenlet", "asyncpg"}} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


async def test_a_file_that_is_no_database_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "pacs.db").write_text("this is no database at all, but long enough" * 40)
    with pytest.raises(DBAPIError, match="not a database"):
        async with open_database(tmp_path, f"sqlite:///{tmp_path / 'pacs.db'}"):
            pass


def _migrate(directory: str, url: str, code: str) -> None:
    sys.path.insert(0, code)

    async def run() -> None:
        async with open_database(Path(directory), url) as database:
            await database.migrate("sample", "sample_revisions")

    anyio.run(run)


async def test_processes_that_migrate_at_once_do_it_once(
    tmp_path: Path, revisions: Path, database_url: str
) -> None:
    (revisions / "second.py").write_text(SECOND)
    context = multiprocessing.get_context("spawn")
    arguments = (str(tmp_path), database_url, str(revisions.parent))
    processes = [context.Process(target=_migrate, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        await anyio.to_thread.run_sync(process.join)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    async with open_database(tmp_path, database_url) as database:
        assert await rows(database, "SELECT * FROM sample_revisions") == [("2",)]


async def test_later_revisions_keep_what_is_there(database: Database, revisions: Path) -> None:
    async with database.begin() as connection:
        await connection.execute(text("INSERT INTO counts VALUES ('a', 1)"))
    (revisions / "second.py").write_text(SECOND)
    await database.migrate("sample", "sample_revisions")
    await database.migrate("sample", "sample_revisions")
    assert await rows(database, "SELECT * FROM counts") == [("a", 1, None)]


async def test_alembic_is_not_needed_where_nothing_is_missing(
    database: Database, revisions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "alembic.operations", None)
    await database.migrate("sample", "sample_revisions")
    (revisions / "second.py").write_text(SECOND)
    with pytest.raises(ImportError):
        await database.migrate("sample", "sample_revisions")


async def test_a_revision_that_fails_changes_nothing(database: Database, revisions: Path) -> None:
    (revisions / "second.py").write_text(BROKEN)
    with pytest.raises(MigrationError, match="the tables of sample cannot be migrated"):
        await database.migrate("sample", "sample_revisions")
    with pytest.raises(DBAPIError, match="half"):
        await rows(database, "SELECT * FROM half")
    assert await rows(database, "SELECT * FROM sample_revisions") == [("1",)]


async def test_tables_of_a_newer_version_are_left_alone(
    database: Database, revisions: Path
) -> None:
    (revisions / "second.py").write_text(SECOND)
    await database.migrate("sample", "sample_revisions")
    (revisions / "second.py").unlink()
    with pytest.raises(MigrationError, match=r"does not know.*install the newer one again"):
        await database.migrate("sample", "sample_revisions")


async def test_an_owner_becomes_no_sql(database: Database) -> None:
    with pytest.raises(MigrationError, match="cannot own tables"):
        await database.migrate("x; DROP TABLE counts", "sample_revisions")


def test_the_url_comes_from_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "s/e@cret")
    given = DatabaseSettings("postgresql://pacs@db:5433/site", Secret(env="DATABASE_PASSWORD"))
    url = database_url(NodeSettings(data_directory=tmp_path, database=given))
    assert (url.drivername, url.password, url.port) == ("postgresql+asyncpg", "s/e@cret", 5433)
    monkeypatch.delenv("DATABASE_PASSWORD")
    problems = address_problems(NodeSettings(database=given))
    assert problems == ["database.url: the environment variable DATABASE_PASSWORD is not set"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u@host/db", "neither postgresql: nor sqlite:"),
        ("postgresql://u:secret@host/db", "put that into the key `password`"),
    ],
)
def test_a_url_that_will_not_do_is_refused(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        DatabaseSettings(url)
    assert "secret" not in str(caught.value)


def test_a_file_is_named() -> None:
    settings = NodeSettings(database=DatabaseSettings("sqlite://"))
    assert address_problems(settings) == ["database.url: names no file: write it as sqlite:///path"]


async def test_what_is_announced_is_heard_once_it_is_committed(database: Database) -> None:
    async with database.listen("counts") as listener:
        await listener.wait(0.2)  # on PostgreSQL it begins with the first

        async def announce(*, fail: bool) -> None:
            async with database.begin() as connection:
                await connection.execute(text("INSERT INTO counts VALUES ('a', 1)"))
                await database.notify(connection, "counts")
                await database.notify(connection, "others")
                if fail:
                    raise InterruptedError

        with pytest.raises(InterruptedError):
            await announce(fail=True)
        with anyio.move_on_after(0.3) as quiet:
            await listener.wait(60.0)
        assert quiet.cancelled_caught
        await announce(fail=False)
        with anyio.fail_after(60):
            await listener.wait(1e6)
        assert len(await rows(database, "SELECT * FROM counts")) == 1


async def test_a_name_is_held_by_one_at_a_time(database: Database) -> None:
    """Who waits gives up when it is cancelled; other names, and transactions, do not wait."""
    order: list[str] = []

    async def hold(name: str) -> None:
        async with database.hold("test_turn"):
            order.append(name)
            await anyio.sleep(0.05)
            order.append(name)

    async with anyio.create_task_group() as tasks, database.hold("test_turn"):
        tasks.start_soon(hold, "a")
        tasks.start_soon(hold, "b")
        with anyio.move_on_after(0.2) as scope:
            await hold("c")
        assert scope.cancelled_caught
        async with database.hold("test_other"), database.begin():
            assert order == []
    assert order in (["a", "a", "b", "b"], ["b", "b", "a", "a"])
    with pytest.raises(ValueError, match="cannot be held"):
        async with database.hold("../x"):
            pass
