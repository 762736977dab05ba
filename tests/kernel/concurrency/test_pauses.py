"""Those who look again and again wake at the same moments."""

import anyio
import pytest
from hypothesis import given, strategies as st

from pacs_core.concurrency import common_moment, pauses

pytestmark = pytest.mark.anyio
NOW = st.floats(0, 1e7)
INTERVALS = st.sampled_from([0.25, 0.5, 1.0, 2.0, 5.0])


@given(now=NOW, interval=INTERVALS)
def test_a_moment_is_a_multiple_neither_near_nor_far(now, interval):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pauses.anyio, "current_time", lambda: now)
        moment = common_moment(interval)
    assert moment % interval == 0
    assert 0.0999 * interval < moment - now < 1.1001 * interval


@given(now=NOW)
def test_of_no_interval_it_is_now(now):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pauses.anyio, "current_time", lambda: now)
        assert common_moment(0.0) == now


async def test_who_looks_half_as_often_wakes_with_the_other():
    moments = []

    async def look(interval, times):
        for _ in range(times):
            moment = common_moment(interval)
            await anyio.sleep_until(moment)
            assert anyio.current_time() >= moment - 0.001
            moments.append(moment)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look, 0.04, 4)
        tasks.start_soon(look, 0.02, 12)
    assert len(set(moments)) <= 13
