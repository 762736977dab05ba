"""The preparation of metadata as a service of the node: it runs in one of its processes."""

from collections.abc import Iterator
from functools import partial

from pacs_core.app.archive import OpenArchive
from pacs_core.app.assembly import Assembly
from pacs_core.archive import NodeArchive
from pacs_core.contracts import Node, Service, ServiceDescriptor
from pacs_core.plugins import PluginRecord


def metadata_services(
    assembly: Assembly, opened: OpenArchive
) -> Iterator[tuple[PluginRecord, ServiceDescriptor]]:
    """Iterate over the service that prepares metadata, with the index's plugin, if it keeps any."""
    chosen = assembly.choose_index()
    archive = opened.archive
    if chosen is None or not isinstance(archive, NodeArchive) or archive.preparation is None:
        return
    create = partial(_create, archive)
    yield chosen[0], ServiceDescriptor("prepare metadata", create, scope="node")


def _create(archive: NodeArchive, _node: Node) -> Service:
    assert archive.preparation is not None  # noqa: S101 - for the type checker
    return archive.preparation
