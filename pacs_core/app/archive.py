"""Opens the configured archive, and puts the node around it together."""

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
from pacs_core.app.deletion_bin import prepare_bin
from pacs_core.app.deletion_guards import start_guards
from pacs_core.app.foundation import Foundation, start_foundation
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
from pacs_core.app.transcoding import open_transcoder
from pacs_core.archive import (
    JOURNAL_AFTER,
    ArchiveSettings,
    ChangeFeed,
    DeletionGuards,
    EventDispatcher,
    IngestFilters,
    NoArchive,
    NodeArchive,
    NodeBin,
    SpaceWatch,
)
from pacs_core.association import AccessControl, NodeConnector
from pacs_core.concurrency import cancelled_task_group
from pacs_core.config import Config
from pacs_core.contracts import (
    AccessDescriptor,
    Archive,
    Authorizer,
    Capabilities,
    Durability,
    EventHandlerDescriptor,
    Index,
    IngestObservers,
    Node,
    NodeSettings,
    ObjectStore,
    OperationObservers,
    TlsContexts,
    Transcoder,
    WorkerInfo,
)
from pacs_core.metering import NodeMeter
from pacs_core.plugins import PluginRecord
from pacs_core.sending import NodeSender
from pacs_core.tls import FileTlsContexts

# Theory of operation
#
# `open_archive` is used by the node and by every command that works on the archive, and nests what
# it starts in four layers, each ended before the one below it:
#
#   foundation  store, index, audit sinks (see there), then the audit trail on the sinks
#   observers   capabilities and event handlers, which may use all that is in the node
#   archive     delivery to the handlers, then the archive, which settles what a crash has left
#   parts       authorizers, ingest filters and deletion guards, and whatever the caller starts
#
# Everything between is made at once, without starting anything (`_put_together`): the archive, what
# connects and sends, and the `Node` that components receive. So a component gets the whole node
# when it is created, although most of it runs only later.
#
# Commands that repair open the archive too. Neither an index that does not start nor an authorizer
# that does not may keep them out, hence `repair` and `serving`.

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
    change_feed : ChangeFeed or None
        Of the index; None if it keeps no changes.
    waiting_bin : NodeBin
        What was deleted, and may come back.
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
    change_feed: ChangeFeed | None
    waiting_bin: NodeBin

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
    async with (
        open_transcoder(assembly) as transcoder,
        cancelled_task_group() as tasks,
        open_lifespan(timeout, everything) as lifespan,
    ):
        found = await start_foundation(assembly, lifespan, repair=repair)
        worker = worker or WorkerInfo()
        journal_after = _journal_after(assembly.config.archive, found) if serving else None
        made = _put_together(
            assembly, found, transcoder, worker, meter or NodeMeter(), journal_after
        )
        node, audit, events = made.node, found.audit, made.events
        lock = found.recovery_lock(node.settings.data_directory)
        async with (
            running(partial(audit.start, tasks), partial(audit.stop, timeout)),
            open_lifespan(timeout, everything) as observers,
        ):
            await start_capabilities(assembly, observers, node, (TlsContexts, *requires))
            if node.capabilities.provides(TlsContexts):
                node.tls = made.connector.tls = node.find(TlsContexts)
            await _start_handlers(assembly, observers, node, events)
            async with (
                running(partial(events.start, tasks), partial(events.stop, timeout)),
                _running_archive(node.archive, tasks, lock),
                open_lifespan(timeout, everything) as parts,
            ):
                prepare_bin(assembly, parts, node, made.waiting_bin)
                await found.warn_of_gap(made.waiting_bin)
                changes = found.index.change_log if found.index else None
                await _start_authorizers(parts, made, serving=serving)
                await start_filters(assembly, parts, node, made.filters, serving=serving)
                await start_guards(assembly, parts, node, made.deletion_guards, serving=serving)
                yield OpenArchive(
                    node, found.store, found.index, parts, made.access, made.space,
                    made.connector, made.sender, made.current, everything,
                    ChangeFeed(changes) if changes else None, made.waiting_bin,
                )  # fmt: skip


@frozen
class _Parts:
    """An archive and the node around it, put together; nothing but the foundation has started."""

    node: Node
    events: EventDispatcher
    space: SpaceWatch
    guards: list[tuple[PluginRecord, AccessDescriptor]]
    access: AccessControl
    filters: IngestFilters
    deletion_guards: DeletionGuards
    waiting_bin: NodeBin
    connector: NodeConnector
    sender: NodeSender
    current: CurrentSettings


def _put_together(
    assembly: Assembly,
    found: Foundation,
    transcoder: Transcoder,
    worker: WorkerInfo,
    meter: NodeMeter,
    journal_after: int | None,
) -> _Parts:
    settings, network, audit = assembly.config.settings, assembly.config.network, found.audit
    current = CurrentSettings(settings)
    events = EventDispatcher(timeout=network.timeouts.plugin)
    space = found.watch_space(assembly)
    entries = assembly.registry.entries(AccessDescriptor)
    guards = [entry for entry in entries if entry[1].authorizer is not None]
    access = AccessControl(audit, expected=bool(guards))
    filters = make_filters(assembly, audit)
    deletion_guards, waiting_bin = DeletionGuards(network.timeouts.plugin), NodeBin()
    archive = _archive(
        assembly, found, events, space, access, filters, deletion_guards, waiting_bin, current,
        journal_after,
    )  # fmt: skip
    operations, contexts = OperationObservers(), FileTlsContexts()
    connector = NodeConnector(settings.ae_title, network, audit, worker, operations, tls=contexts)
    capabilities = Capabilities()
    sender = NodeSender(settings, archive, transcoder, connector, audit, capabilities)
    node = Node(
        settings,
        archive,
        audit,
        transcoder,
        assembly.hooks,
        worker=worker,
        connector=connector,
        sender=sender,
        operations=operations,
        ingests=archive.observers if isinstance(archive, NodeArchive) else IngestObservers(),
        meter=meter,
        stores=found.stores,
        tls=contexts,
        access=access,
        capabilities=capabilities,
    )
    return _Parts(
        node, events, space, guards, access, filters, deletion_guards, waiting_bin, connector,
        sender, current,
    )  # fmt: skip


def _archive(
    assembly: Assembly,
    found: Foundation,
    events: EventDispatcher,
    space: SpaceWatch,
    access: AccessControl,
    filters: IngestFilters,
    deletion_guards: DeletionGuards,
    waiting_bin: NodeBin,
    current: CurrentSettings,
    journal_after: int | None,
) -> Archive:
    index = found.usable_index
    if found.store is None or index is None:
        return NoArchive()
    settings = assembly.config.archive
    return NodeArchive(
        found.store,
        index,
        audit=found.audit,
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
        guards=deletion_guards,
        waiting_bin=waiting_bin,
        prepare_metadata=settings.prepare_metadata,
        recall_timeout=settings.recall_timeout,
        journal_after=journal_after,
    )


def _journal_after(settings: ArchiveSettings, found: Foundation) -> int | None:
    """Return after how many small instances a node that serves makes a journal; None: it does not.

    If it is to make one and cannot, the log says why.
    """
    obstacles = {
        f"durability is {settings.durability.value}": settings.durability is not Durability.COMMIT,
        "the index is not on a local disk": found.index is None or found.index.directory is None,
    }
    reasons = [reason for reason, holds in obstacles.items() if holds]
    if settings.journal and reasons:
        logger.warning("there is no journal, since %s", " and ".join(reasons))
    if reasons or settings.journal is False:
        return None
    if settings.journal:
        return 0
    gains = found.store is not None and found.store.gains_by_journal
    return JOURNAL_AFTER if gains else None


@asynccontextmanager
async def _running_archive(archive: Archive, tasks: TaskGroup, lock: Path) -> AsyncIterator[None]:
    if not isinstance(archive, NodeArchive):
        yield
        return
    async with running(partial(_start_archive, archive, tasks, lock), archive.stop):
        yield


async def _start_archive(archive: NodeArchive, tasks: TaskGroup, lock: Path) -> None:
    try:
        await archive.start(tasks, lock)
    except Exception as error:
        raise StartError(f"what was not flushed cannot be settled: {error}") from error


async def _start_authorizers(lifespan: Lifespan, made: _Parts, *, serving: bool) -> None:
    found: list[Authorizer] = []
    try:
        for record, descriptor in made.guards:
            create = partial(cast(Any, descriptor.authorizer), made.node)
            name = f"authorizer {descriptor.name}"
            found.append(await start_guard(lifespan, record, name, create))
    except StartError as error:
        if serving:
            raise
        logger.error("%s", error)  # noqa: TRY400 the message says all
    else:
        made.access.install(tuple(found))


async def _start_handlers(
    assembly: Assembly, lifespan: Lifespan, node: Node, events: EventDispatcher
) -> None:
    for record, descriptor in assembly.registry.entries(EventHandlerDescriptor):
        await start_capabilities(assembly, lifespan, node, descriptor.requires)
        create = partial(create_with_required, descriptor, node)
        handler = await start_optional(assembly.manager, lifespan, record, descriptor.name, create)
        if handler is not None:
            events.add(descriptor.name, handler)
