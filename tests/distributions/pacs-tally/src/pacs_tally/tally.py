"""The tally, and what answers for it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
from attrs import define, field

from pacs_core.contracts import (
    Component,
    ControlError,
    ControlHandler,
    EventHandler,
    InstanceEvent,
    InstanceEventKind,
    InstanceNotFoundError,
    InstancePath,
    Node,
    Origin,
)
from pacs_tally.operations import Count, Name, Nothing, Place, Seen


@define(eq=False, slots=False)
class Tally(Component):
    """Remembers what this process has stored, and wakes who watches."""

    stored: list[str] = field(factory=list)
    watchers: int = 0
    since: datetime = field(factory=lambda: datetime.now(UTC))
    changed: anyio.Event = field(factory=anyio.Event)

    def add(self, uid: str) -> None:
        """Count an instance."""
        self.stored.append(uid)
        self.changed.set()
        self.changed = anyio.Event()


class TallyEvents(EventHandler):
    """Counts what is stored."""

    def __init__(self, node: Node) -> None:
        self._tally = node.find(Tally)

    async def handle(self, event: InstanceEvent) -> None:
        """Count an event."""
        if event.kind is InstanceEventKind.STORED:
            self._tally.add(event.instance.identity.sop_instance_uid)


class Shower(ControlHandler[Nothing, Count]):
    """Shows the tally."""

    def __init__(self, node: Node) -> None:
        self._tally = node.find(Tally)

    async def handle(self, request: Nothing, origin: Origin) -> AsyncIterator[Count]:
        """Give the one response."""
        yield Count(len(self._tally.stored), self._tally.watchers, self._tally.since)


class Watcher(ControlHandler[Nothing, Seen]):
    """Names instances until the caller leaves."""

    def __init__(self, node: Node) -> None:
        self._tally = node.find(Tally)

    async def handle(self, request: Nothing, origin: Origin) -> AsyncIterator[Seen]:
        """Give a response for each instance, from now on."""
        told = len(self._tally.stored)
        self._tally.watchers += 1
        try:
            while True:
                for uid in self._tally.stored[told:]:
                    told += 1
                    yield Seen(uid)
                await self._tally.changed.wait()
        finally:
            self._tally.watchers -= 1


class Locator(ControlHandler[Name, Place]):
    """Looks into the archive, on behalf of the user."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def handle(self, request: Name, origin: Origin) -> AsyncIterator[Place]:
        """Give the one response, or what the archive says."""
        if not request.instance:
            raise ControlError("name an instance", 400)
        archive = self._node.archive.on_behalf_of(origin)
        found = await archive.locate(InstancePath(request.study, request.instance))
        if found is None:
            raise InstanceNotFoundError(f"there is no instance {request.instance}")
        yield Place(Path(found.key))


class Breaker(ControlHandler[Nothing, Nothing]):
    """Fails, as software does."""

    async def handle(self, request: Nothing, origin: Origin) -> AsyncIterator[Nothing]:
        """Give one response, and fail."""
        yield Nothing()
        raise RuntimeError("a secret of the inside")
