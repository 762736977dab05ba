"""Opens the configured archive: store, index, audit trail, event handlers."""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from anyio.abc import TaskGroup
from attrs import define, frozen

from pacs_core.app.assembly import Assembly
from pacs_core.app.capabilities import create_with_required, start_capabilities
from pacs_core.app.hooks import NodeHooks
from pacs_core.app.ingest_filters import make_filters, start_filters
from pacs_core.app.lifespan import (
    Lifespan,
    RunningComponent,
    StartError,
    open_lifespan,
    running,
    start_guard,
    start_optional,
)
from pacs_core.app.stores import start_store
from pacs_core.app.transcoding import open_transcoder
from pacs_core.archive import (
    EventDispatcher,
    IngestFilters,
    NoArchive,
    NodeArchive,
    NodeAuditTrail,
    SpaceWatch,
    find_gap,
    recalling,
    release_reserve,
)
from pacs_core.association import AccessControl, NodeConnector
from pacs_core.concurrency import cancelled_task_group
from pacs_core.config import Config
from pacs_core.contracts import (
    AccessDescriptor,
    Archive,
    AuditSink,
    AuditSinkDescriptor,
    AuditTrail,
    Authorizer,
    Component,
    EventHandlerDescriptor,
    Index,
    Node,
    NodeSettings,
    ObjectStore,
    OperationObservers,
    TlsContexts,
    WorkerInfo,
)
from pacs_core.metering import NodeMeter
from pacs_core.plugins import PluginRecord
from pacs_core.sending import NodeSender
from pacs_core.tls import FileTlsContexts

logger = logging.getLogger(__name__)


@define
class CurrentSettings:
    """The node's settings as they are now, for parts that are older than its `Node`."""

    settings: NodeSettings

    def character_set_of(self, ae_title: str) -> tuple[str, ...]:
        """Return the Specific Character Set to assume of datasets of an AE title."""
        return self.settings.character_set_of(ae_title)


@frozen
class OpenArchive:
    """An archive in use.

    Attributes
    ----------
    node : Node
        What components receive when they are created.
    store : ObjectStore or None
    index : Index or None
    lifespan : Lifespan
        Starts further components, which are stopped before these.
    access : AccessControl
        The authorizers.
    space : SpaceWatch
        Watches the disks of store and index; who serves for long lets it.
    connector : NodeConnector
        Requests the node's associations.
    sender : NodeSender
    current : CurrentSettings
    components : list of RunningComponent
        All that run now, in the order of starting.
    """

    node: Node
    store: ObjectStore | None
    index: Index | None
    lifespan: Lifespan
    access: AccessControl
    space: SpaceWatch
    connector: NodeConnector
    sender: NodeSender
    current: CurrentSettings
    components: list[RunningComponent]

    @property
    def archive(self) -> Archive:
        """The archive itself."""
        return self.node.archive

    def use(self, config: Config) -> None:
        """Go on with another configuration, as far as that can change."""
        settings = config.settings
        self.node.settings = self.current.settings = self.sender.settings = settings
        self.connector.settings = config.network


@asynccontextmanager
async def open_sinks(assembly: Assembly) -> AsyncIterator[NodeAuditTrail]:
    """Open nothing but the audit trail for the length of an ``async with`` block.

    Raises
    ------
    StartError
        A required sink did not start.
    """
    timeout = assembly.config.network.timeouts.plugin
    async with cancelled_task_group() as tasks, open_lifespan(timeout) as sinks:
        audit = NodeAuditTrail(await _start_sinks(assembly, sinks), timeout=timeout)
        async with running(partial(audit.start, tasks), partial(audit.stop, timeout)):
            yield audit


@asynccontextmanager
async def open_archive(
    assembly: Assembly,
    *,
    requires: Iterable[type] = (),
    worker: WorkerInfo | None = None,
    meter: NodeMeter | None = None,
    repair: bool = False,
    serving: bool = False,
) -> AsyncIterator[OpenArchive]:
    """Open the archive for the length of an ``async with`` block.

    What starts last stops first, so that a part may use on its way out what was there before it:
    store, index and audit sinks; audit trail; capabilities and event handlers; events; archive;
    and whatever the caller starts in :attr:`OpenArchive.lifespan`.

    Parameters
    ----------
    assembly : Assembly
    requires : iterable of type
        Interfaces of capabilities to start, besides those that event handlers require.
    worker : WorkerInfo, optional
        Which process of the node this is.
    meter : NodeMeter, optional
        With the memory that the workers of the node share.
    repair : bool
        Whether to go on with an index that does not start, as one that is damaged: it is there,
        not started, and the archive refuses everything.
    serving : bool
        Whether an authorizer that does not start is a reason not to go on. Else all is denied on
        whose behalf the archive is used, and the archive itself can be repaired.

    Raises
    ------
    ConfigError
        The store or index that the configuration names is not there.
    StartError
        The store, the index, or a required part did not start.
    """
    timeout = assembly.config.network.timeouts.plugin
    everything: list[RunningComponent] = []
    current = CurrentSettings(assembly.config.settings)
    async with (
        open_transcoder(assembly) as transcoder,
        cancelled_task_group() as tasks,
        open_lifespan(timeout, everything) as foundation,
    ):
        release_reserve(assembly.config.node.data_directory, if_full=True)
        stores: dict[str, ObjectStore] = {}
        store = await _start_store(assembly, foundation, stores)
        index, started = await _start_index(assembly, foundation, repair=repair)
        audit = NodeAuditTrail(await _start_sinks(assembly, foundation), timeout=timeout)
        events = EventDispatcher(timeout=timeout)
        space = _space(assembly, audit, store, index)
        guards = _authorizers(assembly)
        access = AccessControl(audit, expected=bool(guards))
        filters = make_filters(assembly, audit)
        usable = index if started else None
        archive = _archive(assembly, store, usable, audit, events, space, access, filters, current)
        hooks = NodeHooks(assembly)
        settings, worker = assembly.config.settings, worker or WorkerInfo()
        operations, contexts = OperationObservers(), FileTlsContexts()
        connector = NodeConnector(
            settings.ae_title, assembly.config.network, audit, worker, operations, tls=contexts
        )
        sender = NodeSender(settings, archive, transcoder, connector, audit)
        node = Node(
            settings,
            archive,
            audit,
            transcoder,
            hooks,
            worker=worker,
            connector=connector,
            sender=sender,
            operations=operations,
            meter=meter or NodeMeter(),
            stores=stores,
            tls=contexts,
            access=access,
        )
        async with (
            running(partial(audit.start, tasks), partial(audit.stop, timeout)),
            open_lifespan(timeout, everything) as observers,
        ):
            await start_capabilities(assembly, observers, node, (TlsContexts, *requires))
            if node.capabilities.provides(TlsContexts):
                node.tls = connector.tls = node.find(TlsContexts)
            await _start_handlers(assembly, observers, node, events)
            async with (
                running(partial(events.start, tasks), partial(events.stop, timeout)),
                _running_archive(archive, tasks, _recovery_lock(settings, index)),
                open_lifespan(timeout, everything) as parts,
            ):
                if store is not None and index is not None and started:
                    await _warn_of_gap(store, index)
                await _start_authorizers(parts, node, guards, access, serving=serving)
                await start_filters(assembly, parts, node, filters, serving=serving)
                yield OpenArchive(
                    node, store, index, parts, access, space, connector, sender, current, everything
                )


def _archive(
    assembly: Assembly,
    store: ObjectStore | None,
    index: Index | None,
    audit: NodeAuditTrail,
    events: EventDispatcher,
    space: SpaceWatch,
    access: AccessControl,
    filters: IngestFilters,
    current: "CurrentSettings",
) -> Archive:
    if store is None or index is None:
        return NoArchive()
    settings = assembly.config.archive
    return NodeArchive(
        store,
        index,
        audit=audit,
        events=events,
        policy=settings.duplicates,
        durability=settings.durability,
        flush_interval=settings.flush_interval,
        flush_bytes=settings.flush_bytes,
        ae_title=assembly.config.node.ae_title,
        verify_reads=settings.verify_reads,
        original_attributes=settings.original_attributes,
        character_set_of=current.character_set_of,
        space=space,
        access=access,
        filters=filters,
        prepare_metadata=settings.prepare_metadata,
        recall_timeout=settings.recall_timeout,
    )


@asynccontextmanager
async def _running_archive(archive: Archive, tasks: TaskGroup, lock: Path) -> AsyncIterator[None]:
    if not isinstance(archive, NodeArchive):
        yield
        return
    async with running(partial(_start_archive, archive, tasks, lock), archive.stop):
        yield


def _space(
    assembly: Assembly, audit: AuditTrail, store: ObjectStore | None, index: Index | None
) -> SpaceWatch:
    directories = list(store.directories) if store is not None else []
    if index is not None and index.directory is not None:
        directories.append(index.directory)
    if directories:
        directories.insert(0, assembly.config.node.data_directory)
    return SpaceWatch(directories, assembly.config.archive.space, audit)


def _recovery_lock(settings: NodeSettings, index: Index | None) -> Path:
    """Return a file on which all processes of this machine with the same index agree."""
    own = index.directory if index is not None else None
    return (own or settings.data_directory) / "recovery.lock"


async def _start_archive(archive: NodeArchive, tasks: TaskGroup, lock: Path) -> None:
    try:
        await archive.start(tasks, lock)
    except Exception as error:
        raise StartError(f"what was not flushed cannot be settled: {error}") from error


async def _start_store(
    assembly: Assembly, lifespan: Lifespan, started: dict[str, ObjectStore]
) -> ObjectStore | None:
    plan = assembly.choose_store()
    if plan is None:
        return None
    if plan.setup.store_name:
        list(plan.directories())
        for name in assembly.stores.unused(plan):
            logger.warning("[stores.%s] is not used: the archive's store is %s", name, plan.name)
    store = await start_store(plan, lifespan, started)
    return recalling(store, assembly.config.archive.recall_timeout)


def _with_room(component: Component) -> Component:
    """Make room on a full disk for a component to start: whoever wants to delete must open it."""
    directory = getattr(component, "directory", None)  # what it is, is checked later
    if isinstance(directory, Path):
        release_reserve(directory, if_full=True)
    return component


async def _start_index(
    assembly: Assembly, lifespan: Lifespan, *, repair: bool
) -> tuple[Index | None, bool]:
    """Return the index, and whether it runs."""
    chosen = assembly.choose_index()
    if chosen is None:
        return None, True
    record, descriptor = chosen
    setup = assembly.setup_for(record)
    name = f"{descriptor.name} ({record.source})"
    try:
        start = lifespan.start(name, lambda: _with_room(descriptor.create(setup)), record.name)
        return cast(Index, await start), True
    except StartError as error:
        if not repair:
            raise
        logger.error("%s", error)  # noqa: TRY400 the message says all
        return descriptor.create(setup), False


async def _warn_of_gap(store: ObjectStore, index: Index) -> None:
    if await find_gap(store, index):
        logger.warning("the index may lack instances: run `pacs index rebuild`")


async def _start_sinks(assembly: Assembly, lifespan: Lifespan) -> list[tuple[str, AuditSink, bool]]:
    sinks = []
    for record, descriptor in assembly.registry.entries(AuditSinkDescriptor):
        required = descriptor.required or descriptor.name in assembly.config.audit.required
        create = partial(descriptor.create, assembly.setup_for(record))
        sink = await start_optional(assembly.manager, lifespan, record, descriptor.name, create)
        if sink is not None:
            sinks.append((descriptor.name, sink, required))
        elif required:
            raise StartError(f"the required audit sink {descriptor.name!r}: {record.reason}")
    return sinks


def _authorizers(assembly: Assembly) -> list[tuple[PluginRecord, AccessDescriptor]]:
    entries = assembly.registry.entries(AccessDescriptor)
    return [entry for entry in entries if entry[1].authorizer is not None]


async def _start_authorizers(
    lifespan: Lifespan,
    node: Node,
    guards: list[tuple[PluginRecord, AccessDescriptor]],
    access: AccessControl,
    *,
    serving: bool,
) -> None:
    found: list[Authorizer] = []
    try:
        for record, descriptor in guards:
            create = partial(cast(Any, descriptor.authorizer), node)
            name = f"authorizer {descriptor.name}"
            found.append(await start_guard(lifespan, record, name, create))
    except StartError as error:
        if serving:
            raise
        logger.error("%s", error)  # noqa: TRY400 the message says all
    else:
        access.install(tuple(found))


async def _start_handlers(
    assembly: Assembly, lifespan: Lifespan, node: Node, events: EventDispatcher
) -> None:
    for record, descriptor in assembly.registry.entries(EventHandlerDescriptor):
        await start_capabilities(assembly, lifespan, node, descriptor.requires)
        create = partial(create_with_required, descriptor, node)
        handler = await start_optional(assembly.manager, lifespan, record, descriptor.name, create)
        if handler is not None:
            events.add(descriptor.name, handler)
