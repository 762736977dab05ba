"""Ingest filters that plugins register: made, started in their order, and installed."""

import logging
from functools import partial
from graphlib import CycleError, TopologicalSorter

from pacs_core.app.assembly import Assembly
from pacs_core.app.lifespan import Lifespan, StartError, start_guard
from pacs_core.archive import IngestFilters
from pacs_core.contracts import AuditTrail, IngestFilter, IngestFilterDescriptor, Node

logger = logging.getLogger(__name__)


def make_filters(assembly: Assembly, audit: AuditTrail) -> IngestFilters:
    """Return the filters of a node, which let nothing in until they have started."""
    return IngestFilters(
        audit,
        ae_title=assembly.config.node.ae_title,
        keep_received=assembly.config.archive.keep_received,
        timeout=assembly.config.network.timeouts.plugin,
        expected=bool(assembly.registry.entries(IngestFilterDescriptor)),
    )


async def start_filters(
    assembly: Assembly, lifespan: Lifespan, node: Node, filters: IngestFilters, *, serving: bool
) -> None:
    """Start the filters, each after those that it names; without one of them nothing comes in.

    Raises
    ------
    StartError
        The node serves, and one does not start.
    """
    entries = {d.name: (r, d) for r, d in assembly.registry.entries(IngestFilterDescriptor)}
    graph = {name: set(d.after) & entries.keys() for name, (_, d) in entries.items()}
    found: dict[str, IngestFilter] = {}
    try:
        for name in TopologicalSorter(graph).static_order():
            record, descriptor = entries[name]
            create = partial(descriptor.create, node)
            found[name] = await start_guard(lifespan, record, f"ingest filter {name}", create)
    except (StartError, CycleError) as error:
        if isinstance(error, CycleError):
            circle = " after ".join(error.args[1][::-1])
            error = StartError(f"ingest filters wait for each other: {circle}")
        if serving:
            raise error from None
        logger.error("%s", error)  # noqa: TRY400 the message says all
    else:
        filters.install(found)
