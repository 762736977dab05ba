"""The parts in the node: what counts, what hears of stored instances, what answers."""

from collections import Counter
from collections.abc import AsyncIterator

from pacs_core.contracts import (
    Component,
    ControlError,
    ControlHandler,
    EventHandler,
    InstanceEvent,
    InstanceEventKind,
    Node,
    Origin,
)

from {{ cookiecutter.__package }}.operation import Request, Stored

_OTHERS = "(others)"


class Senders(Component):
    """Counts instances by sender, in bounded memory.

    Parameters
    ----------
    most : int
        Senders that are told apart.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.stored: Counter[str] = Counter()

    def count(self, ae_title: str) -> None:
        """Count an instance."""
        known = ae_title in self.stored or len(self.stored) < self._most
        self.stored[ae_title if known else _OTHERS] += 1


class StoredEvents(EventHandler):
    """Hears of stored instances.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._senders = node.find(Senders)

    async def handle(self, event: InstanceEvent) -> None:
        """See base."""
        if event.kind is InstanceEventKind.STORED:
            self._senders.count(event.origin.calling_ae_title)


class SendersHandler(ControlHandler[Request, Stored]):
    """Answers for this process.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._senders = node.find(Senders)

    async def handle(self, request: Request, origin: Origin) -> AsyncIterator[Stored]:
        """See base."""
        if len(request.ae_title) > 16:
            raise ControlError("an AE title has at most 16 characters", 400)
        for title, instances in self._senders.stored.most_common():
            if request.ae_title in {"", title}:
                yield Stored(title, instances)
