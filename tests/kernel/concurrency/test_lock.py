"""The lock that is on the way of every instance."""

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_core.concurrency import Lock

pytestmark = pytest.mark.anyio


async def test_one_at_a_time_first_come_first_served():
    lock, order, inside = Lock(), [], 0

    async def work(number):
        nonlocal inside
        async with lock:
            inside += 1
            assert inside == 1
            order.append(number)
            await anyio.lowlevel.checkpoint()
            inside -= 1

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(work, number)
    assert order == list(range(20))


async def test_an_exception_lets_go():
    lock = Lock()
    with pytest.raises(LookupError):
        async with lock:
            raise LookupError
    with anyio.fail_after(5):
        async with lock:
            pass


@pytest.mark.parametrize("turns", range(5))
async def test_who_gives_up_waiting_keeps_nobody_waiting(turns):
    """Cancelled before, at, or after the moment at which it is given the lock."""
    lock = Lock()
    await lock.acquire()
    async with anyio.create_task_group() as tasks:

        async def give_up():
            async with lock:
                await anyio.sleep_forever()

        tasks.start_soon(give_up)
        await anyio.lowlevel.checkpoint()
        lock.release()
        with anyio.CancelScope(shield=True):
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    with anyio.fail_after(5):
        async with lock:
            pass


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12))
def test_it_is_free_when_all_are_done(plan):
    async def main():
        lock, inside = Lock(), 0

        async def work(turns):
            nonlocal inside
            async with lock:
                inside += 1
                assert inside == 1
                try:
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                finally:
                    inside -= 1

        async with anyio.create_task_group() as tasks:
            for is_cancelled, turns in plan:
                scope = anyio.CancelScope()

                async def scoped(scope=scope, turns=turns):
                    with scope:
                        await work(turns)

                tasks.start_soon(scoped)
                if is_cancelled:
                    await anyio.lowlevel.checkpoint()
                    scope.cancel()
        with anyio.fail_after(5):
            await lock.acquire()

    anyio.run(main)
