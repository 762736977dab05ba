"""Services in the node's event loop: started in order, made anew when they fail, ended in reverse.

Each service has a task of its own, which outlives its failures: it creates the service, starts it,
runs it, stops it, and begins again after a pause. What keeps a service with the scope of a node
to one process is in :mod:`pacs_core.app.once`.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from socket import socket

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from pacs_core.app.archive import OpenArchive
from pacs_core.app.assembly import Assembly
from pacs_core.app.capabilities import create_with_required, start_capabilities
from pacs_core.app.consumers import consumer_services, warn_of_unknown_consumers
from pacs_core.app.lifespan import Lifespan, StartError
from pacs_core.app.metadata import metadata_services
from pacs_core.app.once import OnlyNode, holder_of, only_process
from pacs_core.association import bind_sockets
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditKind,
    Lease,
    Origin,
    Outcome,
    Service,
    ServiceDescriptor,
    Timeouts,
)
from pacs_core.plugins import Fault, PluginRecord, summarize_error

# Theory of operation
#
# A service has a task (`_Task`) that is as old as the node, whatever becomes of the service itself.
# The task creates it, starts it, runs it, stops it, and begins again with a pause that doubles. So
# a port that is taken for a moment, or a server elsewhere that is down, costs a pause and not the
# service.
#
# What happens at the very start is different: a service that never came up is a mistake in a
# configuration, and is quarantined with its plugin. `started` is what tells the two apart.
# `settled` ends the waiting of `start`, either way.
#
# Services start one after the other in the order that `after` asks for, and those that listen after
# all others. A circle is broken by quarantining one of its plugins; then the order is sought again,
# until there is one.
#
# With the scope of a node a service runs in one process of all workers, and of all machines that
# share an index. The others hold their task at the lock, and take over when it is free: there is no
# election, and no message that could get lost. A process that waits counts as started, since
# nothing is wrong with it.

logger = logging.getLogger(__name__)

Sockets = Mapping[str, tuple[socket, ...]]
"""Listening sockets by the name of the service."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds before a service that failed is made anew; doubled with each failure."""
_STEADY = 60.0  # seconds; who ran for longer begins again with the first pause


def bind_services(assembly: Assembly) -> Sockets:
    """Bind the ports of all services; a plugin whose port cannot be had is quarantined.

    Raises
    ------
    PluginError
        The node was configured not to do without it.
    """
    bound: dict[str, tuple[socket, ...]] = {}
    for record, descriptor in assembly.registry.active(ServiceDescriptor):
        if descriptor.bind is None:
            continue
        host, port = descriptor.bind
        try:
            bound[descriptor.name] = tuple(bind_sockets(host, port))
        except OSError as error:
            reason = (
                f"service {descriptor.name} cannot listen on {host}:{port}: "
                f"{error.strerror or error}; give it another port in [plugin.{record.name}]"
            )
            assembly.manager.quarantine(record, Fault.START, reason, error)
    assembly.manager.check_required()
    return bound


def describe_addresses(assembly: Assembly, sockets: Sockets) -> Iterator[str]:
    """Iterate over what services print below the ``ready:`` line."""
    for _, descriptor in assembly.registry.active(ServiceDescriptor):
        if descriptor.name in sockets and descriptor.describe_address is not None:
            host, port = sockets[descriptor.name][0].getsockname()[:2]
            yield descriptor.describe_address(host, port)


@define(eq=False)
class _Task:
    """The task of one service."""

    record: PluginRecord
    descriptor: ServiceDescriptor
    sockets: tuple[socket, ...]
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    settled: anyio.Event = field(factory=anyio.Event)
    ended: anyio.Event = field(factory=anyio.Event)
    failure: BaseException | None = None
    started: bool = False
    lease: Lease | None = None

    def note_started(self) -> None:
        self.started = True
        self.settled.set()


@define
class ServiceRunner:
    """The services of a running node.

    Parameters
    ----------
    assembly : Assembly
    opened : OpenArchive
    sockets : mapping of str to tuple of socket
        What :func:`bind_services` has bound.
    """

    assembly: Assembly
    opened: OpenArchive
    sockets: Sockets
    _running: list[_Task] = field(factory=list)

    async def start(self, tasks: TaskGroup) -> None:
        """Start every service in order, and wait until each is ready.

        Raises
        ------
        PluginError
            One did not start that the node was configured not to do without.
        """
        await warn_of_unknown_consumers(self.assembly, self.opened)
        for record, descriptor in self._in_order():
            sockets = self.sockets.get(descriptor.name, ())
            await start_capabilities(
                self.assembly, self.opened.lifespan, self.opened.node, descriptor.requires
            )
            task = _Task(record, descriptor, sockets)
            self._running.append(task)
            tasks.start_soon(self._supervise, task)
            with anyio.move_on_after(self._timeouts.plugin):
                await task.settled.wait()
            if not task.started:
                await self._give_up(task)
        self.assembly.manager.check_required()

    def use(self, assembly: Assembly) -> None:
        """Make services that fail anew under another configuration."""
        self.assembly = assembly
        known = chain(
            assembly.registry.active(ServiceDescriptor), consumer_services(assembly, self.opened)
        )
        descriptors = {descriptor.name: descriptor for _, descriptor in known}
        for task in self._running:
            task.descriptor = descriptors.get(task.descriptor.name, task.descriptor)

    async def stop(self) -> None:
        """End the services, last started first."""
        for task in reversed(self._running):
            task.scope.cancel()
            with anyio.move_on_after(self._timeouts.shutdown + self._timeouts.plugin):
                await task.ended.wait()
            if not task.ended.is_set():
                logger.error("service %s does not end", task.descriptor.name)
        # Last: while a service drains, connections may still wait in the queue of its port.
        for each in chain.from_iterable(self.sockets.values()):
            each.close()

    @property
    def _timeouts(self) -> Timeouts:
        return self.assembly.config.network.timeouts

    def _in_order(self) -> list[tuple[PluginRecord, ServiceDescriptor]]:
        """Return the services that take part, each after those that it names."""
        services = self.assembly.registry.active(ServiceDescriptor)
        consumers = consumer_services(self.assembly, self.opened)
        kernel = metadata_services(self.assembly, self.opened)
        # Who connects is let in last, and what that needs is imported last: see `pacs_web`.
        ordered = sorted(chain(services, consumers, kernel), key=lambda each: bool(each[1].bind))
        entries = {d.name: (r, d) for r, d in ordered}
        graph = {name: set(d.after) & entries.keys() for name, (_, d) in entries.items()}
        while True:
            try:
                return [entries[name] for name in TopologicalSorter(graph).static_order()]
            except CycleError as error:
                circle = error.args[1]
                record, _ = entries[circle[0]]
                reason = f"services wait for each other: {' after '.join(circle[::-1])}"
                self.assembly.manager.quarantine(record, Fault.CONFLICT, reason)
                # All of the plugin's go, since the plugin is what is quarantined.
                for name in [n for n, (r, _) in entries.items() if r is record]:
                    del entries[name], graph[name]
                graph = {name: after & entries.keys() for name, after in graph.items()}

    async def _give_up(self, task: _Task) -> None:
        name = f"{task.descriptor.name} ({task.record.source})"
        failure: BaseException = task.failure or StartError(
            f"{name} did not start within {self._timeouts.plugin:g} s"
        )
        task.scope.cancel()
        self.assembly.manager.quarantine(task.record, Fault.START, str(failure), failure.__cause__)

    async def _supervise(self, task: _Task) -> None:
        try:
            # A scope of its own, so that services end one by one, in the reverse of their order.
            with task.scope:
                if task.descriptor.scope == "node":
                    await self._run_once(task)
                else:
                    await self._run_again_and_again(task)
        except OSError as error:
            task.failure = error
            logger.exception("service %s cannot be kept to one process", task.descriptor.name)
        finally:
            task.settled.set()
            task.ended.set()

    async def _run_once(self, task: _Task) -> None:
        """Run a service in one process of all nodes; others have started it once they wait."""
        config, name, index = self.assembly.config, task.descriptor.name, self.opened.index
        folder = config.settings.data_directory / "services"
        async with only_process(folder, name, task.note_started):
            if index is None or index.leases is None:
                await self._run_again_and_again(task)
                return
            node = OnlyNode(index.leases, holder_of(folder), config.node.lease_time)
            await node.run(name, partial(self._run_under, task), task.note_started)

    async def _run_under(self, task: _Task, lease: Lease) -> None:
        task.lease = lease
        await self._run_again_and_again(task)

    async def _run_again_and_again(self, task: _Task) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            failure = await self._run(task)
            # Done, or never begun: neither is begun again.
            if failure is None or not task.started:
                task.failure = failure
                return
            if self.opened.node.is_ending:
                name = task.descriptor.name
                logger.info("service %s ends with the node", name, exc_info=failure)
                return
            if time.monotonic() - began > _STEADY:
                pause = FIRST_PAUSE
            await self._record_failure(task, failure, pause)
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _run(self, task: _Task) -> BaseException | None:
        """Run a service once; return what it failed with, None if it is done."""
        lifespan = Lifespan(self._timeouts.plugin, self.opened.components)
        name = f"{task.descriptor.name} ({task.record.source})"
        try:
            service = await lifespan.start(name, partial(self._create, task), task.record.name)
            await service.run(task.note_started)
            task.note_started()
        except (Exception, SystemExit) as error:
            cause: BaseException = error
            while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
                cause = cause.exceptions[0]  # a group of one says nothing in a message
            if isinstance(cause, StartError) or task.started:
                return cause
            failure = StartError(f"{name} did not start: {summarize_error(cause)}")
            failure.__cause__ = cause
            return failure
        finally:
            await lifespan.stop_all()
        return None

    def _create(self, task: _Task) -> Service:
        service = create_with_required(task.descriptor, self.opened.node)
        if not isinstance(service, Service):
            raise TypeError(f"it is no Service: {service!r:.100}")
        # Not arguments of `create`: a plugin's factory takes a node, whatever is added to services.
        service.sockets, service.lease = task.sockets, task.lease
        return service

    async def _record_failure(self, task: _Task, failure: BaseException, pause: float) -> None:
        name = task.descriptor.name
        logger.error(
            "service %s of plugin %s (%s) failed; it is started again in %g s",
            name, task.record.name, task.record.source, pause, exc_info=failure,
        )  # fmt: skip
        settings = self.opened.node.settings
        origin = Origin("node", called_ae_title=settings.ae_title, host=settings.host)
        details = {"service": name, "plugin": task.record.name, "reason": summarize_error(failure)}
        event = AuditEvent(AuditKind.SERVICE_FAILED, Outcome.FAILURE, origin, details)
        with suppress(AuditFailedError):  # logged by the trail; nothing here waits for it
            await self.opened.node.audit.record(event)
