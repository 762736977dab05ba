"""The service: a line of JSON for everyone who connects."""

import json
from contextlib import suppress
from typing import Final

import anyio
from anyio.abc import SocketListener, SocketStream
from pacs_core.contracts import Level, Node, Query, Service, Started

_PATIENCE: Final = 10.0
"""Seconds for a client to take its line."""


class StatusService(Service):
    """Says how many studies the archive holds.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    async def run(self, started: Started) -> None:
        """See base."""
        listeners = [await SocketListener.from_socket(each) for each in self.sockets]
        async with anyio.create_task_group() as tasks:
            for listener in listeners:
                tasks.start_soon(listener.serve, self._answer)
            started()

    async def _answer(self, stream: SocketStream) -> None:
        """Answer one client; what it does wrong ends its own connection only."""
        with anyio.move_on_after(_PATIENCE), suppress(anyio.BrokenResourceError):
            async with stream:
                status = {"worker": self._node.worker.slot, "studies": await self._count_studies()}
                await stream.send(json.dumps(status).encode() + b"\n")

    async def _count_studies(self) -> int:
        count = 0
        async for _ in self._node.archive.search(Query(Level.STUDY)):
            count += 1
        return count
