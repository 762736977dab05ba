"""The service: answers each connection with one line."""

from abc import abstractmethod

import anyio
from anyio.abc import SocketStream

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    Component,
    Node,
    Origin,
    Outcome,
    Service,
    Started,
)


class Counter(Component):
    """The interface of what counts visitors."""

    @abstractmethod
    def count(self) -> int:
        """Return how many there have been."""


class Beacon(Service):
    """Sends its worker, the visitor's number and the words; fails now and then if told to."""

    def __init__(self, node: Node, fail_after: int) -> None:
        self._node = node
        self._fail_after = fail_after

    async def start(self) -> None:
        """Ask the other plugins for words."""
        words = []
        for contribution in self._node.hooks.call("beacon_words"):
            if isinstance(contribution.result, str):
                words.append(contribution.result)
            else:
                self._node.hooks.refuse(contribution, "beacon_words: return a word")
        self._words = " ".join(words)

    async def run(self, started: Started) -> None:
        """Serve; what is recorded on the way out is kept."""
        visits = 0

        async def greet(stream: SocketStream) -> None:
            nonlocal visits
            async with stream:
                number = self._node.find(Counter).count()
                worker = self._node.worker
                line = f"{worker.slot}/{worker.count} {number} {self._words}\n"
                await stream.send(line.encode())
            visits += 1
            if visits == self._fail_after:
                raise RuntimeError("the lamp is broken")

        listeners = [await anyio.abc.SocketListener.from_socket(each) for each in self.sockets]
        try:
            async with anyio.create_task_group() as tasks:
                for listener in listeners:
                    tasks.start_soon(listener.serve, greet)
                started()
        finally:
            with anyio.CancelScope(shield=True):
                await self._record("out")

    async def _record(self, what: str) -> None:
        event = AuditEvent(
            AuditKind.NODE_STOPPED, Outcome.SUCCESS, Origin("beacon"), {"beacon": what}
        )
        await self._node.audit.record(event)
