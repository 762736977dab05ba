"""Processes of a pool: used again when all went well, and killed after anything else."""

import os
from pathlib import Path

import anyio
import pytest

from pacs_core.api.workers import WorkerDiedError, WorkerPool, WorkerTimeoutError

pytestmark = pytest.mark.anyio

WORKER = """
import json, os, sys, time
for line in sys.stdin:
    if line == "die\\n":
        sys.exit()
    if line == "sleep\\n":
        time.sleep(600)
    if line == "endless\\n":
        sys.stdout.write("x" * 100_000)
        sys.stdout.flush()
    if line == "environment\\n":
        print(json.dumps(sorted(os.environ)), flush=True)
    print(os.getpid(), flush=True)
"""


@pytest.fixture
async def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pool_sample.py").write_text(WORKER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SECRET", "the node's")
    pool = WorkerPool("pool_sample", processes=2, timeout=60.0)
    yield pool
    await pool.stop()


async def pid_of(pool: WorkerPool) -> int:
    async with pool.lend() as worker:
        await worker.send(b"\n")
        return int(await worker.receive_line(100))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_process_is_used_again_until_the_pool_stops(pool: WorkerPool) -> None:
    pid = await pid_of(pool)
    assert await pid_of(pool) == pid
    assert is_running(pid)
    await pool.stop()
    assert not is_running(pid)


@pytest.mark.parametrize(
    ("said", "raised"),
    [(b"die\n", WorkerDiedError), (b"endless\n", WorkerDiedError), (b"", ZeroDivisionError)],
)
async def test_a_process_that_something_went_wrong_with_is_killed(
    pool: WorkerPool, said: bytes, raised: type[Exception]
) -> None:
    pid = await pid_of(pool)

    async def ask() -> None:
        async with pool.lend() as worker:
            await worker.send(said)
            if not said:
                raise ZeroDivisionError
            await worker.receive_line(1000)

    with pytest.raises(raised):
        await ask()
    assert not is_running(pid)
    assert await pid_of(pool) != pid


async def test_a_process_that_takes_too_long_is_killed(pool: WorkerPool) -> None:
    pid = await pid_of(pool)
    assert pool.idle == [pid]
    pool.timeout = 0.05

    async def ask() -> None:
        async with pool.lend() as worker:
            await worker.send(b"sleep\n")
            await worker.receive_line(100)

    with pytest.raises(WorkerTimeoutError, match=r"longer than 0.05 seconds"):
        await ask()
    assert pool.idle == []
    assert not is_running(pid)


async def test_whoever_is_cancelled_leaves_no_process(pool: WorkerPool) -> None:
    pid = await pid_of(pool)
    asked = anyio.Event()

    async def ask() -> None:
        async with pool.lend() as worker:
            await worker.send(b"sleep\n")
            asked.set()
            await worker.receive_line(100)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await asked.wait()
        tasks.cancel_scope.cancel()
    assert not is_running(pid)


async def test_a_process_that_ended_by_itself_is_not_lent_again(pool: WorkerPool) -> None:
    async with pool.lend() as worker:
        await worker.send(b"die\n")
        await worker.process.wait()
    assert await pid_of(pool) != worker.process.pid


async def test_no_more_are_lent_than_there_may_be_and_none_knows_a_secret(pool: WorkerPool) -> None:
    waited = anyio.Event()

    async def third() -> None:
        async with pool.lend():
            waited.set()

    async with anyio.create_task_group() as tasks:
        async with pool.lend() as first, pool.lend() as second:
            tasks.start_soon(third)
            await anyio.wait_all_tasks_blocked()
            assert not waited.is_set()
            assert first.process.pid != second.process.pid
            await first.send(b"environment\n")
            assert b"SECRET" not in await first.receive_line(10_000)
            await first.receive_line(100)
        await waited.wait()
