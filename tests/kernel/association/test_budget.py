"""The byte budget: never more than there is, first come, first served, and nothing lost."""

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, strategies as st

from pacs_core.association.budget import ByteBudget

pytestmark = pytest.mark.anyio

LIMIT = 10
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, LIMIT)),
        st.tuples(st.just("give"), st.integers(0, 20)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
    ),
    max_size=40,
)


class Taker:
    def __init__(self, size: int) -> None:
        self.size = size
        self.scope = anyio.CancelScope()
        self.has_it = False

    async def run(self, budget: ByteBudget) -> None:
        with self.scope:
            await budget.take(self.size)
            self.has_it = True


async def settle() -> None:
    for _ in range(5):
        await checkpoint()


@given(steps=STEPS)
async def test_any_order_of_taking_giving_and_giving_up(steps):
    budget = ByteBudget(LIMIT)
    holding: list[Taker] = []
    waiting: list[Taker] = []
    async with anyio.create_task_group() as tasks:
        for step, number in steps:
            if step == "take":
                waiting.append(Taker(number))
                tasks.start_soon(waiting[-1].run, budget)
            elif step == "give" and holding:
                budget.give(holding.pop(number % len(holding)).size)
            elif step == "cancel" and waiting:
                waiting.pop(number % len(waiting)).scope.cancel()
            await settle()
            served = [taker for taker in waiting if taker.has_it]
            assert served == waiting[: len(served)]  # in the order in which they came
            holding += served
            del waiting[: len(served)]
            assert budget.free == LIMIT - sum(taker.size for taker in holding)
            if waiting:
                assert waiting[0].size > budget.free  # nobody waits for what is there
        tasks.cancel_scope.cancel()


async def test_what_was_granted_and_then_cancelled_comes_back():
    """The grant and the cancellation reach the waiting task in the same turn of the loop."""
    budget = ByteBudget(LIMIT)
    await budget.take(LIMIT)
    late = Taker(4)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(late.run, budget)
        await settle()
        late.scope.cancel()
        budget.give(LIMIT)  # the task still waits, and is granted what it will not take
    assert (late.has_it, budget.free) == (False, LIMIT)


async def test_who_comes_later_does_not_overtake():
    budget = ByteBudget(LIMIT)
    await budget.take(LIMIT - 1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(budget.take, 2)
        await settle()
        assert not budget.try_take(1)
        budget.give(LIMIT - 1)


async def test_more_than_there_is_is_refused_at_once():
    with pytest.raises(ValueError, match="11 bytes are more than the whole budget of 10"):
        await ByteBudget(LIMIT).take(LIMIT + 1)
