"""A running node: an open archive, service providers, and a listener."""

import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from ssl import SSLContext
from typing import Any

import anyio
from attrs import field, frozen

from pacs_core.app.archive import OpenArchive, open_archive
from pacs_core.app.assembly import Assembly
from pacs_core.app.capabilities import create_with_required, start_capabilities
from pacs_core.app.certificates import CertificateWatch
from pacs_core.app.health import archive_checks
from pacs_core.app.inspection import RunningInspector
from pacs_core.app.leaked_tasks import no_leaked_tasks
from pacs_core.app.lifespan import StartError, start_guard, start_optional
from pacs_core.app.missing_parts import missing_parts
from pacs_core.app.preferences import preferences_of
from pacs_core.app.reload import Reloader
from pacs_core.app.service_manager import WorkerBeats
from pacs_core.app.services import ServiceRunner, Sockets, bind_services
from pacs_core.app.transcoding import log_codecs
from pacs_core.app.watchdog import watched_loop
from pacs_core.association import Listener, Services, SupportedService, WorkerLoad, bind_sockets
from pacs_core.concurrency import task_group
from pacs_core.config import Config, tls_tables
from pacs_core.contracts import (
    AccessDescriptor,
    AuditEvent,
    AuditKind,
    CapabilityDescriptor,
    Component,
    NodeInspector,
    Origin,
    Outcome,
    ServiceProviderDescriptor,
    TlsConfigError,
    WorkerInfo,
)
from pacs_core.logs.node_log import NodeLog
from pacs_core.metering import MeterMemory, NodeMeter
from pacs_core.plugins import CodeMap, PluginRecord, PluginState

# Theory of operation
#
# A node is an open archive that listens. The order of starting is the order in which parts need
# each other, and what is outward comes last: capabilities, service providers, access parts; then
# services; then, when all of them run, the record that the node has started; then the first
# association. Who connects thus never meets half a node, and the audit trail has no association
# before its start.
#
# Ports are bound earlier than anything listens. A port that is taken ends the start before a plugin
# has done any work, and workers get sockets that the supervisor has bound for all of them.
#
# Ending is the reverse, shielded from cancellation: services and the listener drain side by side,
# for a service may wait for an association and an association for a service. The end is recorded
# before the audit sinks stop. What tasks a plugin has left behind is named after it
# (`no_leaked_tasks`).

logger = logging.getLogger(__name__)


@frozen
class RunningNode:
    """A node that serves associations.

    Attributes
    ----------
    opened : OpenArchive
    listener : Listener
    reloader : Reloader
        Lets it take other settings.
    service_sockets : mapping of str to tuple of socket
        What services listen on, by name.
    """

    opened: OpenArchive
    listener: Listener
    reloader: Reloader
    service_sockets: Sockets = field(factory=dict)

    @property
    def port(self) -> int:
        """The port that it listens on; 0 if it only listens for secured associations."""
        return self.listener.port

    @property
    def tls_port(self) -> int:
        """The port for associations that are secured by TLS; 0 if there is none."""
        return self.listener.tls_port


@frozen
class WorkerSlot:
    """Where a node listens if it is one of many workers.

    Attributes
    ----------
    sockets, tls_sockets : tuple of socket
        Bound already, and shared by all workers; the latter for associations secured by TLS.
    occupancy : WorkerLoad
    restarted : str
        Why this worker takes the place of another; empty if it does not.
    service_sockets : mapping of str to tuple of socket
        What services listen on, by name.
    meter : MeterMemory
        Numbers of all workers.
    control : socket or None
        On which the supervisor says what to do.
    beats : WorkerBeats
        Where the worker shows that it answers.
    """

    sockets: tuple[socket.socket, ...]
    occupancy: WorkerLoad
    restarted: str = ""
    service_sockets: Sockets = field(factory=dict)
    meter: MeterMemory = field(factory=MeterMemory)
    control: socket.socket | None = None
    tls_sockets: tuple[socket.socket, ...] = ()
    beats: WorkerBeats = field(factory=WorkerBeats)


@asynccontextmanager
async def run_node(
    assembly: Assembly,
    place: WorkerSlot | None = None,
    log: NodeLog | None = None,
) -> AsyncIterator[RunningNode]:
    """Run a node for the length of an ``async with`` block; it drains at the end.

    Parameters
    ----------
    assembly : Assembly
    place : WorkerSlot, optional
        Where to listen if not on a port of its own.
    log : NodeLog, optional
        Of the process, if the configuration is to say how it logs.

    Raises
    ------
    ConfigError, PluginError, StartError
        A part that the node cannot do without is not there or does not start.
    OSError
        The port cannot be bound.
    """
    settings = assembly.config.node
    owners = CodeMap(assembly.manager.loaded)
    async with (
        no_leaked_tasks(owners, assembly.config.network.timeouts.plugin),
        open_archive(
            assembly,
            worker=_worker(place),
            meter=NodeMeter(place.meter, place.occupancy.worker) if place else None,
            serving=True,
        ) as opened,
    ):
        # Before anything listens: an archive that lacks instances answers queries wrongly.
        if assembly.config.archive.incomplete_index == "refuse" and (
            reason := await opened.archive.gap()
        ):
            raise StartError(
                f'{reason}; or serve what it has, with [archive] incomplete_index = "serve"'
            )
        services = await _services(assembly, opened)
        opened.connector.observers = services.observers
        opened.connector.tracing = opened.node.tracing
        context = _tls_context(opened)
        place = place or _bind(assembly)
        listener = Listener(
            settings.ae_title,
            assembly.config.network,
            services,
            opened.node.audit,
            place.occupancy,
        )
        await listener.listen(place.sockets)
        await listener.listen_securely(place.tls_sockets, context)
        # Asks for the configuration each time: it may have been read again.
        watch = CertificateWatch(
            lambda: tls_tables(reloader.assembly.config, reloader.assembly.plugin_configs),
            opened.node,
        )
        runner = ServiceRunner(assembly, opened, place.service_sockets)
        reloader = Reloader(assembly, opened, listener, runner, log)
        addresses = [
            address(settings.host, port) for port in (listener.port, listener.tls_port) if port
        ]
        inspector: NodeInspector = RunningInspector(
            opened, addresses, lambda: reloader.assembly, listener
        )
        for check in archive_checks(opened):
            opened.node.health.add(check)
        opened.node.capabilities.provide(NodeInspector, inspector)
        async with task_group() as tasks:
            tasks.start_soon(partial(opened.space.watch, keep_reserve=True))
            tasks.start_soon(watch.run)
            try:
                await runner.start(tasks)
                await _announce(assembly, opened, services, place.restarted)
                tasks.start_soon(listener.serve)
                # Until here much is imported, and nobody is served who would wait for that.
                async with watched_loop(owners, assembly.config.log.slow_loop):
                    yield RunningNode(opened, listener, reloader, place.service_sockets)
            finally:
                with anyio.CancelScope(shield=True):
                    async with anyio.create_task_group() as ending:
                        ending.start_soon(runner.stop)
                        ending.start_soon(listener.drain, assembly.config.network.timeouts.shutdown)
                    await _record(opened, AuditKind.NODE_STOPPED, Outcome.SUCCESS, {})
                # The watches, which would go on for ever.
                tasks.cancel_scope.cancel()


def _worker(place: WorkerSlot | None) -> WorkerInfo:
    return WorkerInfo(place.occupancy.worker, place.occupancy.workers) if place else WorkerInfo()


def _bind(assembly: Assembly) -> WorkerSlot:
    plain, secured = bind_dicom(assembly.config)
    services = bind_services(assembly)
    return WorkerSlot(plain, WorkerLoad(), service_sockets=services, tls_sockets=secured)


def bind_dicom(
    config: Config,
) -> tuple[tuple[socket.socket, ...], tuple[socket.socket, ...]]:
    """Bind the ports for associations, plain and secured; none for what is not wanted.

    Raises
    ------
    OSError
        A port cannot be bound; its `filename` says which, as HOST:PORT.
    """
    node, tls = config.node, config.network.tls
    plain = _bind_port(node.host, node.port) if tls is None or tls.plain else ()
    try:
        return plain, _bind_port(node.host, tls.port) if tls is not None else ()
    except OSError:
        for each in plain:
            each.close()
        raise


def _bind_port(host: str, port: int) -> tuple[socket.socket, ...]:
    try:
        return tuple(bind_sockets(host, port))
    except OSError as error:
        error.filename = address(host, port)
        raise


def address(host: str, port: int) -> str:
    """Return an address as people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def dicom_urls(ae_title: str, host: str, port: int, tls_port: int) -> list[str]:
    """Return where a node is called, with TLS and without; a port of 0 is none."""
    schemes = {"dicom": port, "dicom-tls": tls_port}
    return [f"{scheme}://{ae_title}@{address(host, at)}" for scheme, at in schemes.items() if at]


def _tls_context(opened: OpenArchive) -> Callable[[], SSLContext]:
    """Return what gives the context for a connection, by the settings of that moment.

    Raises
    ------
    StartError
        There is none for those of now.
    """

    def context() -> SSLContext:
        settings = opened.connector.settings.tls
        if settings is None:
            raise TlsConfigError("there is no table [network.tls]")
        return opened.node.tls.server_context(settings)

    # A mistake in its table ends the start, and not the first handshake.
    if opened.connector.settings.tls is not None:
        try:
            context()  # from here on it is kept, whatever becomes of the files
        except TlsConfigError as error:
            raise StartError(f"[network.tls]: {error}") from error
    return context


async def _services(assembly: Assembly, opened: OpenArchive) -> Services:
    offers: dict[str, SupportedService] = {}
    capabilities = assembly.registry.entries(CapabilityDescriptor)
    unasked = [descriptor.interface for _, descriptor in capabilities if descriptor.always]
    await start_capabilities(assembly, opened.lifespan, opened.node, unasked)
    for record, descriptor in assembly.registry.entries(ServiceProviderDescriptor):
        await start_capabilities(assembly, opened.lifespan, opened.node, descriptor.requires)
        create = partial(create_with_required, descriptor, opened.node)
        provider = await start_optional(
            assembly.manager, opened.lifespan, record, descriptor.name, create
        )
        if provider is not None:
            offers |= {u: SupportedService(s, provider) for u, s in descriptor.sop_classes.items()}
    guards: Any = await _access(assembly, opened)
    guarding: dict[str, Any] = {f"{part}s": tuple(guards[part]) for part in _PARTS}
    return Services(
        offers,
        access=opened.access,
        **guarding,
        preferences=preferences_of(assembly.config),
        operation_observers=opened.node.operations,
        tracing=opened.node.tracing,
    )


_PARTS = ("authenticator", "observer")


async def _access(assembly: Assembly, opened: OpenArchive) -> dict[str, list[Component]]:
    parts: dict[str, list[Component]] = {part: [] for part in _PARTS}
    for record, descriptor in assembly.registry.entries(AccessDescriptor):
        for part in _PARTS:
            create = getattr(descriptor, part)
            if create is None:
                continue
            create = partial(create, opened.node)
            component = await _start_access(assembly, opened, record, descriptor.name, part, create)
            parts[part] += [component] if component else []
    return parts


async def _start_access(
    assembly: Assembly,
    opened: OpenArchive,
    record: PluginRecord,
    name: str,
    part: str,
    create: Callable[[], Component],
) -> Component | None:
    # Observers only look: one that fails leaves no door open.
    if part == "observer":
        observer: Component | None = await start_optional(
            assembly.manager, opened.lifespan, record, name, create
        )
        return observer
    guard: Component = await start_guard(opened.lifespan, record, f"{part} {name}", create)
    return guard


async def _announce(
    assembly: Assembly, opened: OpenArchive, services: Services, restarted: str
) -> None:
    for missing in missing_parts(assembly):
        logger.warning("%s", missing)
    log_codecs(assembly.codecs(), confined=assembly.config.transcoding.limits.confine)
    for record in assembly.manager.records:
        if record.state is PluginState.QUARANTINED:
            details = {"plugin": record.name, "source": record.source, "reason": record.reason}
            await _record(opened, AuditKind.PLUGIN_QUARANTINED, Outcome.FAILURE, details)
    if restarted:
        await _record(opened, AuditKind.WORKER_RESTARTED, Outcome.WARNING, {"reason": restarted})
        return
    details = {"version": version("pacs-core"), "sop_classes": str(len(services.offers))}
    await _record(opened, AuditKind.NODE_STARTED, Outcome.SUCCESS, details)


async def _record(
    opened: OpenArchive, kind: AuditKind, outcome: Outcome, details: dict[str, str]
) -> None:
    settings = opened.node.settings
    origin = Origin("node", called_ae_title=settings.ae_title, host=settings.host)
    await opened.node.audit.record(AuditEvent(kind, outcome, origin, details))
