# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of deletion guards as tests: inherit, say how one is made, and how it holds.

Example
-------
::

    class TestCourt(DeletionGuardContract):
        @pytest.fixture
        def descriptor(self) -> DeletionGuardDescriptor:
            return pacs_deletion_guards(Setup(NodeSettings()))[0]

        async def hold(self, guard: DeletionGuard, instance: StoredInstance) -> None:
            cast(Court, guard).studies.add(instance.identity.study_instance_uid)
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

from pacs_core.contracts import (
    DeletionGuard,
    DeletionGuardDescriptor,
    InstanceHeldError,
    Level,
    Node,
    NodeSettings,
    Query,
    StoredInstance,
)
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.event_handler_contract import ORIGIN
from pacs_core.testing.memory_archive import MemoryArchive
from pacs_core.testing.operations import memory_node

_EXPLICIT = "1.2.840.10008.1.2.1"


class DeletionGuardContract:
    """What every deletion guard must do: name what is held now, with reasons, and nothing else.

    Subclass it in a test module, define the fixture ``descriptor``, and :meth:`hold`.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def descriptor(self) -> DeletionGuardDescriptor:
        """Return the descriptor of the guard."""
        raise NotImplementedError("define the fixture `descriptor`")

    async def hold(self, guard: DeletionGuard, instance: StoredInstance) -> None:
        """Bring about that the guard holds an instance, by itself or with its study."""
        raise NotImplementedError("define the method `hold`")

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        """Return the node that the guard is created for, with what the guard requires."""
        return memory_node(NodeSettings(data_directory=tmp_path))

    @pytest.fixture
    async def guard(
        self, descriptor: DeletionGuardDescriptor, node: Node, anyio_backend: Any
    ) -> AsyncIterator[DeletionGuard]:
        """Return the guard, started."""
        made = descriptor.create(node)
        await made.start()
        yield made
        await made.stop()

    def store(self, archive: MemoryArchive, count: int = 1) -> Sequence[StoredInstance]:
        """Return instances, each of a study of its own."""
        datasets = (SampleStudy().make("CT").encode(_EXPLICIT) for _ in range(count))
        return [archive.put(dataset, _EXPLICIT) for dataset in datasets]

    async def test_creating_gives_a_guard_each_time(
        self, descriptor: DeletionGuardDescriptor, node: Node
    ) -> None:
        assert descriptor.name
        first, second = descriptor.create(node), descriptor.create(node)
        assert isinstance(first, DeletionGuard)
        assert first is not second

    async def test_stopping_what_was_not_started(
        self, descriptor: DeletionGuardDescriptor, node: Node
    ) -> None:
        await descriptor.create(node).stop()

    async def test_what_is_not_held_may_go(self, guard: DeletionGuard) -> None:
        assert not await guard.find_holds([], ORIGIN)
        assert not await guard.find_holds(self.store(MemoryArchive()), ORIGIN)

    async def test_what_is_held_is_named_with_a_reason(self, guard: DeletionGuard) -> None:
        held, other = self.store(MemoryArchive(), 2)
        await self.hold(guard, held)
        found = await guard.find_holds([other, held], ORIGIN)
        assert list(found) == [held.identity.sop_instance_uid]
        reason = found[held.identity.sop_instance_uid]
        assert reason.strip()
        assert reason.isprintable()

    async def test_another_content_of_a_held_instance_is_held(self, guard: DeletionGuard) -> None:
        """Holds are about instances, whichever object is served at the moment."""
        (held,) = self.store(MemoryArchive())
        await self.hold(guard, held)
        moved = evolve(held, key=f"{held.key}.other", size=held.size + 2, digest=b"")
        assert await guard.find_holds([moved], ORIGIN)

    async def test_one_of_many(self, guard: DeletionGuard) -> None:
        (held,) = self.store(MemoryArchive())
        await self.hold(guard, held)
        identity = held.identity
        others = [
            evolve(
                held,
                identity=evolve(
                    identity, sop_instance_uid=f"1.9.{n}", study_instance_uid=f"1.8.{n}"
                ),
            )
            for n in range(499)
        ]
        found = await guard.find_holds([*others, held], ORIGIN)
        assert list(found) == [identity.sop_instance_uid]

    async def test_many_ask_at_once(self, guard: DeletionGuard) -> None:
        instances = self.store(MemoryArchive(), 8)
        await self.hold(guard, instances[3])
        found: dict[str, str] = {}

        async def ask(instance: StoredInstance) -> None:
            found.update(await guard.find_holds([instance], ORIGIN))

        async with anyio.create_task_group() as tasks:
            for instance in instances:
                tasks.start_soon(ask, instance)
        assert list(found) == [instances[3].identity.sop_instance_uid]

    async def test_a_cancelled_call_is_followed_by_others(self, guard: DeletionGuard) -> None:
        """A call that takes too long is cancelled; the next one comes nevertheless."""
        (held,) = self.store(MemoryArchive())
        await self.hold(guard, held)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(guard.find_holds, [held], ORIGIN)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert await guard.find_holds([held], ORIGIN)

    async def test_an_archive_keeps_what_is_held(self, guard: DeletionGuard) -> None:
        archive = MemoryArchive()
        archive.guards.install({"guard": guard})
        held, other = self.store(archive, 2)
        await self.hold(guard, held)
        assert list(await archive.holds(Query(Level.IMAGE), ORIGIN)) == [held.identity.path]
        with pytest.raises(InstanceHeldError):
            await archive.delete(held.identity.path, ORIGIN)
        report = await archive.delete_all(Query(Level.IMAGE), ORIGIN)
        assert list(report.held) == [held.identity.path]
        assert list(report.studies) == [other.identity.study_instance_uid]
        await archive.delete(held.identity.path, ORIGIN, override="a test is over")
        assert await archive.count(Query(Level.IMAGE)) == 0
