"""Change consumers as services of the node: each runs in one of its processes."""

import logging
from collections.abc import Iterator
from functools import partial
from typing import Final

from pacs_core.app.archive import OpenArchive
from pacs_core.app.assembly import Assembly
from pacs_core.app.capabilities import create_with_required
from pacs_core.archive import STUDY_WATCH, ChangeFeed, ConsumerService, StudyWatch
from pacs_core.contracts import (
    STUDY_CHANGES,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    Index,
    Node,
    Service,
    ServiceDescriptor,
    StudyCompleteness,
)
from pacs_core.plugins import PluginRecord

logger = logging.getLogger(__name__)

_NO_CHANGES: Final = (
    "it needs an index that keeps changes, and {} does not: choose another by [archive] index"
)


def consumer_services(
    assembly: Assembly, opened: OpenArchive
) -> Iterator[tuple[PluginRecord, ServiceDescriptor]]:
    """Iterate over the services that run change consumers, each with its plugin."""
    watched = False
    for record, descriptor in assembly.registry.active(ChangeConsumerDescriptor):
        after: tuple[str, ...] = ()
        if descriptor.kinds & STUDY_CHANGES:
            after = (f"consumer {STUDY_WATCH}",)
            # One watch for all of them: it turns changes of instances into those of studies.
            if not watched:
                watch = partial(_create_watch, assembly, opened)
                yield record, ServiceDescriptor(*after, watch, scope="node")
            watched = True
        yield (
            record,
            ServiceDescriptor(
                f"consumer {descriptor.name}",
                partial(_create, assembly, opened, descriptor),
                scope="node",
                after=after,
                requires=descriptor.requires,
            ),
        )


async def warn_of_unknown_consumers(assembly: Assembly, opened: OpenArchive) -> None:
    """Name the consumers for which changes are kept although no plugin has them any more."""
    changes = opened.index.change_log if opened.index else None
    if changes is None:
        return
    found = [descriptor for _, descriptor in assembly.registry.entries(ChangeConsumerDescriptor)]
    known = {descriptor.name for descriptor in found}
    if any(descriptor.kinds & STUDY_CHANGES for descriptor in found):
        known.add(STUDY_WATCH)
    # Changes are kept until the last consumer has seen them: one that never comes back keeps all.
    for cursor in await changes.cursors():
        if cursor.consumer not in known:
            logger.warning(
                "no plugin has the change consumer %s, for which the index keeps changes (%d): "
                "install it again, or run `pacs consumers --forget %s`",
                cursor.consumer, cursor.behind, cursor.consumer,
            )  # fmt: skip


def _create(
    assembly: Assembly, opened: OpenArchive, descriptor: ChangeConsumerDescriptor, node: Node
) -> Service:
    index, feed = _feed_of(opened)
    consumer = create_with_required(descriptor, node)
    if not isinstance(consumer, ChangeConsumer):
        raise TypeError(f"it is no ChangeConsumer: {consumer!r:.100}")
    patience = assembly.config.network.timeouts.plugin
    return ConsumerService(index, feed, descriptor, consumer, patience)


def _create_watch(assembly: Assembly, opened: OpenArchive, node: Node) -> Service:
    _, feed = _feed_of(opened)
    completeness = node.capabilities.find_all(StudyCompleteness)
    return StudyWatch(feed, assembly.config.archive.study_quiet_time, completeness)


def _feed_of(opened: OpenArchive) -> tuple[Index, ChangeFeed]:
    if opened.index is None:
        raise LookupError("it needs an archive, and no store and index are configured")
    if opened.change_feed is None:
        raise LookupError(_NO_CHANGES.format(type(opened.index).__name__))
    return opened.index, opened.change_feed
