"""The signal between one task and those that wake it."""

import anyio
import pytest

from pacs_core.concurrency import Signal

pytestmark = pytest.mark.anyio


async def test_it_wakes_who_waits():
    signal, log = Signal(), []

    async def wait():
        for number in range(3):
            await signal.wait()
            log.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        for number in range(3):
            await anyio.wait_all_tasks_blocked()
            assert len(log) == number
            signal.set()
    assert log == [0, 1, 2]


async def test_what_nobody_waits_for_is_forgotten():
    signal = Signal()
    signal.set()
    with anyio.move_on_after(0.01) as scope:
        await signal.wait()
    assert scope.cancelled_caught


async def test_a_waiter_that_is_gone_is_no_error():
    signal = Signal()
    with anyio.move_on_after(0):
        await signal.wait()
    signal.set()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(signal.wait)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        signal.set()
