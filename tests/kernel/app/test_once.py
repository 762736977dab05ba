"""What one process, and one node, does at a time."""

import anyio
import pytest

from pacs_core.app.once import OnlyNode, holder_of, only_process
from pacs_core.testing.memory_leases import MemoryLeases

pytestmark = pytest.mark.anyio


class Troubled(MemoryLeases):
    """Leases of an index that cannot be reached at times."""

    def __init__(self):
        super().__init__()
        self.troubled = False

    async def acquire(self, name, holder, seconds):
        return await self._tried(super().acquire(name, holder, seconds))

    async def renew(self, lease, seconds):
        return await self._tried(super().renew(lease, seconds))

    async def release(self, lease):
        await self._tried(super().release(lease))

    async def _tried(self, action):
        if self.troubled:
            action.close()
            raise ConnectionError("no route to host")
        return await action


@pytest.fixture
def leases():
    return Troubled()


def nobody():
    pass


async def test_a_lease_is_held_for_as_long_as_the_work_takes(leases):
    async def work(lease):
        await anyio.sleep(0.5)
        assert list(await leases.held()) == [lease]
        assert await leases.acquire("a", "other", 9) is None

    await OnlyNode(leases, "one", 0.3).run("a", work, nobody)
    assert list(await leases.held()) == []


async def test_work_ends_before_a_lease_that_cannot_be_renewed_does(leases):
    ended, begun = anyio.Event(), anyio.Event()
    held = []

    async def work(_lease):
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                held.extend(await leases.held())
            ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(OnlyNode(leases, "one", 9.0).run, "a", work, nobody)
        await begun.wait()
        leases.troubled = True
        with anyio.fail_after(60):
            await ended.wait()
        assert [lease.holder for lease in held] == ["one"]
        tasks.cancel_scope.cancel()


async def test_work_is_taken_up_again_after_a_lease_was_lost(leases):
    tokens = []

    async def work(lease):
        tokens.append(lease.token)
        if len(tokens) == 1:
            stolen = await leases.acquire("a", "one", 9)
            with anyio.CancelScope(shield=True):
                await leases.release(stolen)
            await anyio.sleep_forever()

    with anyio.fail_after(60):
        await OnlyNode(leases, "one", 0.3).run("a", work, nobody)
    assert tokens == [1, 3]


async def test_one_waits_while_another_works_or_the_index_is_away(leases):
    waits, done = [], anyio.Event()
    lease = await leases.acquire("a", "other", 3600)
    leases.troubled = True

    async def work(_lease):
        done.set()

    async with anyio.create_task_group() as tasks:
        node = OnlyNode(leases, "one", 1.0)
        tasks.start_soon(node.run, "a", work, lambda: waits.append(1))
        await anyio.sleep(0.05)
        assert waits
        await MemoryLeases.release(leases, lease)
        await anyio.sleep(0.6)
        assert not done.is_set()
        leases.troubled = False
        with anyio.fail_after(60):
            await done.wait()


async def test_one_process_at_a_time(tmp_path):
    order = []

    async def enter(number):
        async with only_process(tmp_path, "a/b", lambda: order.append(f"{number} waits")):
            order.append(f"{number} in")
            await anyio.sleep(0.05)
            order.append(f"{number} out")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, 1)
            await anyio.sleep(0.01)
            tasks.start_soon(enter, 2)
    assert order == ["1 in", "2 waits", "1 out", "2 in", "2 out"]
    assert [path.name for path in tmp_path.iterdir()] == ["a%2Fb.lock"]


def test_the_processes_of_a_node_have_one_name(tmp_path):
    names = {holder_of(tmp_path / "one") for _ in range(3)}
    assert len(names) == 1
    assert names.isdisjoint({holder_of(tmp_path / "two")})
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["node-id"]
