"""The sender of a node: see :mod:`pacs_core.sending.deliveries` for how it works."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from anyio.abc import TaskGroup
from attrs import evolve

from pacs_core.concurrency import cancelled_task_group
from pacs_core.contracts import (
    Archive,
    AuditTrail,
    Capabilities,
    Connector,
    Form,
    Instances,
    NodeSettings,
    Operation,
    Peer,
    Sender,
    Sending,
    Sent,
    Transcoder,
)
from pacs_core.contracts.sending import never
from pacs_core.dimse import Priority
from pacs_core.sending.deliveries import (
    Delivery,
    Means,
    PeerDelivery,
    RequestorDelivery,
)


@asynccontextmanager
async def _run(start: Callable[[TaskGroup], Delivery]) -> AsyncIterator[AsyncIterator[Sent]]:
    async with cancelled_task_group() as tasks:
        delivery = start(tasks)
        results = delivery.results()
        try:
            yield results
        finally:
            try:
                await results.aclose()
            finally:
                await delivery.close()


class NodeSender(Sender):
    """Sends what the archive of a node holds.

    Parameters
    ----------
    settings : NodeSettings
    archive : Archive
    transcoder : Transcoder
    connector : Connector
    audit : AuditTrail
    capabilities : Capabilities, optional
        Of the node, for what peers are sent in another way than it is stored.
    """

    def __init__(
        self,
        settings: NodeSettings,
        archive: Archive,
        transcoder: Transcoder,
        connector: Connector,
        audit: AuditTrail,
        capabilities: Capabilities | None = None,
    ) -> None:
        offered = capabilities or Capabilities()
        self._means = Means(settings, archive, transcoder, connector, audit, offered)

    @property
    def settings(self) -> NodeSettings:
        """Settings of what is sent from now on."""
        return self._means.settings

    @settings.setter
    def settings(self, settings: NodeSettings) -> None:
        self._means = evolve(self._means, settings=settings)

    def send(
        self,
        instances: Instances,
        peer: Peer,
        *,
        archive: Archive | None = None,
        forms: Collection[Form] = (),
        priority: int = Priority.MEDIUM,
        move_originator: tuple[str, int] | None = None,
        stop: Callable[[], bool] = never,
    ) -> Sending:
        """See base."""

        def start(tasks: TaskGroup) -> Delivery:
            return PeerDelivery(
                self._with(archive),
                tasks,
                instances,
                peer,
                forms=forms,
                priority=priority,
                move_originator=move_originator,
                stop=stop,
            )

        return _run(start)

    def send_back(
        self,
        instances: Instances,
        operation: Operation,
        *,
        archive: Archive | None = None,
        stop: Callable[[], bool] = never,
    ) -> Sending:
        """See base."""
        means = self._with(archive)
        return _run(lambda tasks: RequestorDelivery(means, tasks, instances, operation, stop))

    def _with(self, archive: Archive | None) -> Means:
        return self._means if archive is None else evolve(self._means, archive=archive)
