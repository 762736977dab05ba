"""The contract of event handlers: what happens to instances, told to whoever listens."""

from enum import Enum

from attrs import frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.instance import Origin, StoredInstance
from pacs_core.dataset import Attributes


class InstanceEventKind(Enum):
    """What happened to an instance."""

    RECEIVED = "received"
    """It arrived whole and is valid; nothing is promised about storage yet."""
    STORED = "stored"
    """It is durable and can be found."""
    DELETED = "deleted"
    UPDATED = "updated"
    """It goes out otherwise than before: it was corrected, or that was reverted."""


@frozen
class InstanceEvent:
    """Something happened to an instance.

    Attributes
    ----------
    kind : InstanceEventKind
    instance : StoredInstance
    origin : Origin
    attributes : Attributes
        The indexed attributes; empty for ``DELETED``.
    """

    kind: InstanceEventKind
    instance: StoredInstance
    origin: Origin
    attributes: Attributes


class EventHandler(Component):
    """Observes instances.

    Events come one at a time and in order, in a task of the handler's own, after the fact: a
    handler delays no response. What it raises, or a call that exceeds the configured time, is
    logged and counted. When a handler falls far behind, ingest waits for it.
    """

    async def handle(self, event: InstanceEvent) -> None:
        """Take note of an event."""
        raise NotImplementedError
