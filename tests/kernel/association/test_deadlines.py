"""Deadlines: the earliest is told, once; one that is moved or cleared is not."""

import anyio
import pytest

from pacs_core.association.deadlines import Deadlines

pytestmark = pytest.mark.anyio


async def names_of_expired(deadlines: Deadlines, count: int) -> list[str]:
    told: list[str] = []
    done = anyio.Event()

    async def expired(name: str) -> None:
        told.append(name)
        if len(told) == count:
            done.set()

    with anyio.fail_after(40):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(deadlines.watch, expired)
            await done.wait()
            tasks.cancel_scope.cancel()
    return told


async def test_they_pass_in_the_order_of_their_time_each_once():
    deadlines = Deadlines(0.01)
    deadlines.set("later", 0.1)
    deadlines.set("sooner", 0.02)
    assert await names_of_expired(deadlines, 2) == ["sooner", "later"]


async def test_one_that_is_moved_passes_at_its_new_time():
    deadlines = Deadlines(0.01)
    deadlines.set("moved", 0.0)
    deadlines.set("moved", 0.1)
    deadlines.set("other", 0.02)
    assert await names_of_expired(deadlines, 2) == ["other", "moved"]


async def test_one_that_is_cleared_does_not_pass():
    deadlines = Deadlines(0.01)
    deadlines.set("cleared", 0.0)
    deadlines.set("other", 0.02)
    deadlines.clear("cleared")
    deadlines.clear("never set")
    assert await names_of_expired(deadlines, 1) == ["other"]


async def test_one_that_is_set_while_the_watch_sleeps_is_noticed():
    """Nothing wakes the watch: it looks again after its resolution."""
    deadlines = Deadlines(0.01)
    async with anyio.create_task_group() as tasks:

        async def set_later() -> None:
            await anyio.sleep(0.02)
            deadlines.set("late", 0.0)

        tasks.start_soon(set_later)
        assert await names_of_expired(deadlines, 1) == ["late"]
