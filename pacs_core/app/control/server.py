"""The node's end of the control channel."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import Any, Final, NoReturn

import anyio
from attrs import define, field

from pacs_core.app.assembly import Assembly
from pacs_core.app.capabilities import create_with_required, start_capabilities
from pacs_core.app.control.messages import (
    MAX_REQUEST,
    PROTOCOL,
    Lines,
    check_operation,
    structure,
    unstructure,
)
from pacs_core.app.control.operations import kernel_operations
from pacs_core.app.control.sockets import bind_control_socket, peer_user
from pacs_core.app.lifespan import Lifespan, open_lifespan, start_optional
from pacs_core.app.node import RunningNode
from pacs_core.concurrency import closing, is_failure, task_group
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditTrail,
    AuditValue,
    ControlDescriptor,
    ControlError,
    ControlHandler,
    EventAction,
    Node,
    Origin,
    Outcome,
    Principal,
    WorkerInfo,
    correlated,
    find_error_status,
    new_correlation,
)
from pacs_core.plugins import Fault

# Theory of operation
#
# A command of `pacs` talks to a node that runs over a Unix socket in the data directory. Who may
# connect is a matter of the file system, and of the user whom the kernel names for the other end:
# the node's own, or root. There is no password, since whoever is that user could read the files
# too.
#
# A conversation is lines of JSON: the node greets, the caller asks for one operation, the node
# answers any number of times and says that it ends. Operations of plugins have a dot in their
# names, those of the kernel none, so that neither can take the other's.
#
# The caller is not trusted to be quick. Each step has a time limit, there are only so many callers
# at once, and a request has a greatest length. When a caller leaves, what is done for it is
# cancelled; so a watcher that was interrupted leaves nothing running.

logger = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 32
"""Commands that one process listens to at the same time."""
PATIENCE: Final = 10.0
"""Seconds that a caller has to say what it wants."""

_PAUSE: Final = 1.0  # seconds without accepting, after an error


class _CallerGoneError(Exception):
    """The caller has left, or takes nothing: nobody is there to be told anything."""


Handlers = Mapping[str, tuple[ControlDescriptor, ControlHandler[Any, Any]]]


@asynccontextmanager
async def open_control(
    assembly: Assembly, running: RunningNode, *, supervised: bool = False
) -> AsyncIterator[None]:
    """Listen to commands for the length of an ``async with`` block.

    A node that cannot have a socket runs without, and says so.

    Parameters
    ----------
    assembly : Assembly
    running : RunningNode
    supervised : bool
        Whether this process is one of several, and signals go to the one above.
    """
    node, config = running.opened.node, assembly.config
    try:
        listening, path = bind_control_socket(config.node.data_directory)
    except OSError as error:
        logger.warning("commands cannot reach this node: %s", error.strerror or error)
        yield
        return
    timeouts = config.network.timeouts
    try:
        async with open_lifespan(timeouts.plugin, running.opened.components) as parts:
            handlers = await _start_handlers(assembly, node, parts)
            process = os.getppid() if supervised else os.getpid()
            handlers |= kernel_operations(assembly, running, process)
            settings = node.settings
            address = f"{settings.ae_title}@{settings.host}:{running.port}"
            server = ControlServer(
                handlers, node.worker, node.audit, timeouts.write, process, address
            )
            async with task_group() as tasks:
                tasks.start_soon(server.serve, listening)
                yield
                tasks.cancel_scope.cancel()
    finally:
        listening.close()
        path.unlink(missing_ok=True)


async def _start_handlers(
    assembly: Assembly, node: Node, parts: Lifespan
) -> dict[str, tuple[ControlDescriptor, ControlHandler[Any, Any]]]:
    handlers = {}
    for record, descriptor in assembly.registry.active(ControlDescriptor):
        if reason := _fault_of(descriptor):
            assembly.manager.quarantine(record, Fault.WRONG_RESULT, reason)
            continue
        await start_capabilities(assembly, parts, node, descriptor.requires)
        create = partial(_create, descriptor, node)
        handler = await start_optional(assembly.manager, parts, record, descriptor.name, create)
        if handler is not None:
            handlers[descriptor.name] = descriptor, handler
    assembly.manager.check_required()
    return handlers


def _fault_of(descriptor: ControlDescriptor) -> str:
    try:
        check_operation(descriptor.operation)
    except (TypeError, ValueError, AttributeError) as error:
        return f"pacs_control: {error}"
    if "." not in descriptor.name:
        return f"pacs_control: {descriptor.name!r} has no dot, as names of the kernel's operations"
    return ""


def _create(descriptor: ControlDescriptor, node: Node) -> ControlHandler[Any, Any]:
    handler = create_with_required(descriptor, node)
    if not isinstance(handler, ControlHandler):
        raise TypeError(f"it is no ControlHandler: {handler!r:.100}")
    return handler


@define
class ControlServer:
    """Serves callers, each in a task of its own.

    Parameters
    ----------
    handlers : mapping of str to (ControlDescriptor, ControlHandler)
    worker : WorkerInfo
    audit : AuditTrail
    patience : float
        Seconds that a caller has to take what is sent.
    process : int
        Which gets the node's signals: callers tell by it which processes are one node.
    address : str
        Of the node, for people: ``AE@host:port``.
    """

    _handlers: Handlers
    _worker: WorkerInfo
    _audit: AuditTrail
    _patience: float
    _process: int = field(factory=os.getpid)
    _address: str = ""
    _callers: int = field(default=0, init=False)

    async def serve(self, listening: socket.socket) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as callers:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listening)
                except OSError as error:  # no descriptors are left, for one
                    logger.warning("no command reaches this node for now: %s", error)
                    await anyio.sleep(_PAUSE)
                else:
                    callers.start_soon(self._serve, connection)

    async def _serve(self, connection: socket.socket) -> None:
        with correlated(new_correlation()):
            await self._serve_caller(connection)

    async def _serve_caller(self, connection: socket.socket) -> None:
        # Told by the kernel, and not by the caller (SO_PEERCRED).
        user = peer_user(connection)
        if user not in {0, os.geteuid()}:
            logger.warning("user %d may not control this node", user)
            reason = "only the owner of the data directory may control the node"
            await self._record(_origin_of(user), Outcome.FAILURE, reason=reason)
        elif self._callers < MAX_CONNECTIONS:
            self._callers += 1
            try:
                async with await Lines.over(connection, MAX_REQUEST) as lines:
                    await self._converse(lines, user)
            except _CallerGoneError as error:
                logger.debug("%s", error)
            except Exception:
                logger.exception("the control channel failed one caller")
            finally:
                self._callers -= 1
        connection.close()

    async def _converse(self, lines: Lines, user: int) -> None:
        worker = self._worker
        greeting = {
            "pacs": PROTOCOL,
            "version": version("pacs-core"),
            "worker": worker.slot,
            "workers": worker.count,
            "process": os.getpid(),
            "node": self._process,
            "address": self._address,
        }
        await self._send(lines, greeting)
        try:
            message = await self._receive(lines)
            if message is None:
                return
            await self._answer(lines, message, user)
        except ControlError as error:
            await self._send(lines, {"error": str(error), "status": error.status})
        with anyio.move_on_after(self._patience):
            await lines.finish()

    async def _send(self, lines: Lines, message: object) -> None:
        try:
            with anyio.move_on_after(self._patience) as scope:
                await lines.send(message)
        except OSError as error:
            raise _CallerGoneError("a caller on the control channel has left") from error
        if scope.cancelled_caught:
            _give_up()

    async def _receive(self, lines: Lines) -> dict[str, Any] | None:
        message = None
        with anyio.move_on_after(PATIENCE) as scope:
            message = await lines.receive()
        if scope.cancelled_caught:
            _give_up()
        return message

    async def _answer(self, lines: Lines, message: dict[str, Any], user: int) -> None:
        name = str(message.get("operation", ""))[:200]
        if name not in self._handlers:
            known = ", ".join(sorted(self._handlers))
            raise ControlError(f"this node has no operation {name!r}; it has {known}", 404)
        descriptor, handler = self._handlers[name]
        request = structure(message.get("request", {}), descriptor.operation.request)
        origin = _origin_of(user)
        logger.info("%s asks for %s", origin.user, name)
        if descriptor.audited:
            # First: what cannot be recorded is not done.
            try:
                await self._record(origin, Outcome.SUCCESS, operation=name)
            except AuditFailedError as error:
                raise _explain(error, descriptor) from error
        async with task_group() as tasks:

            async def leave_with_caller() -> None:
                await lines.wait_closed()
                tasks.cancel_scope.cancel()

            # An operation that waits for an event of the node would never notice by itself.
            tasks.start_soon(leave_with_caller)
            await self._carry_out(lines, descriptor, handler, request, origin)
            tasks.cancel_scope.cancel()

    async def _carry_out(
        self,
        lines: Lines,
        descriptor: ControlDescriptor,
        handler: ControlHandler[Any, Any],
        request: object,
        origin: Origin,
    ) -> None:
        try:
            async with closing(handler.handle(request, origin)) as responses:
                async for response in responses:
                    raw = unstructure(response, descriptor.operation.response)
                    await self._send(lines, {"response": raw})
        except _CallerGoneError:
            raise
        except BaseException as error:
            if not is_failure(error):
                raise
            refusal = error if isinstance(error, ControlError) else _explain(error, descriptor)
            if descriptor.audited:
                with suppress(AuditFailedError):  # that it was asked for is recorded
                    reason = {"operation": descriptor.name, "reason": str(refusal)}
                    await self._record(origin, Outcome.FAILURE, **reason)
            raise refusal from error
        await self._send(lines, {"end": True})

    async def _record(self, origin: Origin, outcome: Outcome, **details: AuditValue) -> None:
        details["worker"] = self._worker.slot
        await self._audit.record(
            AuditEvent(AuditKind.CONTROL, outcome, origin, details, action=EventAction.EXECUTE)
        )


def _give_up() -> NoReturn:
    logger.warning("a caller on the control channel was too slow, and is given up")
    raise _CallerGoneError("a caller on the control channel was too slow")


def _explain(error: BaseException, descriptor: ControlDescriptor) -> ControlError:
    # What an operation may fail with is told; anything else stays in the log.
    if row := find_error_status(error):
        return ControlError(row.comment or str(error), row.http)
    logger.exception("operation %s failed", descriptor.name, exc_info=error)
    return ControlError(f"{descriptor.name}: internal error; the node's log says more", 500)


def _origin_of(user: int) -> Origin:
    import pwd  # not on Windows

    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:  # a container's user may have no name
        name = str(user)
    return Origin("control", principal=Principal(name, method="local"))
