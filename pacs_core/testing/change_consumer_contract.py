# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of change consumers as tests: inherit, and say how a consumer is made.

Example
-------
::

    class TestForwarder(ChangeConsumerContract):
        @pytest.fixture
        def descriptor(self) -> ChangeConsumerDescriptor:
            return pacs_change_consumers(Setup(NodeSettings()))[0]
"""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

from pacs_core.contracts import (
    STUDY_CHANGES,
    Change,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    ChangeKind,
    Node,
    NodeSettings,
)
from pacs_core.testing.index_harness import make_record
from pacs_core.testing.operations import memory_node


def sample_changes(kinds: frozenset[ChangeKind]) -> Iterator[Change]:
    """Iterate without end over changes of these kinds, of some studies in turn.

    No archive knows their instances: they are gone again.
    """
    for number in count(1):
        kind = list(ChangeKind)[number % len(ChangeKind)]
        if kind not in kinds:
            continue
        instance = make_record(f"{number % 3}.1.{number}").instance
        study = instance.identity.study_instance_uid
        given = None if kind in STUDY_CHANGES else instance
        yield Change(number, kind, 1.7e9 + number, study, given)


class ChangeConsumerContract:
    """What every change consumer must do: put up with changes that come again, and begin again.

    Subclass it in a test module, and define the fixture ``descriptor``.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def descriptor(self) -> ChangeConsumerDescriptor:
        """Return the descriptor of the consumer."""
        raise NotImplementedError("define the fixture `descriptor`")

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        """Return the node that the consumer is created for; its archive is empty."""
        return memory_node(NodeSettings(data_directory=tmp_path))

    @pytest.fixture
    def changes(self, descriptor: ChangeConsumerDescriptor) -> Iterator[Change]:
        """Return changes of the kinds that the consumer asks for."""
        return sample_changes(descriptor.kinds)

    @pytest.fixture
    async def consumer(
        self, descriptor: ChangeConsumerDescriptor, node: Node, anyio_backend: Any
    ) -> AsyncIterator[ChangeConsumer]:
        """Return the consumer, started."""
        consumer = descriptor.create(node)
        await consumer.start()
        yield consumer
        await consumer.stop()

    async def test_creating_gives_a_consumer_each_time(
        self, descriptor: ChangeConsumerDescriptor, node: Node
    ) -> None:
        assert descriptor.name
        assert descriptor.kinds
        assert descriptor.batch > 0
        first, second = descriptor.create(node), descriptor.create(node)
        assert isinstance(first, ChangeConsumer)
        assert first is not second

    async def test_stopping_what_was_not_started(
        self, descriptor: ChangeConsumerDescriptor, node: Node
    ) -> None:
        await descriptor.create(node).stop()

    async def test_portions_of_any_length(
        self,
        descriptor: ChangeConsumerDescriptor,
        consumer: ChangeConsumer,
        changes: Iterator[Change],
    ) -> None:
        for length in {1, 2, descriptor.batch}:
            await consumer.handle([next(changes) for _ in range(min(length, descriptor.batch))])

    async def test_the_same_changes_again(
        self, consumer: ChangeConsumer, changes: Iterator[Change]
    ) -> None:
        """After a crash, or after an exception."""
        change = next(changes)
        await consumer.handle([change])
        await consumer.handle([change])

    async def test_what_was_there_before_has_no_sequence(
        self, descriptor: ChangeConsumerDescriptor, consumer: ChangeConsumer
    ) -> None:
        if descriptor.begin == "now" or ChangeKind.ADDED not in descriptor.kinds:
            pytest.skip("it is not told")
        changes = sample_changes(frozenset({ChangeKind.ADDED}))
        await consumer.handle([evolve(next(changes), sequence=0)])
        await consumer.handle([evolve(next(changes), sequence=0)])

    async def test_a_cancelled_call_is_made_again(
        self, descriptor: ChangeConsumerDescriptor, node: Node, changes: Iterator[Change]
    ) -> None:
        """The node ends: another process gets the same changes."""
        batch = [next(changes)]
        first = descriptor.create(node)
        await first.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.handle, batch)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await first.stop()
        second = descriptor.create(node)
        await second.start()
        await second.handle(batch)
        await second.stop()
