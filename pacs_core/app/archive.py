"""Opens the configured archive: store, index, audit trail, event handlers."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup
from attrs import frozen

from pacs_core.app.assembly import Assembly
from pacs_core.app.lifespan import Lifespan, StartError
from pacs_core.app.transcoding import open_transcoder
from pacs_core.archive import (
    EventDispatcher,
    NoArchive,
    NodeArchive,
    NodeAuditTrail,
    find_gap,
)
from pacs_core.association import task_group
from pacs_core.contracts import (
    Archive,
    AuditSink,
    AuditSinkDescriptor,
    Component,
    EventHandlerDescriptor,
    Index,
    IndexDescriptor,
    Node,
    NodeSettings,
    ObjectStore,
    ObjectStoreDescriptor,
)
from pacs_core.plugins import Fault, PluginRecord, PluginState

logger = logging.getLogger(__name__)


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
    """

    node: Node
    store: ObjectStore | None
    index: Index | None
    lifespan: Lifespan

    @property
    def archive(self) -> Archive:
        """The archive itself."""
        return self.node.archive


@asynccontextmanager
async def open_sinks(assembly: Assembly) -> AsyncIterator[NodeAuditTrail]:
    """Open nothing but the audit trail for the length of an ``async with`` block.

    Raises
    ------
    StartError
        A required sink did not start.
    """
    timeout = assembly.config.network.timeouts.plugin
    lifespan = Lifespan(timeout)
    async with task_group() as tasks:
        try:
            audit = NodeAuditTrail(await _start_sinks(assembly, lifespan), timeout=timeout)
            await audit.start(tasks)
            try:
                yield audit
            finally:
                await audit.stop(timeout)
        finally:
            await lifespan.stop_all()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def open_archive(assembly: Assembly, *, repair: bool = False) -> AsyncIterator[OpenArchive]:
    """Open the archive for the length of an ``async with`` block.

    Parameters
    ----------
    assembly : Assembly
    repair : bool
        Whether to go on with an index that does not start, as one that is damaged: it is there,
        not started, and the archive refuses everything.

    Raises
    ------
    ConfigError
        The store or index that the configuration names is not there.
    StartError
        The store, the index, or a required part did not start.
    """
    timeouts = assembly.config.network.timeouts
    lifespan = Lifespan(timeouts.plugin)
    async with open_transcoder(assembly) as transcoder, task_group() as tasks:
        try:
            store = await _start_chosen(assembly, lifespan, ObjectStoreDescriptor)
            index, started = await _start_index(assembly, lifespan, repair=repair)
            audit = NodeAuditTrail(await _start_sinks(assembly, lifespan), timeout=timeouts.plugin)
            events = EventDispatcher(timeout=timeouts.plugin)
            archive = _archive(assembly, store, index if started else None, audit, events)
            node = Node(assembly.config.settings, archive, audit, transcoder)
            await _start_handlers(assembly, lifespan, node, events)
            await audit.start(tasks)
            await events.start(tasks)
            try:
                if isinstance(archive, NodeArchive):
                    await _start_archive(archive, tasks, node.settings)
                    if store is not None and index is not None:
                        await _warn_of_gap(store, index)
                yield OpenArchive(node, store, index, lifespan)
            finally:
                with anyio.CancelScope(shield=True):
                    if isinstance(archive, NodeArchive):
                        await archive.stop()
                    await events.stop(timeouts.plugin)
                    await audit.stop(timeouts.plugin)
        finally:
            await lifespan.stop_all()
            tasks.cancel_scope.cancel()


def _archive(
    assembly: Assembly,
    store: ObjectStore | None,
    index: Index | None,
    audit: NodeAuditTrail,
    events: EventDispatcher,
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
        character_set_of=assembly.config.settings.character_set_of,
    )


async def _start_archive(archive: NodeArchive, tasks: TaskGroup, settings: NodeSettings) -> None:
    try:
        await archive.start(tasks, settings.data_directory / "recovery.lock")
    except Exception as error:
        raise StartError(f"what was not flushed cannot be settled: {error}") from error


async def _start_chosen(assembly: Assembly, lifespan: Lifespan, kind: type[Any]) -> Any:
    chosen = assembly.choose(kind)
    if chosen is None:
        return None
    record, descriptor = chosen
    return await lifespan.start(
        f"{descriptor.name} ({record.source})",
        lambda: descriptor.create(assembly.setup_for(record)),
    )


async def _start_index(
    assembly: Assembly, lifespan: Lifespan, *, repair: bool
) -> tuple[Index | None, bool]:
    """Return the index, and whether it runs."""
    try:
        return await _start_chosen(assembly, lifespan, IndexDescriptor), True
    except StartError as error:
        chosen = assembly.choose(IndexDescriptor)
        if not repair or chosen is None:
            raise
        logger.error("%s", error)  # noqa: TRY400 the message says all
        return chosen[1].create(assembly.setup_for(chosen[0])), False


async def _warn_of_gap(store: ObjectStore, index: Index) -> None:
    if await find_gap(store, index):
        logger.warning("the index may lack instances: run `pacs index rebuild`")


async def start_optional(
    assembly: Assembly,
    lifespan: Lifespan,
    record: PluginRecord,
    name: str,
    create: Callable[[], Component],
) -> Any:
    """Start a component that the node can do without; quarantine its plugin if it fails.

    Returns
    -------
    Component or None
        None if it does not run, or if its plugin was quarantined before.

    Raises
    ------
    PluginError
        The node was configured not to do without it.
    """
    if record.state is not PluginState.LOADED:
        return None
    try:
        return await lifespan.start(f"{name} ({record.source})", create)
    except StartError as error:
        assembly.manager.quarantine(record, Fault.START, str(error), error.__cause__)
        assembly.manager.check_required()
        return None


async def _start_sinks(assembly: Assembly, lifespan: Lifespan) -> list[tuple[str, AuditSink, bool]]:
    sinks = []
    for record, descriptor in assembly.registry.entries(AuditSinkDescriptor):
        required = descriptor.required or descriptor.name in assembly.config.audit.required
        create = partial(descriptor.create, assembly.setup_for(record))
        sink = await start_optional(assembly, lifespan, record, descriptor.name, create)
        if sink is not None:
            sinks.append((descriptor.name, sink, required))
        elif required:
            raise StartError(f"the required audit sink {descriptor.name!r}: {record.reason}")
    return sinks


async def _start_handlers(
    assembly: Assembly, lifespan: Lifespan, node: Node, events: EventDispatcher
) -> None:
    for record, descriptor in assembly.registry.entries(EventHandlerDescriptor):
        create = partial(descriptor.create, node)
        handler = await start_optional(assembly, lifespan, record, descriptor.name, create)
        if handler is not None:
            events.add(descriptor.name, handler)
