"""The service: a line of JSON for everyone who connects."""

import json
from contextlib import suppress

import anyio
from anyio.abc import SocketListener, SocketStream
from pacs_core.contracts import Level, Node, Query, Service, Setup, Started

from {{ cookiecutter.__package }}.config import Config


class StatusService(Service):
    """Says how many studies the archive holds.

    Parameters
    ----------
    node : Node
    config : Config
    """

    def __init__(self, node: Node, config: Config) -> None:
        self._node = node
        self.config = config

    async def reconfigure(self, setup: Setup) -> None:
        """See base: who connects from now on has other patience."""
        self.config = setup.config(Config)

    async def run(self, started: Started) -> None:
        """See base."""
        listeners = [await SocketListener.from_socket(each) for each in self.sockets]
        async with anyio.create_task_group() as tasks:
            for listener in listeners:
                tasks.start_soon(listener.serve, self._answer)
            started()

    async def _answer(self, stream: SocketStream) -> None:
        """Answer one client; what it does wrong ends its own connection only."""
        with anyio.move_on_after(self.config.patience), suppress(anyio.BrokenResourceError):
            async with stream:
                status = {"worker": self._node.worker.slot, "studies": await self._count_studies()}
                await stream.send(json.dumps(status).encode() + b"\n")

    async def _count_studies(self) -> int:
        count = 0
        async for _ in self._node.archive.search(Query(Level.STUDY)):
            count += 1
        return count
