"""The relay: every item arrives once and in order, and nothing is queued."""

import anyio
import pytest

from pacs_core.concurrency import Relay

pytestmark = pytest.mark.anyio


async def test_items_arrive_in_order_and_then_it_ends():
    relay = Relay()

    async def give():
        for number in range(5):
            await relay.give(number)
        relay.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(give)
        assert [item async for item in relay] == [0, 1, 2, 3, 4]


async def test_who_gives_waits_until_it_is_taken():
    relay, given = Relay(), []

    async def give():
        for number in range(3):
            await relay.give(number)
            given.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(give)
        await anyio.wait_all_tasks_blocked()
        assert given == []
        assert await anext(relay) == 0
        await anyio.wait_all_tasks_blocked()
        assert given == [0]
        tasks.cancel_scope.cancel()


async def test_what_was_not_taken_is_kept_by_who_is_cancelled():
    relay = Relay()
    with anyio.move_on_after(0.01) as scope:
        await relay.give("kept")
    assert scope.cancelled_caught
    relay.close()
    assert [item async for item in relay] == []


async def test_who_waits_is_told_of_the_end():
    relay = Relay()
    async with anyio.create_task_group() as tasks:

        async def take():
            assert [item async for item in relay] == []

        tasks.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        relay.close()
