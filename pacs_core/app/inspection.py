"""The inspector of a running node."""

import logging
from collections.abc import Callable, Sequence

from attrs import frozen

from pacs_core.app.archive import OpenArchive
from pacs_core.app.assembly import Assembly
from pacs_core.app.missing_parts import missing_parts
from pacs_core.archive import NodeArchive, NodeAuditTrail
from pacs_core.association import Listener
from pacs_core.config import find_config, tls_tables, trace_values
from pacs_core.contracts import (
    CertificateStatus,
    ConfigValue,
    NodeInspector,
    PluginStatus,
    QueueStatus,
    ResourceStatus,
    WarningSource,
)
from pacs_core.plugins import PluginRecord, PluginState
from pacs_core.tls import certificate_uses
from pacs_core.transcoding import NodeTranscoder

logger = logging.getLogger(__name__)


def plugin_status(record: PluginRecord) -> PluginStatus:
    """Return what there is to say about a plugin."""
    return PluginStatus(record.name, record.source, record.state.value, record.reason)


@frozen
class RunningInspector(NodeInspector):
    """Looks at the parts of a running node.

    Attributes
    ----------
    opened : OpenArchive
    addresses : sequence of str
    assembly : callable
        Returns the one of now, which another takes the place of when the configuration is read
        again.
    listener : Listener
    """

    opened: OpenArchive
    addresses: Sequence[str]
    assembly: Callable[[], Assembly]
    listener: Listener

    @property
    def config_file(self) -> str:
        """See base."""
        source = self.assembly().source
        found = find_config(source.path) if source else None
        return str(found.absolute()) if found else ""

    def configuration(self) -> Sequence[ConfigValue]:
        """See base."""
        assembly = self.assembly()
        source = assembly.source
        tables, overrides = (source.tables, source.overrides) if source else ({}, {})
        return trace_values(assembly.config, assembly.plugin_configs, tables, overrides)

    def plugins(self) -> Sequence[PluginStatus]:
        """See base."""
        return [plugin_status(record) for record in self.assembly().manager.records]

    async def queues(self) -> Sequence[QueueStatus]:
        """See base."""
        archive, audit, index = self.opened.archive, self.opened.node.audit, self.opened.index
        found = list(archive.queues) if isinstance(archive, NodeArchive) else []
        if isinstance(audit, NodeAuditTrail):
            found += [*audit.queues, *await audit.spools()]
        if index is not None and index.change_log is not None:
            cursors = await index.change_log.cursors()
            found += [QueueStatus(each.consumer, "changes", each.behind) for each in cursors]
        return found

    async def resources(self) -> Sequence[ResourceStatus]:
        """See base."""
        listener, transcoder = self.listener, self.opened.node.transcoder
        found = [ResourceStatus("memory", "", listener.free_memory, listener.memory)]
        if isinstance(transcoder, NodeTranscoder):
            workers = transcoder.workers
            limit = workers.limits.processes
            found.append(ResourceStatus("codec-processes", "", workers.free, limit))
        rooms = await self.opened.space.rooms()
        return found + [ResourceStatus("room", str(where), *room) for where, *room in rooms]

    def certificates(self) -> Sequence[CertificateStatus]:
        """See base."""
        assembly = self.assembly()
        uses = certificate_uses(tls_tables(assembly.config, assembly.plugin_configs))
        return [
            CertificateStatus(each.where, each.certificate.not_after if each.certificate else None)
            for each in uses
        ]

    async def warnings(self) -> Sequence[str]:
        """See base."""
        assembly = self.assembly()
        found = [
            f"the plugin {record.name} is not used: {record.reason}"
            for record in assembly.manager.records
            if record.state is PluginState.QUARANTINED
        ]
        found += [str(missing) for missing in missing_parts(assembly)]
        found += filter(None, [await self.opened.archive.gap(), self.opened.space.problem])
        for queue in await self.queues():
            if queue.lost:
                found.append(f"{queue.name}: {queue.lost} events were lost, see the log")
        for source in self.opened.node.capabilities.find_all(WarningSource):
            try:
                found += await source.warnings()
            except Exception as error:
                logger.exception("%s cannot say what it warns of", type(source).__name__)
                found.append(f"{type(source).__name__} cannot say what it warns of: {error}")
        return found
