"""Faults of the server, as a sender meets them: C-STORE to a node whose index is in PostgreSQL."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import asyncpg
import pytest
from anyio import to_thread

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.node import NodeProcess, node_process
from pacs_core.testing.postgresql import PostgresqlServer, postgresql_server

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
ROOT = "1.2.826.0.1.3680043.10.3"
CONNECTIONS = 24


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresqlServer]:
    try:
        options = f"-c max_connections={CONNECTIONS} -c superuser_reserved_connections=2"
        with postgresql_server(options=options) as server:
            yield server
    except LookupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def standby(primary: PostgresqlServer) -> Iterator[PostgresqlServer]:
    with primary.standby() as standby:
        yield standby


@pytest.fixture(scope="module")
def node(
    primary: PostgresqlServer, standby: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """A node that gives up after three seconds, as a user who is nobody's superuser."""
    folder = tmp_path_factory.mktemp("node")
    hosts = f"{primary.directory},{standby.directory}"
    dsn = f"postgresql://node@/postgres?host={hosts}&target_session_attrs=read-write"
    (folder / "dsn").write_text(dsn)

    async def make_user() -> None:
        connection = await asyncpg.connect(primary.url)
        await connection.execute(
            "CREATE ROLE node LOGIN; GRANT CREATE ON DATABASE postgres TO node;"
        )
        await connection.close()

    anyio.run(make_user)
    tables = {
        "archive": {"index": "postgresql"},
        "plugin": {
            "index-postgresql": {"dsn": {"file": str(folder / "dsn")}, "timeout": 3.0},
            "store-filesystem": {"root": str(folder / "objects")},
        },
    }
    with node_process(folder, tables) as node:
        yield node


async def store(node: NodeProcess, number: int) -> int:
    """Store an instance; return the status of the response (PS3.4 Table B.2-1)."""
    uid = f"{ROOT}.9.{number}"
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "PatientID": "P1",
        "Modality": "CT",
        "StudyInstanceUID": f"{ROOT}.1",
        "SeriesInstanceUID": f"{ROOT}.1.{number % 3}",
    }
    dataset = encode_attributes({tag_of(k): (v,) for k, v in values.items()}, EXPLICIT)
    async with connect(node.peer, [Proposal(CT, (EXPLICIT,))]) as association:
        return (await association.c_store(CT, uid, dataset)).status


async def store_in_the_end(node: NodeProcess, number: int) -> None:
    """Store an instance as soon as the node can."""
    with anyio.fail_after(120):
        while await store(node, number) != 0x0000:  # noqa: ASYNC110
            await anyio.sleep(0.1)


@asynccontextmanager
async def look(server: PostgresqlServer) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url, server_settings={"search_path": "pacs"})
    yield connection
    await connection.close()


async def stored(server: PostgresqlServer) -> set[str]:
    async with look(server) as connection:
        rows = await connection.fetch("SELECT SOPInstanceUID FROM instance")
    return {row[0].removeprefix(f"{ROOT}.9.") for row in rows}


@contextmanager
def stop_processes(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def test_no_connection_left_means_out_of_resources(
    primary: PostgresqlServer, node: NodeProcess
) -> None:
    """A700H, and not a moment longer than others have all connections."""
    assert await store(node, 1) == 0x0000
    taken: list[asyncpg.Connection] = []
    statuses: list[int] = []
    async with look(primary) as connection:
        try:
            # The node may be quicker to take a place that is left: then again.
            while 0xA700 not in statuses and len(statuses) < 20:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE usename = 'node' AND pid <> ALL($1)",
                    [each.get_server_pid() for each in taken],
                )
                # All but those that are kept for a superuser, of which this test is one.
                with suppress(asyncpg.TooManyConnectionsError):
                    while True:
                        taken.append(await asyncpg.connect(primary.url.replace("pacs@", "node@")))
                statuses.append(await store(node, 2))
            assert taken
            assert statuses[-1] == 0xA700
        finally:
            for each in taken:
                await each.close()
    await store_in_the_end(node, 3)
    assert {"1", "3"} <= await stored(primary)


async def test_a_server_that_has_stopped_means_out_of_resources(
    primary: PostgresqlServer, node: NodeProcess
) -> None:
    assert await store(node, 4) == 0x0000
    pid = int((primary.directory / "data" / "postmaster.pid").read_text().split()[0])
    async with look(primary) as connection:
        rows = await connection.fetch("SELECT pid FROM pg_stat_activity WHERE usename = 'node'")
    with stop_processes([pid, *(row[0] for row in rows)]):
        assert await store(node, 5) in {0xA700, 0x0110}
    await store_in_the_end(node, 6)
    assert {"4", "6"} <= await stored(primary)


async def test_after_a_failover_the_standby_is_used(
    primary: PostgresqlServer, standby: PostgresqlServer, node: NodeProcess
) -> None:
    """Last, for it ends the primary: what was acknowledged is there, and more can be stored."""
    assert await store(node, 7) == 0x0000
    before = await stored(primary)
    with anyio.fail_after(120):
        while not before <= await stored(standby):  # it follows a moment later  # noqa: ASYNC110
            await anyio.sleep(0.05)
    await to_thread.run_sync(primary.kill)
    # A standby only reads.
    assert await store(node, 8) == 0xA700
    await to_thread.run_sync(standby.promote)
    await store_in_the_end(node, 9)
    assert {*before, "9"} <= await stored(standby)
