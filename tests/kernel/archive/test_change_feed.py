"""One read of the log of changes for all who follow it: nobody misses any, nor hears one twice."""

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings, strategies as st

from pacs_core.archive import ChangeFeed, change_feed
from pacs_core.contracts import ChangeKind, ChangesLostError
from pacs_core.testing.memory_changes import MemoryChangeLog

pytestmark = pytest.mark.anyio
FOLLOWERS = ("a", "b", "c")


class CountingLog(MemoryChangeLog):
    """Counts how often it is read."""

    def __init__(self):
        super().__init__(lambda study: True)
        self.reads = 0

    async def changes(self, after, limit):
        self.reads += 1
        return await super().changes(after, limit)


async def followed(log):
    return {name: (await log.follow(name)).sequence for name in FOLLOWERS}


def write(log, count):
    for _ in range(count):
        log.note(ChangeKind.ADDED, "1.2.3")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 40)),
        st.tuples(st.sampled_from(FOLLOWERS), st.integers(1, 20)),
        st.tuples(st.just("away"), st.sampled_from(FOLLOWERS)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_everybody_hears_everything_once_and_in_order(steps):
    """Whoever reads when, however much, and although what all have done is removed."""

    async def follow() -> None:
        log = CountingLog()
        after, heard = await followed(log), {name: [] for name in FOLLOWERS}
        feed = ChangeFeed(log)

        async def read(name, limit):
            found = await feed.changes(after[name], limit)
            assert len(found) <= limit
            heard[name] += [change.sequence for change in found]
            if found:
                after[name] = found[-1].sequence
                await log.advance(name, after[name])
            return found

        written = 0
        for action, value in steps:
            if action == "write":
                write(log, value)
                written += value
            elif action == "away":  # long enough for what it has not heard to be kept no more
                for name in FOLLOWERS:
                    while name != value and await read(name, 20):
                        pass
            else:
                await read(action, value)
        for name in FOLLOWERS:
            while await read(name, 7):
                pass
            assert heard[name] == list(range(1, written + 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(change_feed, "LOOK_AGAIN", 0.0)
        patch.setattr(change_feed, "SELDOM", 0.0)
        patch.setattr(change_feed, "_KEPT", 30)
        patch.setattr(change_feed, "_PAGE", 16)
        anyio.run(follow)


async def test_one_read_serves_all():
    log = CountingLog()
    after = await followed(log)
    feed = ChangeFeed(log)
    write(log, 100)
    for name in FOLLOWERS:
        assert len(await feed.changes(after[name], 512)) == 100
    assert log.reads == 1
    # It is not time to look again, so nobody does.
    write(log, 1)
    for _ in FOLLOWERS:
        assert await feed.changes(100, 512) == []
    assert log.reads == 1
    await feed.pause()
    assert [len(await feed.changes(100, 512)) for _ in FOLLOWERS] == [1, 1, 1]
    assert log.reads == 2


async def test_followers_that_wait_look_at_the_same_moments():
    log = CountingLog()
    after = await followed(log)
    feed = ChangeFeed(log)
    heard = dict.fromkeys(FOLLOWERS, 0)

    async def follow(name):
        while not heard[name]:
            heard[name] = len(await feed.changes(after[name], 512))
            await feed.wait(after[name])

    async with anyio.create_task_group() as tasks:
        for name in FOLLOWERS:
            tasks.start_soon(follow, name)
        await anyio.sleep(2 * change_feed.LOOK_AGAIN)
        write(log, 3)
        before = log.reads
    assert set(heard.values()) == {3}
    assert log.reads - before <= 2


async def test_one_looks_for_all_who_wait_and_another_if_it_ends(monkeypatch):
    """Who waits is not woken for nothing."""
    monkeypatch.setattr(change_feed, "LOOK_AGAIN", 0.01)
    monkeypatch.setattr(change_feed, "SELDOM", 0.01)
    log = CountingLog()
    after = await followed(log)
    feed = ChangeFeed(log)
    asked, heard = [], []

    async def follow(name, scope):
        with scope:
            while not (found := await feed.changes(after[name], 512)):
                asked.append(name)
                await feed.wait(after[name])
            heard.append((name, len(found)))

    scopes = {name: anyio.CancelScope() for name in FOLLOWERS}
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for name in FOLLOWERS:
                tasks.start_soon(follow, name, scopes[name])
            for name in FOLLOWERS[:2]:
                goal = log.reads + 20
                while log.reads < goal:
                    await anyio.lowlevel.checkpoint()
                scopes[name].cancel()
            write(log, 3)
    assert heard == [(FOLLOWERS[2], 3)]
    # Once each, and perhaps again when the one who looked was cancelled amid reading.
    assert len(asked) <= 6


async def test_who_waits_hears_of_a_failure_of_the_one_who_looks(monkeypatch):
    monkeypatch.setattr(change_feed, "LOOK_AGAIN", 0.01)
    monkeypatch.setattr(change_feed, "SELDOM", 0.01)
    log = CountingLog()
    after = await followed(log)
    feed = ChangeFeed(log)
    failed = []

    async def wait(name):
        assert await feed.changes(after[name], 512) == []
        try:
            await feed.wait(after[name])
            await feed.changes(after[name], 512)
        except ChangesLostError:
            failed.append(name)

    async with anyio.create_task_group() as tasks:
        write(log, 1)
        for name in FOLLOWERS:
            after[name] = 1
            await log.advance(name, 1)
            tasks.start_soon(wait, name)
        await anyio.wait_all_tasks_blocked()
        feed.log = CountingLog()
    assert sorted(failed) == list(FOLLOWERS)


async def test_a_log_that_was_lost_is_told_to_each_and_then_read_anew(monkeypatch):
    monkeypatch.setattr(change_feed, "LOOK_AGAIN", 0.0)
    monkeypatch.setattr(change_feed, "SELDOM", 0.0)
    log = CountingLog()
    await followed(log)
    feed = ChangeFeed(log)
    write(log, 20)
    assert len(await feed.changes(0, 512)) == 20
    feed.log = anew = CountingLog()
    after = await followed(anew)
    for _ in FOLLOWERS:
        with pytest.raises(ChangesLostError):
            await feed.changes(20, 512)
    write(anew, 2)
    assert [change.sequence for change in await feed.changes(after["a"], 512)] == [1, 2]
