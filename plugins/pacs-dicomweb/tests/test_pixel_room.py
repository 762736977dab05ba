"""Room for pixels: never more than there is, in order, and given back whatever happens."""

import anyio
import pytest
from hypothesis import given, strategies as st
from pacs_dicomweb.pixel_room import PixelRoom

pytestmark = pytest.mark.anyio
MOST = 10


@given(
    st.lists(
        st.tuples(st.integers(1, 14), st.integers(0, 3), st.sampled_from(["", "fail", "cancel"])),
        max_size=12,
    )
)
def test_no_more_than_there_is_and_in_order(pictures):
    async def run():
        room, used, order = PixelRoom(), [], []

        async def make(number, pixels, steps, how):
            with anyio.CancelScope() as scope:
                try:
                    async with room.take(pixels, MOST):
                        order.append(number)
                        used.append(pixels)
                        assert sum(used) <= MOST or used == [pixels]
                        try:
                            for _ in range(steps):
                                await anyio.lowlevel.checkpoint()
                            if how == "cancel":
                                scope.cancel()
                                await anyio.lowlevel.checkpoint()
                            if how == "fail":
                                raise KeyError(number)
                        finally:
                            used.remove(pixels)
                except KeyError:
                    pass

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for number, picture in enumerate(pictures):
                    tasks.start_soon(make, number, *picture)
            async with room.take(MOST, MOST):
                pass
        assert order == sorted(order) == list(range(len(pictures)))

    anyio.run(run)


async def test_who_gives_up_waiting_keeps_nobody_else_waiting():
    room = PixelRoom()
    async with room.take(MOST, MOST):
        with anyio.move_on_after(0.01) as waited:
            async with room.take(1, MOST):
                pytest.fail("there was no room")
        assert waited.cancelled_caught
    with anyio.fail_after(5):
        async with room.take(MOST, MOST):
            pass
