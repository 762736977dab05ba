"""The kernel's own operations: status, reload, levels of the log, stop."""

import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from anyio import to_thread
from attrs import field, frozen
from attrs.validators import deep_mapping, in_, instance_of

from pacs_core.app.assembly import Assembly
from pacs_core.app.inspection import plugin_status
from pacs_core.app.node import RunningNode
from pacs_core.app.reload import ReloadError, plan_reload
from pacs_core.contracts import (
    CertificateStatus,
    ControlDescriptor,
    ControlError,
    ControlHandler,
    ControlOperation,
    HealthResult,
    Node,
    NodeInspector,
    Origin,
    PluginStatus,
    QueueStatus,
    ResourceStatus,
)
from pacs_core.logs.level_names import LEVELS
from pacs_core.logs.node_log import NodeLog

logger = logging.getLogger(__name__)

_DEADLINE: Final = 3.0
"""Seconds that the checks of a process have."""


@frozen
class Nothing:
    """A request without parameters."""


@frozen
class NodeStatus:
    """One process of a running node.

    Attributes
    ----------
    version : str
        Of pacs-core.
    ae_title, host : str
    port, tls_port : int
        Where it listens, and where for associations that are secured by TLS; 0 if not.
    process : int
    node : int
        The process that gets the node's signals: of a node with workers their supervisor.
    worker, workers : int
        Which of how many processes it is, from 0.
    uptime : float
        Seconds since it was ready.
    associations : int
        That it serves.
    index_gap : str
        Why the index may lack instances; empty if it should not.
    plugins : tuple of PluginStatus
    health : tuple of HealthResult
        What the checks of its parts have found.
    queues : tuple of QueueStatus
        In which something waits, or of which something was lost.
    resources : tuple of ResourceStatus
    certificates : tuple of CertificateStatus
    warnings : tuple of str
        What somebody should look at.
    """

    version: str
    ae_title: str
    host: str
    port: int
    tls_port: int
    process: int
    node: int
    worker: int
    workers: int
    uptime: float
    associations: int
    index_gap: str
    plugins: tuple[PluginStatus, ...] = ()
    health: tuple[HealthResult, ...] = ()
    queues: tuple[QueueStatus, ...] = ()
    resources: tuple[ResourceStatus, ...] = ()
    certificates: tuple[CertificateStatus, ...] = ()
    warnings: tuple[str, ...] = ()


@frozen
class Reload:
    """What a reload changes.

    Attributes
    ----------
    taken, waiting : tuple of str
        Paths of keys that differ: those that take effect, and those that need a restart.
    """

    taken: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


@frozen
class Stop:
    """How to stop.

    Attributes
    ----------
    abort : bool
        Whether associations are aborted, and not given time to finish.
    """

    abort: bool = False


@frozen
class LogLevels:
    """Levels of loggers.

    Attributes
    ----------
    levels : mapping of str to str
        By the name of the logger; that of the root logger is empty.
    """

    levels: Mapping[str, str] = field(
        factory=dict, validator=deep_mapping(instance_of(str), in_(LEVELS))
    )


@frozen
class SetLogLevels:
    """Levels to set, until the configuration is read again.

    Attributes
    ----------
    levels : mapping of str to str
        As of :class:`LogLevels`; others stay as they are.
    reset : bool
        Whether all levels become those of the configuration first.
    """

    levels: Mapping[str, str] = field(
        factory=dict, validator=deep_mapping(instance_of(str), in_(LEVELS))
    )
    reset: bool = False


STATUS: Final = ControlOperation("status", Nothing, NodeStatus, workers="all")
"""What each process of the node is, and how it is."""
RELOAD: Final = ControlOperation("reload", Nothing, Reload)
"""Read the configuration again, as SIGHUP does; refused with what is wrong in it."""
LOG_LEVELS: Final = ControlOperation("log-levels", Nothing, LogLevels, workers="all")
"""The levels of loggers in each process."""
SET_LOG_LEVELS: Final = ControlOperation("set-log-levels", SetLogLevels, LogLevels, workers="all")
"""Set levels of loggers in each process, until it reads the configuration again."""
STOP: Final = ControlOperation("stop", Stop, Nothing)
"""End the node, as SIGTERM does."""

_LOOKS: Final = (STATUS, LOG_LEVELS)


@frozen
class StatusHandler(ControlHandler[Nothing, NodeStatus]):
    """Describes this process."""

    assembly: Assembly
    running: RunningNode
    process: int
    since: float = field(factory=time.monotonic)

    async def handle(self, request: Nothing, origin: Origin) -> AsyncIterator[NodeStatus]:
        """See base."""
        opened, settings = self.running.opened, self.running.opened.node.settings
        inspector = opened.node.find(NodeInspector)
        plugins = self.assembly.manager.records
        health = await opened.node.health.run(_DEADLINE)
        # What is broken must not keep the rest from being said.
        broken = any(each.problem for each in health)
        queues = () if broken else await inspector.queues()
        yield NodeStatus(
            version("pacs-core"),
            settings.ae_title,
            settings.host,
            self.running.port,
            self.running.tls_port,
            os.getpid(),
            self.process,
            opened.node.worker.slot,
            opened.node.worker.count,
            time.monotonic() - self.since,
            self.running.listener.associations,
            "" if broken else await opened.archive.gap(),
            tuple(plugin_status(record) for record in plugins),
            tuple(health),
            tuple(each for each in queues if each.waiting or each.lost),
            tuple(await inspector.resources()),
            tuple(await to_thread.run_sync(inspector.certificates)),
            () if broken else tuple(await inspector.warnings()),
        )


@frozen
class ReloadHandler(ControlHandler[Nothing, Reload]):
    """Checks the configuration, and lets the process that gets signals read it."""

    running: RunningNode
    process: int

    async def handle(self, request: Nothing, origin: Origin) -> AsyncIterator[Reload]:
        """See base."""
        try:
            plan = plan_reload(self.running.reloader.assembly)
        except ReloadError as error:
            raise ControlError("; ".join(error.problems)) from error
        os.kill(self.process, signal.SIGHUP)
        yield Reload(plan.taken, plan.waiting)


@frozen
class LogLevelsHandler(ControlHandler[Nothing, LogLevels]):
    """Says which levels the loggers of this process have."""

    log: NodeLog

    async def handle(self, request: Nothing, origin: Origin) -> AsyncIterator[LogLevels]:
        """See base."""
        yield LogLevels(dict(self.log.levels))


@frozen
class SetLogLevelsHandler(ControlHandler[SetLogLevels, LogLevels]):
    """Sets levels of loggers of this process."""

    log: NodeLog

    async def handle(self, request: SetLogLevels, origin: Origin) -> AsyncIterator[LogLevels]:
        """See base."""
        if request.reset:
            self.log.reset()
        self.log.override(request.levels)
        logger.info("levels of the log were set: %s", self.log.levels)
        yield LogLevels(dict(self.log.levels))


@frozen
class StopHandler(ControlHandler[Stop, Nothing]):
    """Signals the process that gets signals, once the caller knows."""

    process: int

    async def handle(self, request: Stop, origin: Origin) -> AsyncIterator[Nothing]:
        """See base."""
        yield Nothing()
        os.kill(self.process, signal.SIGTERM)
        if request.abort:
            os.kill(self.process, signal.SIGINT)  # the second signal; two of one kind become one


def _get(handler: ControlHandler[Any, Any], _node: Node) -> ControlHandler[Any, Any]:
    return handler


def kernel_operations(
    assembly: Assembly, running: RunningNode, process: int
) -> dict[str, tuple[ControlDescriptor, ControlHandler[Any, Any]]]:
    """Return the kernel's handlers by the names of their operations.

    Parameters
    ----------
    assembly : Assembly
    running : RunningNode
    process : int
        Which gets the node's signals.
    """
    handlers: dict[ControlOperation[Any, Any], ControlHandler[Any, Any]] = {
        STATUS: StatusHandler(assembly, running, process),
        RELOAD: ReloadHandler(running, process),
        STOP: StopHandler(process),
    }
    if (log := running.reloader.log) is not None:
        handlers[LOG_LEVELS] = LogLevelsHandler(log)
        handlers[SET_LOG_LEVELS] = SetLogLevelsHandler(log)
    return {
        operation.name: (
            ControlDescriptor(operation, partial(_get, handler), audited=operation not in _LOOKS),
            handler,
        )
        for operation, handler in handlers.items()
    }
