"""Foundation of an archive: its object store, index and audit sinks, started before all else."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

from attrs import frozen

from pacs_core.app.assembly import Assembly
from pacs_core.app.lifespan import (
    Lifespan,
    StartError,
    open_lifespan,
    running,
    start_optional,
)
from pacs_core.app.stores import start_store
from pacs_core.archive import (
    BinNotRunningError,
    NodeAuditTrail,
    NodeBin,
    SpaceWatch,
    find_gap,
    recalling,
    release_reserve,
)
from pacs_core.concurrency import cancelled_task_group
from pacs_core.contracts import AuditSink, AuditSinkDescriptor, Component, Index, ObjectStore

# Theory of operation
#
# What everything stands on starts first and stops last, each after what it needs. The store comes
# before the index, because an index that is damaged can be made again from the store, but not the
# other way round. Audit sinks come third: nothing that they should hear of happens before the
# archive is there. They are started before the trail that feeds them, so that a required one which
# does not start ends the node before anything was done without a record.
#
# Whoever wants to repair an index must open the archive without it. With `repair` an index that
# does not start is handed out all the same, as the object that can rebuild itself, and marked as
# not running; the archive built on it refuses everything.
#
# A full disk is the one failure that starting can mend by itself: the reserve is given back before
# an index opens its files, since deleting is what then makes room, and deleting needs the index.

logger = logging.getLogger(__name__)


@frozen
class Foundation:
    """What an archive stands on.

    Attributes
    ----------
    store : ObjectStore or None
        None if none is configured; then there is no index either.
    index : Index or None
    index_runs : bool
        False for an index that is there to be repaired.
    stores : mapping of str to ObjectStore
        All that run, by the names of their tables.
    audit : NodeAuditTrail
        On the sinks; not started.
    """

    store: ObjectStore | None
    index: Index | None
    index_runs: bool
    stores: dict[str, ObjectStore]
    audit: NodeAuditTrail

    @property
    def usable_index(self) -> Index | None:
        """The index, if it runs."""
        return self.index if self.index_runs else None

    def recovery_lock(self, data_directory: Path) -> Path:
        """Return a file on which all processes of this machine with the same index agree."""
        own = self.index.directory if self.index is not None else None
        return (own or data_directory) / "recovery.lock"

    def watch_space(self, assembly: Assembly) -> SpaceWatch:
        """Return a watch over the disks of store and index, and that of the node's own files."""
        directories = list(self.store.directories) if self.store is not None else []
        if self.index is not None and self.index.directory is not None:
            directories.append(self.index.directory)
        if directories:
            directories.insert(0, assembly.config.node.data_directory)
        return SpaceWatch(directories, assembly.config.archive.space, self.audit)

    async def warn_of_gap(self, waiting_bin: NodeBin) -> None:
        """Say if the index knows that it may lack instances."""
        if self.store is None or self.index is None or not self.index_runs:
            return
        try:
            gap = await find_gap(self.store, self.index, waiting_bin)
        except BinNotRunningError as error:
            logger.error("whether the index lacks instances is not known: %s", error)  # noqa: TRY400
            return
        if gap:
            logger.warning("the index may lack instances: run `pacs index rebuild`")


async def start_foundation(assembly: Assembly, lifespan: Lifespan, *, repair: bool) -> Foundation:
    """Start store, index and audit sinks, in this order.

    Raises
    ------
    ConfigError
        The store or index that the configuration names is not there.
    StartError
        One did not start; the index only without `repair`.
    """
    release_reserve(assembly.config.node.data_directory, if_full=True)
    stores: dict[str, ObjectStore] = {}
    store = await _start_store(assembly, lifespan, stores)
    index, index_runs = await _start_index(assembly, lifespan, repair=repair)
    sinks = await _start_sinks(assembly, lifespan)
    audit = NodeAuditTrail(sinks, timeout=assembly.config.network.timeouts.plugin)
    return Foundation(store, index, index_runs, stores, audit)


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
