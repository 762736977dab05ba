# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of services as tests: inherit, and say how a service is made.

Example
-------
::

    class TestHeartbeat(ServiceContract):
        @pytest.fixture
        def descriptor(self) -> ServiceDescriptor:
            return pacs_services(Setup(NodeSettings()))[0]
"""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import pytest

from pacs_core.association import bind_sockets
from pacs_core.contracts import Node, NodeSettings, Service, ServiceDescriptor
from pacs_core.testing.operations import memory_node

PATIENCE: Final = 60.0
"""Seconds that a service has to start, and to end once it is cancelled."""

GARBAGE: Final = (b"", b"\0" * 1000, b"\x16\x03\x01" + os.urandom(500), b"GET / HTTP/9.9\r\n\r\n")
"""First bytes of connections that mean nothing, or something else."""

Sockets = tuple[socket.socket, ...]


@asynccontextmanager
async def run_service(
    descriptor: ServiceDescriptor, node: Node, sockets: Sockets = ()
) -> AsyncIterator[Service]:
    """Run a service as a node does, for the length of an ``async with`` block.

    Parameters
    ----------
    descriptor : ServiceDescriptor
    node : Node
    sockets : tuple of socket
        What it listens on, for a descriptor with `bind`.
    """
    service = descriptor.create(node)
    service.sockets = sockets
    started, ended = anyio.Event(), anyio.Event()

    async def run() -> None:
        try:
            await service.run(started.set)
        finally:
            ended.set()

    try:
        await service.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            with anyio.fail_after(PATIENCE):
                await started.wait()
            yield service
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True), anyio.fail_after(PATIENCE):
                await ended.wait()
    finally:
        with anyio.CancelScope(shield=True):
            await service.stop()


class ServiceContract:
    """What every service must do: start, say so, put up with anyone, and end when cancelled.

    Subclass it in a test module, and define the fixture ``descriptor``.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def descriptor(self) -> ServiceDescriptor:
        """Return the descriptor of the service."""
        raise NotImplementedError("define the fixture `descriptor`")

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        """Return the node that the service is created for."""
        return memory_node(NodeSettings(data_directory=tmp_path))

    @pytest.fixture
    def sockets(self, descriptor: ServiceDescriptor) -> Iterator[Sockets]:
        """Return what the service listens on: a free port of the loopback interface."""
        bound = tuple(bind_sockets("127.0.0.1", 0)) if descriptor.bind else ()
        yield bound
        for each in bound:
            each.close()

    async def test_creating_gives_a_service_each_time(
        self, descriptor: ServiceDescriptor, node: Node
    ) -> None:
        assert descriptor.name
        first, second = descriptor.create(node), descriptor.create(node)
        assert isinstance(first, Service)
        assert first is not second

    async def test_stopping_what_was_not_started(
        self, descriptor: ServiceDescriptor, node: Node
    ) -> None:
        await descriptor.create(node).stop()

    async def test_it_starts_and_ends(
        self, descriptor: ServiceDescriptor, node: Node, sockets: Sockets
    ) -> None:
        async with run_service(descriptor, node, sockets):
            pass

    async def test_a_service_begins_again_where_another_ended(
        self, descriptor: ServiceDescriptor, node: Node, sockets: Sockets
    ) -> None:
        for _ in range(3):
            async with run_service(descriptor, node, sockets):
                await anyio.lowlevel.checkpoint()

    async def test_cancelling_it_before_it_has_started(
        self, descriptor: ServiceDescriptor, node: Node, sockets: Sockets
    ) -> None:
        service = descriptor.create(node)
        service.sockets = sockets
        await service.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run, lambda: None)
            tasks.cancel_scope.cancel()
        await service.stop()

    async def test_workers_run_one_each_on_the_same_sockets(
        self, descriptor: ServiceDescriptor, node: Node, sockets: Sockets
    ) -> None:
        if descriptor.scope == "node":
            pytest.skip("only one process of a node runs it")
        shared = tuple(each.dup() for each in sockets)
        for each in shared:
            each.setblocking(False)
        try:
            async with (
                run_service(descriptor, node, sockets),
                run_service(descriptor, node, shared),
            ):
                pass
        finally:
            for each in shared:
                each.close()

    @pytest.mark.parametrize("garbage", GARBAGE, ids=len)
    async def test_connections_that_mean_nothing(
        self, descriptor: ServiceDescriptor, node: Node, sockets: Sockets, garbage: bytes
    ) -> None:
        if not sockets:
            pytest.skip("it does not listen")
        async with run_service(descriptor, node, sockets):
            for _ in range(5):
                stream = await anyio.connect_tcp(*sockets[0].getsockname()[:2])
                async with stream:
                    if garbage:
                        await stream.send(garbage)
            # It still takes connections.
            stream = await anyio.connect_tcp(*sockets[0].getsockname()[:2])
            await stream.aclose()
