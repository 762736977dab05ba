"""The associations on which receivers are told of steps (PS3.4 CC.2.4, CC.3)."""

import anyio
from attrs import define, field

from pacs_core.contracts import (
    AccessAction,
    AccessDeniedError,
    Component,
    Link,
    Node,
)
from pacs_sop_ups.restricting import restrictions_of


@define(eq=False)
class Receivers(Component):
    """The associations of this worker on which events are reported."""

    links: dict[str, Link] = field(factory=dict)
    _news: anyio.Event = field(factory=anyio.Event)

    async def add(self, node: Node, link: Link) -> None:
        """Tell an association from now on, if its requestor may know of steps."""
        try:
            await restrictions_of(node, AccessAction.QUERY, link.association.origin)
        except AccessDeniedError:
            return
        self.links[link.association.id] = link
        self._news.set()

    def discard(self, association: str) -> None:
        """Tell an association no more."""
        self.links.pop(association, None)

    def link_of(self, title: str) -> Link | None:
        """Return the association on which a receiver is told."""
        own = [
            link
            for link in self.links.values()
            if link.association.origin.calling_ae_title == title and not link.has_ended
        ]
        return own[-1] if own else None

    async def wait(self) -> None:
        """Wait until there are others."""
        await self._news.wait()
        self._news = anyio.Event()
