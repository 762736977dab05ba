# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of operations on a running node as tests: inherit, and say what there is to ask.

Example
-------
::

    class TestPause(ControlContract):
        request = Pause(minutes=5)

        @pytest.fixture
        def descriptor(self) -> ControlDescriptor:
            return pacs_control(Setup(NodeSettings()))[0]
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from pacs_core.app.control.client import NodeConnection
from pacs_core.app.control.messages import check_operation, structure, unstructure
from pacs_core.app.control.server import ControlServer
from pacs_core.app.control.sockets import bind_control_socket
from pacs_core.contracts import (
    AuditTrail,
    ControlDescriptor,
    ControlError,
    ControlHandler,
    Node,
    NodeSettings,
    WorkerInfo,
)
from pacs_core.testing.operations import MemoryAuditTrail, memory_node

PATIENCE: Final = 60.0
"""Seconds for whatever should take no time."""

MOST: Final = 3
"""Responses that the suite waits for: there may be no end of them."""


@asynccontextmanager
async def serve_control(
    data_directory: Path,
    handlers: Mapping[ControlDescriptor, ControlHandler[Any, Any]],
    worker: WorkerInfo | None = None,
    patience: float = PATIENCE,
    audit: AuditTrail | None = None,
) -> AsyncIterator[NodeConnection]:
    """Offer operations as a process of a node does, for the length of an ``async with`` block.

    Parameters
    ----------
    data_directory : Path
    handlers : mapping of ControlDescriptor to ControlHandler
        Which are started already.
    worker : WorkerInfo, optional
    patience : float
        Seconds that a caller has to take what is sent.
    audit : AuditTrail, optional

    Yields
    ------
    NodeConnection
        As a command has it.
    """
    named = {descriptor.name: (descriptor, handler) for descriptor, handler in handlers.items()}
    listening, path = bind_control_socket(data_directory)
    try:
        async with anyio.create_task_group() as tasks:
            server = ControlServer(
                named, worker or WorkerInfo(), audit or MemoryAuditTrail(), patience
            )
            tasks.start_soon(server.serve, listening)
            yield NodeConnection(data_directory)
            tasks.cancel_scope.cancel()
    finally:
        listening.close()
        path.unlink()


class ControlContract:
    """What every operation must do: answer in its own classes, to many, and let go of who leaves.

    Subclass it in a test module, give it :attr:`request`, and define the fixture ``descriptor``.
    """

    pytestmark = pytest.mark.anyio

    request: Any = None
    """A request that the handler can fulfil at the node of the fixture ``node``."""

    @pytest.fixture
    def descriptor(self) -> ControlDescriptor:
        """Return the descriptor of the operation."""
        raise NotImplementedError("define the fixture `descriptor`")

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        """Return the node that the handler is created for."""
        return memory_node(NodeSettings(data_directory=tmp_path))

    @pytest.fixture
    async def connection(
        self, descriptor: ControlDescriptor, node: Node
    ) -> AsyncIterator[NodeConnection]:
        """Return the way to a node that offers the operation."""
        handler = descriptor.create(node)
        await handler.start()
        try:
            async with serve_control(node.settings.data_directory, {descriptor: handler}) as found:
                yield found
        finally:
            await handler.stop()

    @pytest.fixture
    def endless(self) -> bool:
        """Whether the operation goes on until its caller leaves, perhaps without a response."""
        return False

    async def _ask(self, connection: NodeConnection, descriptor: ControlDescriptor) -> list[Any]:
        found = []
        async with aclosing(connection.call(descriptor.operation, self.request)) as responses:
            async for response in responses:
                found.append(response.value)
                if len(found) == MOST:
                    break
        return found

    def test_its_name_is_not_one_of_the_kernels(self, descriptor: ControlDescriptor) -> None:
        assert re.fullmatch(r"[^.\s]+(\.[^.\s]+)+", descriptor.name)

    def test_requests_and_responses_can_be_sent(self, descriptor: ControlDescriptor) -> None:
        operation = descriptor.operation
        check_operation(operation)
        assert self.request is not None, "give the suite a request"
        assert structure(unstructure(self.request, operation.request), operation.request) == (
            self.request
        )

    async def test_creating_gives_a_handler_each_time(
        self, descriptor: ControlDescriptor, node: Node
    ) -> None:
        first, second = descriptor.create(node), descriptor.create(node)
        assert isinstance(first, ControlHandler)
        assert first is not second

    async def test_stopping_what_was_not_started(
        self, descriptor: ControlDescriptor, node: Node
    ) -> None:
        await descriptor.create(node).stop()

    async def test_it_answers_in_its_class(
        self, connection: NodeConnection, descriptor: ControlDescriptor, endless: bool
    ) -> None:
        if endless:
            pytest.skip("nothing may happen for long")
        with anyio.fail_after(PATIENCE):
            for response in await self._ask(connection, descriptor):
                assert isinstance(response, descriptor.operation.response)

    async def test_it_answers_many_at_the_same_time(
        self, connection: NodeConnection, descriptor: ControlDescriptor, endless: bool
    ) -> None:
        if endless:
            pytest.skip("nothing may happen for long")
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(self._ask, connection, descriptor)

    async def test_it_lets_go_of_a_caller_that_leaves(
        self, connection: NodeConnection, descriptor: ControlDescriptor
    ) -> None:
        for _ in range(3):
            with anyio.move_on_after(0.1):
                await self._ask(connection, descriptor)
        # The channel's tasks have ended once the fixture has: it would wait for them.

    async def test_a_request_that_is_none_of_its_own_is_refused(
        self, connection: NodeConnection, descriptor: ControlDescriptor
    ) -> None:
        stray = {"no such field": 1}
        with pytest.raises(ControlError) as refused, anyio.fail_after(PATIENCE):
            async for _ in connection.send(descriptor.operation, stray):
                pass
        assert refused.value.status == 400
