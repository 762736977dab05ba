"""A node in memory, to try service providers without a network: every part is a real one.

:class:`MemoryOperation` is a request and collects what is answered, :class:`MemoryAuditTrail`
keeps what is recorded; with :class:`~pacs_core.testing.memory_archive.MemoryArchive` they are all
that a :class:`~pacs_core.contracts.ServiceProvider` touches.

Example
-------
::

    node = memory_node()
    operation = MemoryOperation(Command(field=CommandField.C_ECHO_RQ, message_id=1))
    response = await MyProvider(node).handle(operation)
    assert response.status == 0x0000
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from attrs import define, evolve, field, frozen

from pacs_core.association import AssociationAbortedError, NetworkSettings, NodeConnector
from pacs_core.contracts import (
    Access,
    AccessDeniedError,
    AccessGuard,
    AssociationInfo,
    AuditEvent,
    AuditFailedError,
    AuditTrail,
    DatasetStream,
    Link,
    Node,
    NodeSettings,
    Operation,
    Origin,
    PassThrough,
    Response,
    Restriction,
    Sender,
    ServiceProvider,
    dimse_error_of,
)
from pacs_core.dataset import Attributes, encode_dataset, is_pydicom_dataset
from pacs_core.dimse import Command, CommandField, DimseError, Status
from pacs_core.metering import NodeMeter
from pacs_core.sending import NodeSender
from pacs_core.testing.memory_archive import MemoryArchive
from pacs_core.upper_layer import AcceptedContext, AssociateRQ

if TYPE_CHECKING:
    from pydicom import Dataset

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


@frozen
class MemoryDataset(DatasetStream):
    """The dataset of a request, arriving in fragments of `fragment` bytes."""

    data: bytes = b""
    fragment: int = 16384

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        """Iterate over the fragments."""
        for start in range(0, len(self.data), self.fragment):
            yield memoryview(self.data)[start : start + self.fragment]

    async def read(self, limit: int) -> bytes:
        """Return the whole dataset; a :class:`DimseError` says that it exceeds `limit`."""
        if len(self.data) > limit:
            raise DimseError(Status.RESOURCE_LIMITATION, f"Data set exceeds {limit} bytes")
        return self.data


@define
class MemoryAuditTrail(AuditTrail):
    """Keeps audit events in :attr:`events`; while `failing`, a required sink takes none."""

    events: list[AuditEvent] = field(factory=list)
    failing: bool = False

    async def record(self, event: AuditEvent) -> None:
        """Keep the event."""
        if self.failing:
            raise AuditFailedError("the audit sink 'memory' is failing")
        self.events.append(event)


@frozen
class MemoryAccessGuard(AccessGuard):
    """Denies one action, or restricts all, and keeps what it was asked.

    Attributes
    ----------
    denied : str
        The action; none if empty.
    restrictions : tuple of Restriction
        Of whatever it does not deny.
    asked : list of Access
    """

    denied: str = ""
    restrictions: tuple[Restriction, ...] = ()
    asked: list[Access] = field(factory=list)

    async def require(self, access: Access) -> tuple[Restriction, ...]:
        """See base."""
        self.asked.append(access)
        if access.action == self.denied:
            raise AccessDeniedError("not you")
        return self.restrictions


def memory_association(
    *contexts: AcceptedContext, extended: Mapping[str, bytes] | None = None
) -> AssociationInfo:
    """Return an association from SCU to PACS with these accepted contexts."""
    return AssociationInfo(
        id="memory-1",
        origin=Origin("DIMSE", "SCU", "PACS", "127.0.0.1", 50000, None, "memory-1"),
        request=AssociateRQ("PACS", "SCU", ()),
        contexts={context.id: context for context in contexts},
        extended=extended or {},
        maximum_length=16384,
    )


def accepted_context(
    abstract_syntax: str,
    transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN,
    *,
    context_id: int = 1,
    scu: bool = True,
    scp: bool = False,
) -> AcceptedContext:
    """Return an accepted presentation context; roles are the requestor's (PS3.7 §D.3.3.4)."""
    return AcceptedContext(context_id, abstract_syntax, transfer_syntax, scu, scp)


@frozen
class SentPending:
    """A pending response that a provider sent."""

    status: int
    dataset: bytes | None
    remaining: int | None
    completed: int | None
    failed: int | None
    warning: int | None


@frozen
class SentStore:
    """A C-STORE sub-operation that a provider performed, with its whole dataset."""

    context_id: int
    sop_class_uid: str
    sop_instance_uid: str
    dataset: bytes
    move_originator: tuple[str, int] | None


@frozen
class SentReport:
    """An N-EVENT-REPORT that a provider sent."""

    sop_class_uid: str
    sop_instance_uid: str
    event_type_id: int
    information: "Attributes | Dataset | None"
    negotiated_as: str | None


@define
class MemoryLink(Link):
    """Collects what is reported to the requestor, which answers 0000H.

    Attributes
    ----------
    association : AssociationInfo
    reports : list of SentReport
    ended : bool
        Whether the association is over.
    """

    association: AssociationInfo
    reports: list[SentReport] = field(factory=list)
    ended: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether the association is over."""
        return self.ended

    async def n_event_report(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        event_type_id: int,
        information: "Attributes | Dataset | None" = None,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, Any]:
        """Note a report."""
        if self.ended:
            raise AssociationAbortedError("the association has ended")
        self.reports.append(
            SentReport(sop_class_uid, sop_instance_uid, event_type_id, information, negotiated_as)
        )
        return Command(field=CommandField.N_EVENT_REPORT_RSP, status=0), None


@define
class MemoryOperation(Operation):
    """A request and everything that is answered to it.

    Attributes
    ----------
    command : Command
    context : AcceptedContext
        Default: of the command's SOP class, in explicit VR little endian.
    association : AssociationInfo
        Default: one with just this context.
    dataset : DatasetStream
    cancel_after : int or None
        The requestor sends C-CANCEL once it has so many pending responses.
    store_status : int, or mapping of str to int
        How the requestor answers C-STORE sub-operations; by SOP Instance UID, else 0000H.
    pending, stores : list
        What was sent.
    link : MemoryLink
    """

    command: Command
    context: AcceptedContext = field()
    association: AssociationInfo = field()
    dataset: DatasetStream = field(factory=MemoryDataset)
    cancel_after: int | None = None
    store_status: int | Mapping[str, int] = 0
    pending: list[SentPending] = field(factory=list)
    stores: list[SentStore] = field(factory=list)
    link: MemoryLink = field()

    @link.default
    def _own_link(self) -> MemoryLink:
        return MemoryLink(self.association)

    @context.default
    def _own_context(self) -> AcceptedContext:
        return accepted_context(self.command.sop_class_uid or "1.2.840.10008.1.1")

    @association.default
    def _own_association(self) -> AssociationInfo:
        return memory_association(self.context)

    @property
    def cancelled(self) -> bool:
        """Whether the requestor has cancelled."""
        return self.cancel_after is not None and len(self.pending) >= self.cancel_after

    async def send_pending(
        self,
        dataset: "bytes | Dataset | None" = None,
        *,
        status: int = 0xFF00,
        remaining: int | None = None,
        completed: int | None = None,
        failed: int | None = None,
        warning: int | None = None,
    ) -> None:
        """Note a pending response; a Dataset as it would be sent."""
        if is_pydicom_dataset(dataset):
            dataset = encode_dataset(dataset, self.context.transfer_syntax) or None
        self.pending.append(SentPending(status, dataset, remaining, completed, failed, warning))

    async def c_store(
        self,
        context_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        dataset: "bytes | memoryview | AsyncIterable[bytes | memoryview] | Dataset",
        *,
        move_originator: tuple[str, int] | None = None,
    ) -> int:
        """Read the dataset, note the sub-operation, and answer as `store_status` says."""
        if isinstance(dataset, bytes | memoryview):
            data = bytes(dataset)
        elif is_pydicom_dataset(dataset):
            syntax = self.association.contexts[context_id].transfer_syntax
            data = encode_dataset(dataset, syntax)
        else:
            chunks = cast("AsyncIterable[bytes | memoryview]", dataset)
            data = b"".join([bytes(chunk) async for chunk in chunks])
        self.stores.append(
            SentStore(context_id, sop_class_uid, sop_instance_uid, data, move_originator)
        )
        if isinstance(self.store_status, int):
            return self.store_status
        return self.store_status.get(sop_instance_uid, 0)


def memory_node(
    settings: NodeSettings | None = None,
    datasets: Sequence[bytes] = (),
    *,
    sender: Sender | None = None,
) -> Node:
    """Return a node with an archive and an audit trail in memory.

    It connects and sends to peers over the network as every node does, unless it is given a
    :class:`~pacs_core.testing.memory_sender.MemorySender`.

    Parameters
    ----------
    settings : NodeSettings, optional
    datasets : sequence of bytes
        Encoded in explicit VR little endian; the archive holds them from the start.
    sender : Sender, optional
    """
    archive, audit, settings = MemoryArchive(), MemoryAuditTrail(), settings or NodeSettings()
    for dataset in datasets:
        archive.put(dataset, EXPLICIT_VR_LITTLE_ENDIAN)
    network = NetworkSettings(timeouts=settings.timeouts)
    connector = NodeConnector(settings.ae_title, network, audit)
    sender = sender or NodeSender(settings, archive, PassThrough(), connector, audit)
    return Node(
        settings,
        archive,
        audit,
        connector=connector,
        sender=sender,
        operations=connector.operations,
        meter=NodeMeter(),
    )


async def answer(provider: ServiceProvider, operation: Operation) -> Response:
    """Return the final response, as the kernel does.

    An error that has a status is one as well, and a Dataset of pydicom in it is encoded.
    """
    try:
        response = await provider.handle(operation)
        if not is_pydicom_dataset(response.dataset):
            return response
        encoded = encode_dataset(response.dataset, operation.context.transfer_syntax)
        return evolve(response, dataset=encoded or None)
    except Exception as error:
        known = dimse_error_of(error, operation.command.field)
        if known is None:
            raise
        return Response(
            known.status, comment=known.comment, offending_element=known.offending_element
        )
