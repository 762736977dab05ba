"""What waits to be sent: in memory, so that a node that is killed forgets it."""

import asyncio

from pacs_core.contracts import (
    Component,
    EventHandler,
    InstanceEvent,
    InstanceEventKind,
    StoredInstance,
)


class Outbox(Component):
    """Instances in the order in which they were stored."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[StoredInstance] = asyncio.Queue()

    def put(self, instance: StoredInstance) -> None:
        """Add an instance."""
        self._waiting.put_nowait(instance)

    async def take(self) -> list[StoredInstance]:
        """Wait for instances, and return all that there are."""
        batch = [await self._waiting.get()]
        while not self._waiting.empty():
            batch.append(self._waiting.get_nowait())
        return batch


class Recorder(EventHandler):
    """Puts what is stored into the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def handle(self, event: InstanceEvent) -> None:
        """Take note of an instance that is new."""
        if event.kind is InstanceEventKind.STORED:
            self._outbox.put(event.instance)
