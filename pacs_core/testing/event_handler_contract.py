# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of event handlers as tests: inherit, and say how a handler is made.

Example
-------
::

    class TestCounter(EventHandlerContract):
        @pytest.fixture
        def descriptor(self) -> EventHandlerDescriptor:
            return pacs_event_handlers(Setup(NodeSettings()))[0]
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from pacs_core.contracts import (
    EventHandler,
    EventHandlerDescriptor,
    InstanceEvent,
    InstanceEventKind,
    InstanceIdentity,
    Node,
    NodeSettings,
    Origin,
    StoredInstance,
)
from pacs_core.dataset import tag_of, texts
from pacs_core.testing.datasets import MODALITIES, SampleStudy
from pacs_core.testing.operations import memory_node
from pacs_core.testing.sample_values import Values

ORIGIN: Final = Origin("DIMSE", "MODALITY", "PACS", "192.0.2.7", 50123, None, "a1")

HOSTILE_VALUES: Final[Values] = {
    "newline": "a\nb\r\nc",
    "controls": "".join(map(chr, range(1, 32))),
    "path": "../../etc/passwd",
    "markup": "<script>'\"&</script>",
    "format": "%s{0}$HOME`id`",
    "surrogate": "\udcff\ud800",
    "long": "x" * 65_536,
    "several": ["one", "two"],
    "empty": "",
}
"""Values that a peer may send in any text."""


def instance_event(
    kind: InstanceEventKind, modality: str = "CT", values: Values | None = None
) -> InstanceEvent:
    """Return what a handler hears of a sample instance; `values` replace attributes."""
    attributes = SampleStudy().make(modality, **(values or {})).attributes
    deleted = kind is InstanceEventKind.DELETED
    words = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    uids = ["".join(texts(attributes, tag_of(word))) for word in words]
    return InstanceEvent(
        kind,
        StoredInstance(InstanceIdentity(*uids), "1.2.840.10008.1.2.1", uids[2], 1000, 400),
        ORIGIN,
        {} if deleted else attributes,
    )


class EventHandlerContract:
    """What every event handler must do: nothing that arrives may stop it.

    Subclass it in a test module, and define the fixture ``descriptor``.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def descriptor(self) -> EventHandlerDescriptor:
        """Return the descriptor of the handler."""
        raise NotImplementedError("define the fixture `descriptor`")

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        """Return the node that the handler is created for."""
        return memory_node(NodeSettings(data_directory=tmp_path))

    @pytest.fixture
    async def handler(
        self, descriptor: EventHandlerDescriptor, node: Node, anyio_backend: Any
    ) -> AsyncIterator[EventHandler]:
        """Return the handler, started."""
        handler = descriptor.create(node)
        await handler.start()
        yield handler
        await handler.stop()

    async def test_creating_gives_a_handler_each_time(
        self, descriptor: EventHandlerDescriptor, node: Node
    ) -> None:
        assert descriptor.name
        first, second = descriptor.create(node), descriptor.create(node)
        assert isinstance(first, EventHandler)
        assert first is not second

    async def test_stopping_what_was_not_started(
        self, descriptor: EventHandlerDescriptor, node: Node
    ) -> None:
        await descriptor.create(node).stop()

    @pytest.mark.parametrize("modality", MODALITIES)
    async def test_the_life_of_an_instance(self, handler: EventHandler, modality: str) -> None:
        for kind in InstanceEventKind:
            await handler.handle(instance_event(kind, modality))

    async def test_an_instance_without_attributes(self, handler: EventHandler) -> None:
        """Only the UIDs of its identity are certain; anything else may be missing."""
        event = instance_event(InstanceEventKind.STORED)
        await handler.handle(InstanceEvent(event.kind, event.instance, event.origin, {}))

    @pytest.mark.parametrize("fault", HOSTILE_VALUES)
    async def test_hostile_attributes(self, handler: EventHandler, fault: str) -> None:
        value = HOSTILE_VALUES[fault]
        words = ("PatientName", "PatientID", "StudyDescription", "Modality", "StudyDate")
        for kind in InstanceEventKind:
            await handler.handle(instance_event(kind, values=dict.fromkeys(words, value)))

    async def test_a_deletion_of_what_was_never_heard_of(self, handler: EventHandler) -> None:
        await handler.handle(instance_event(InstanceEventKind.DELETED))

    async def test_the_same_event_twice(self, handler: EventHandler) -> None:
        """After a crash an event may come again."""
        event = instance_event(InstanceEventKind.STORED)
        await handler.handle(event)
        await handler.handle(event)

    async def test_many_events(self, handler: EventHandler) -> None:
        for _ in range(300):
            await handler.handle(instance_event(InstanceEventKind.STORED))

    async def test_a_cancelled_call_is_followed_by_others(self, handler: EventHandler) -> None:
        """A call that takes too long is cancelled; the next event comes nevertheless."""
        event = instance_event(InstanceEventKind.STORED)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handler.handle, event)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await handler.handle(event)

    async def test_a_handler_begins_again_where_another_ended(
        self, descriptor: EventHandlerDescriptor, node: Node
    ) -> None:
        for _ in range(2):
            handler = descriptor.create(node)
            await handler.start()
            await handler.handle(instance_event(InstanceEventKind.STORED))
            await handler.stop()
