"""The suite for change consumers: a sound one passes all of it, and faults do not get through."""

from collections.abc import Sequence

import pytest

from pacs_core.contracts import Change, ChangeConsumer, ChangeConsumerDescriptor, ChangeKind
from pacs_core.testing.change_consumer_contract import ChangeConsumerContract, sample_changes
from pacs_core.testing.operations import memory_node

ALL = frozenset(ChangeKind)


class Sound(ChangeConsumer):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Change] = []

    async def handle(self, changes: Sequence[Change]) -> None:
        self.heard += changes


class TestSound(ChangeConsumerContract):
    @pytest.fixture
    def descriptor(self) -> ChangeConsumerDescriptor:
        return ChangeConsumerDescriptor("sound", lambda node: Sound(), kinds=ALL, begin="all")


class Once(Sound):
    """Cannot bear to hear a thing twice."""

    async def handle(self, changes: Sequence[Change]) -> None:
        if any(change in self.heard for change in changes):
            raise ValueError("I know")
        await super().handle(changes)


@pytest.mark.anyio
async def test_one_that_hears_nothing_twice_fails():
    consumer = Once()
    with pytest.raises(ValueError, match="I know"):
        await TestSound().test_the_same_changes_again(consumer, sample_changes(ALL))


@pytest.mark.anyio
async def test_one_and_the_same_fails():
    only = Sound()
    descriptor = ChangeConsumerDescriptor("only", lambda node: only)
    with pytest.raises(AssertionError):
        await TestSound().test_creating_gives_a_consumer_each_time(descriptor, memory_node())


def test_samples_are_of_the_kinds_that_were_asked_for():
    changes = sample_changes(frozenset({ChangeKind.REMOVED}))
    assert {next(changes).kind for _ in range(10)} == {ChangeKind.REMOVED}
