"""The caller's end of the control channel."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
from attrs import define, frozen

from pacs_core.app.control.messages import MAX_RESPONSE, PROTOCOL, Lines, structure, unstructure
from pacs_core.app.control.sockets import connect_socket, control_sockets
from pacs_core.config import load_config
from pacs_core.contracts import (
    ControlError,
    ControlOperation,
    NodeNotRunningError,
    WorkerResponse,
)

# Theory of operation
#
# A node may be several processes, and nobody but they know which. So a caller connects to every
# socket there is in the folder, and each process says who it is, of which node, and of how many. An
# operation for one process goes to the first of them; one for all goes to each, and what they
# answer is merged as it comes. A process that is being restarted has no socket at the moment: it is
# missed by its number, and named after the others have answered.
#
# Each call is a set of connections of its own. To close them is to cancel the operation, on the
# node's side too, which is why nothing else has to be sent for that.

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

_PATIENCE: Final = 10.0  # seconds for a process to say who it is
_LEFT: Final = "the node left before it had answered"


@frozen
class _WorkerSocket:
    """A process of the node that waits for what it is to do."""

    lines: Lines
    slot: int
    count: int
    node: int
    address: str

    async def call(
        self, operation: ControlOperation[RequestT, ResponseT], request: Any
    ) -> AsyncGenerator[WorkerResponse[ResponseT], None]:
        """Ask, and iterate over what it answers."""
        try:
            await self.lines.send({"operation": operation.name, "request": request})
            while (message := await self.lines.receive()) is not None:
                if "error" in message:
                    raise ControlError(str(message["error"]), int(message.get("status", 500)))
                if "response" not in message:
                    return
                value = structure(message["response"], operation.response)
                yield WorkerResponse(self.slot, value)
        except OSError:
            pass
        raise ControlError(_LEFT, 503)


@define
class NodeConnection:
    """A way to the processes of a running node.

    Parameters
    ----------
    data_directory : Path
    process : int, optional
        Which of several nodes on the data directory is meant: the process that gets its signals.
    port : int
        Where the node listens that is meant if it is not told by `process`; 0 if that is not known.
    """

    data_directory: Path
    process: int | None = None
    port: int = 0

    async def nodes(self) -> "list[NodeConnection]":
        """Return a way to each node that runs on the data directory.

        Raises
        ------
        NodeNotRunningError
            None does.
        """
        async with AsyncExitStack() as stack:
            found = {worker.node: None async for worker in self._workers(stack)}
        if not found:
            raise NodeNotRunningError(self._not_running())
        return [NodeConnection(self.data_directory, process) for process in sorted(found)]

    async def call(
        self, operation: ControlOperation[RequestT, ResponseT], request: RequestT
    ) -> AsyncGenerator[WorkerResponse[ResponseT], None]:
        """Ask for an operation, and iterate over the responses of the processes that handle it.

        Each call is a connection of its own; many may run at the same time. Closing the iterator
        cancels the operation.

        Raises
        ------
        NodeNotRunningError
            No process answers any more.
        ControlError
            What the handler has refused, or what went wrong. With an operation for all processes
            it comes after the responses of all, if one of them does not answer.
        """
        raw = unstructure(request, operation.request)
        async with aclosing(self.send(operation, raw)) as responses:
            async for response in responses:
                yield response

    async def send(
        self, operation: ControlOperation[RequestT, ResponseT], raw: Any
    ) -> AsyncGenerator[WorkerResponse[ResponseT], None]:
        """Ask as :meth:`call` does, with a request as JSON has it."""
        async with AsyncExitStack() as stack:
            workers = self._of_one_node([worker async for worker in self._workers(stack)])
            chosen = workers if operation.workers == "all" else workers[:1]
            async with aclosing(_merged(chosen, operation, raw)) as responses:
                async for response in responses:
                    yield response
            missing = {n for w in workers for n in range(w.count)} - {w.slot for w in workers}
        if missing and operation.workers == "all":
            text = ", ".join(map(str, sorted(missing)))
            raise ControlError(f"worker {text} does not answer; is it being restarted?", 503)

    async def ask(
        self, operation: ControlOperation[RequestT, ResponseT], request: RequestT
    ) -> ResponseT:
        """Ask for an operation that has one response, and return it.

        Raises
        ------
        ControlError
            As of :meth:`call`; also if there was no response.
        """
        found: list[ResponseT] = [r.value async for r in self.call(operation, request)]
        if not found:
            raise ControlError(f"{operation.name}: there was no response", 502)
        return found[0]

    def _of_one_node(self, workers: list[_WorkerSocket]) -> list[_WorkerSocket]:
        """Return the processes of the node that is meant."""
        if not workers:
            raise NodeNotRunningError(self._not_running())
        nodes = {worker.node: worker.address for worker in workers}
        if len(nodes) > 1:
            # Each has been started with a configuration of its own, which a command may name.
            end = f":{self.port}"
            named = {node for node, address in nodes.items() if self.port and address.endswith(end)}
            if len(named) != 1:
                shown = ", ".join(f"{node} ({address})" for node, address in sorted(nodes.items()))
                raise ControlError(
                    f"{len(nodes)} nodes run on the data directory {self.data_directory}, with the "
                    f"processes {shown}: name one with --process, or by its configuration",
                )
            workers = [worker for worker in workers if worker.node in named]
        return workers

    def _not_running(self) -> str:
        with_process = "" if self.process is None else f" with the process {self.process}"
        return (
            f"no node runs on the data directory {self.data_directory}{with_process}: start it "
            "with `pacs serve`, or name the one that runs with --data or --config"
        )

    async def _workers(self, stack: AsyncExitStack) -> AsyncIterator[_WorkerSocket]:
        """Iterate over the processes that answer; the first are those with the lowest number."""
        found: list[_WorkerSocket] = []
        for path in control_sockets(self.data_directory):
            try:
                lines = await Lines.over(connect_socket(path), MAX_RESPONSE)
            except (ConnectionRefusedError, FileNotFoundError):
                continue  # of a process that has died
            except PermissionError as error:
                raise ControlError(f"{path}: only its owner may control the node", 403) from error
            await stack.enter_async_context(lines)
            worker = await _greet(lines, path)
            if worker is not None and self.process in (None, worker.node):
                found.append(worker)
        for worker in sorted(found, key=lambda each: each.slot):
            yield worker


async def _greet(lines: Lines, path: Path) -> _WorkerSocket | None:
    try:
        with anyio.fail_after(_PATIENCE):
            greeting = await lines.receive()
    except TimeoutError:
        raise ControlError(f"{path}: the node does not answer; its log may say why", 504) from None
    if greeting is None:
        return None
    if greeting.get("pacs") != PROTOCOL:
        raise ControlError(f"the node runs another version ({greeting.get('version')}): restart it")
    return _WorkerSocket(
        lines,
        int(greeting["worker"]),
        int(greeting["workers"]),
        int(greeting["node"]),
        str(greeting["address"]),
    )


async def _merged(
    workers: list[_WorkerSocket], operation: ControlOperation[RequestT, ResponseT], request: Any
) -> AsyncGenerator[WorkerResponse[ResponseT], None]:
    """Iterate over what several processes answer, as it comes; raise what one refused at the end.

    No task group: a generator must not yield within one.
    """
    answers = [worker.call(operation, request) for worker in workers]
    # Tasks without a group, since a generator may be closed from another task (PEP 789).
    waiting = {asyncio.ensure_future(anext(answer)): answer for answer in answers}
    failures: list[BaseException] = []
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                answer = waiting.pop(task)
                error = task.exception()
                if error is None:
                    yield task.result()
                    waiting[asyncio.ensure_future(anext(answer))] = answer
                elif not isinstance(error, StopAsyncIteration):
                    failures.append(error)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    if failures:
        raise failures[0]


@asynccontextmanager
async def connect_to_node(
    config: Path | None = None,
    data_directory: Path | None = None,
    process: int | None = None,
) -> AsyncIterator[NodeConnection]:
    """Find the running node for the length of an ``async with`` block.

    Several nodes may share a data directory. Which one is meant is told by `process`, or else by
    the port in the configuration; if neither tells, a call is refused with their processes.

    Parameters
    ----------
    config : Path, optional
        Its config file; else ``$PACS_CONFIG``, else ``pacs.toml`` if there is one.
    data_directory : Path, optional
        In place of the configured one.
    process : int, optional
        The process of the node that gets its signals.

    Raises
    ------
    NodeNotRunningError
        No node runs there, or the platform has no such sockets; the message says what to do.
    ConfigError
        The configuration is wrong.
    """
    if data_directory is None:
        node = load_config(config).node
        connection = NodeConnection(node.data_directory, process, node.port)
    else:
        connection = NodeConnection(data_directory, process)
    await connection.nodes()
    yield connection
