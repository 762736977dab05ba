"""The contract of service providers: what a SOP class does with a request."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final, overload

from attrs import field, frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.instance import Origin
from pacs_core.contracts.tls import TlsInfo
from pacs_core.dataset import Attributes, DatasetTooLarge, MalformedDataset
from pacs_core.dimse import Command, CommandField, DimseError, Status
from pacs_core.upper_layer import AcceptedContext, AssociateRQ

if TYPE_CHECKING:
    from pydicom import Dataset

UNCOMPRESSED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2")
"""Explicit VR little endian, implicit VR little endian, explicit VR big endian."""


@frozen
class SopClassSupport:
    """What a provider offers for one SOP class.

    Attributes
    ----------
    transfer_syntaxes : tuple of str
        Accepted ones; which is chosen follows the proposer's order.
    scp : bool
        The node may act as SCP, the requestor as SCU: the usual case.
    scu : bool
        The node may act as SCU on an association that it accepted, after SCP/SCU role selection
        (PS3.7 D.3.3.4), as Storage does for C-GET.
    name : str
        Of the SOP class, for ``pacs conformance``.
    preferred : tuple of str
        Transfer syntaxes that are chosen before all others, the best first, whatever the
        proposer's order.
    """

    transfer_syntaxes: tuple[str, ...] = UNCOMPRESSED
    scp: bool = True
    scu: bool = False
    name: str = ""
    preferred: tuple[str, ...] = ()


@frozen
class Response:
    """The final response to a request. Fields that are None are left out of the command set.

    Attributes
    ----------
    status : int
        PS3.7 Annex C, and the service's section of PS3.4.
    dataset : bytes, pydicom.Dataset or None
        Bytes are encoded in the context's transfer syntax; a Dataset is encoded so when it is sent.
    comment : str
        Error Comment (0000,0902).
    offending_element : tuple of int
        Offending Element (0000,0901).
    remaining, completed, failed, warning : int or None
        Numbers of sub-operations (PS3.7 §9.1.3.1, §9.1.4.1).
    affected_sop_instance_uid : str or None
        If it is not the request's.
    error_id, event_type_id, action_type_id : int or None
        Of DIMSE-N responses.
    attribute_identifier_list : tuple of int
        Of DIMSE-N responses.
    """

    status: int
    dataset: "bytes | Dataset | None" = None
    comment: str = ""
    offending_element: tuple[int, ...] = ()
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    affected_sop_instance_uid: str | None = None
    error_id: int | None = None
    event_type_id: int | None = None
    action_type_id: int | None = None
    attribute_identifier_list: tuple[int, ...] = ()


class DatasetStream(ABC):
    """The dataset of a request while it arrives. Reading is what makes room for more."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        """Iterate over the fragments, once. Raises if the association ends before the dataset."""

    @abstractmethod
    async def read(self, limit: int) -> bytes:
        """Return the whole dataset, which may have at most `limit` bytes.

        Raises
        ------
        DimseError
            It is larger.
        """


@frozen
class AssociationInfo:
    """What a provider may know about the association that a request came on.

    Attributes
    ----------
    id : str
        Identifier in logs and audit events.
    origin : Origin
        Who, and from where.
    request : AssociateRQ
        As received.
    contexts : mapping of int to AcceptedContext
        Accepted presentation contexts by identifier.
    extended : mapping of str to bytes
        SOP class extended negotiation as answered (PS3.7 D.3.3.5).
    maximum_length : int
        Largest PDU that the peer takes; 0 is unlimited.
    is_requestor : bool
        Whether this node requested the association.
    """

    id: str
    origin: Origin
    request: AssociateRQ
    contexts: Mapping[int, AcceptedContext]
    extended: Mapping[str, bytes] = field(factory=dict)
    maximum_length: int = 0
    is_requestor: bool = False

    @property
    def tls(self) -> TlsInfo | None:
        """How the association is secured: version, cipher suite, the peer's certificate."""
        return self.origin.tls


class Link(ABC):
    """The association that a request came on, for messages towards its requestor.

    A provider may keep it, also when it has answered: Storage Commitment, for one, reports on the
    same association as long as the requestor holds it open (PS3.4 J.3.3). Its methods raise once
    the association has ended; :meth:`ServiceProvider.association_ended` tells when that is.
    """

    association: AssociationInfo

    @property
    @abstractmethod
    def has_ended(self) -> bool:
        """Whether the association is over."""

    @overload
    async def n_event_report(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        event_type_id: int,
        information: "Dataset",
        *,
        negotiated_as: str | None = None,
    ) -> "tuple[Command, Dataset | None]": ...

    @overload
    async def n_event_report(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        event_type_id: int,
        information: Attributes | None = None,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, Attributes | None]: ...

    @abstractmethod
    async def n_event_report(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        event_type_id: int,
        information: "Attributes | Dataset | None" = None,
        *,
        negotiated_as: str | None = None,
    ) -> "tuple[Command, Attributes | Dataset | None]":
        """Report an event about a SOP instance to the requestor (PS3.7 §10.1.1).

        Parameters
        ----------
        sop_class_uid, sop_instance_uid : str
        event_type_id : int
        information : Attributes or pydicom.Dataset, optional
            Event Information, to be encoded in the context's transfer syntax.
        negotiated_as : str, optional
            UID of the SOP class whose presentation context is used, if that is another: a Meta
            SOP Class (PS3.4 H.3.2), or one of the UPS SOP Classes.

        Returns
        -------
        (Command, Attributes or pydicom.Dataset or None)
            The response, and its Event Reply: a Dataset if one was given.

        Raises
        ------
        AssociationError
            Of ``pacs_core.association``: the association has ended, or ends before the answer; or
            no presentation context was accepted in which the requestor is SCU of the SOP class.
        """


_MALFORMED: Final = {
    CommandField.C_STORE_RQ: Status.CANNOT_UNDERSTAND,
    CommandField.C_FIND_RQ: Status.UNABLE_TO_PROCESS,
    CommandField.C_GET_RQ: Status.UNABLE_TO_PROCESS,
    CommandField.C_MOVE_RQ: Status.UNABLE_TO_PROCESS,
    CommandField.N_EVENT_REPORT_RQ: Status.INVALID_ARGUMENT_VALUE,
    CommandField.N_ACTION_RQ: Status.INVALID_ARGUMENT_VALUE,
}
"""What a dataset that cannot be read is answered with; PS3.7 §10.1.3 and §10.1.5 leave N-SET and
N-CREATE 0110H, because 0106H is for a value of a certain attribute."""


def _out_of_resources(field: CommandField) -> Status:
    return Status.RESOURCE_LIMITATION if field.is_normalized else Status.OUT_OF_RESOURCES


class Operation(ABC):
    """One request, and the means to work on it."""

    command: Command
    context: AcceptedContext
    association: AssociationInfo
    dataset: DatasetStream
    """Empty if the request has no dataset."""

    @property
    @abstractmethod
    def link(self) -> Link:
        """The association, for messages to the requestor, also after the final response."""

    @property
    @abstractmethod
    def cancelled(self) -> bool:
        """Whether the requestor has sent C-CANCEL for this request (PS3.7 §9.3.2.3)."""

    @abstractmethod
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
        """Send a pending response; waits while the peer does not read (back-pressure).

        Raises
        ------
        UnencodableValue
            Of ``pacs_core.dataset``: a Dataset of pydicom cannot be encoded; nothing was sent.
        """

    async def read_dataset(self, limit: int = 1 << 20) -> "Dataset":
        """Read the request's dataset to its end, and decode it with pydicom.

        Parameters
        ----------
        limit : int
            Bytes that it may have, as sent and inflated. The default suits identifiers and
            attribute lists.

        Returns
        -------
        pydicom.Dataset
            In little endian, and without File Meta Information. Its structure is sound; a value is
            converted when it is looked at, where pydicom raises :class:`ValueError` for one that it
            cannot convert.

        Raises
        ------
        DimseError
            It is too large: A700H, of DIMSE-N 0213H. It is no dataset in the context's transfer
            syntax: what the standard has for the request (PS3.4 Table B.2-1, C.4.1.1.4; PS3.7
            §10.1).
        """
        # Who only imports contracts need not wait for them.
        from pacs_core.contracts.pydicom_decoding import finish_decoding
        from pacs_core.dataset import DatasetDecoder

        field = self.command.field
        try:
            data = await self.dataset.read(limit)
            decoder = DatasetDecoder(self.context.transfer_syntax, max_length=limit)
            decoder.feed(data)
            return await finish_decoding(decoder)
        except DimseError as error:
            is_too_large = error.status in (Status.OUT_OF_RESOURCES, Status.RESOURCE_LIMITATION)
            if not is_too_large:
                raise
            raise DimseError(_out_of_resources(field), error.comment) from error
        except DatasetTooLarge as error:
            raise DimseError(_out_of_resources(field), str(error)) from error
        except MalformedDataset as error:
            status = _MALFORMED.get(field, Status.PROCESSING_FAILURE)
            raise DimseError(status, str(error)) from error

    @abstractmethod
    async def c_store(
        self,
        context_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        dataset: "bytes | memoryview | AsyncIterable[bytes | memoryview] | Dataset",
        *,
        move_originator: tuple[str, int] | None = None,
    ) -> int:
        """Store an instance at the requestor, on this association: a C-GET sub-operation.

        Parameters
        ----------
        context_id : int
            An accepted context in which the requestor has the SCP role.
        sop_class_uid, sop_instance_uid : str
        dataset : bytes-like, async iterable of bytes-like, or pydicom.Dataset
            Bytes are encoded in the context's transfer syntax.
        move_originator : (str, int) or None
            AE title and message ID of the C-MOVE behind this, if any.

        Returns
        -------
        int
            Status of the C-STORE response.
        """

    @property
    def window(self) -> int:
        """Sub-operations that may be outstanding at once (PS3.7 D.3.3.3); 0 for no limit."""
        return 1

    async def begin_c_store(
        self,
        context_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        dataset: "bytes | memoryview | AsyncIterable[bytes | memoryview] | Dataset",
        *,
        move_originator: tuple[str, int] | None = None,
    ) -> Callable[[], Awaitable[int]]:
        """Send an instance as :meth:`c_store` does; return what waits for the status.

        So others may follow before that is there, as many as :attr:`window` says; who sends more
        waits for a place.
        """
        status = await self.c_store(
            context_id, sop_class_uid, sop_instance_uid, dataset, move_originator=move_originator
        )

        async def wait() -> int:
            return status

        return wait


class ServiceProvider(Component, ABC):
    """Answers requests for the SOP classes of its descriptor.

    One provider object serves all associations at once. What :meth:`handle` raises becomes the
    response: :class:`~pacs_core.dimse.DimseError` its status, an error in
    :data:`~pacs_core.contracts.errors.ERRORS` the one there, anything else 0110H Processing
    failure with a log entry. A dataset that was not read to its end is discarded.

    A provider uses the archive on behalf of who asks:
    ``node.archive.on_behalf_of(operation.association.origin)``.
    """

    applies_restrictions: ClassVar[bool] = False
    """Whether it does so wherever it uses the archive.

    Where authorizers restrict a request, one that does not is not asked: that would be 0124H.
    """

    @abstractmethod
    async def handle(self, operation: Operation) -> Response:
        """Work on a request; called in a task of its own, cancelled when the association ends."""

    async def association_accepted(self, link: Link) -> None:
        """Take note of an association on which this provider may serve, or report events.

        Called once, before its first request, if a presentation context for one of the provider's
        SOP classes was accepted. Who is to be told of events without having asked for anything, as
        PS3.4 F.9 has it, keeps the link. The peer cannot answer before this returns: report later,
        from a service.

        Parameters
        ----------
        link : Link
        """

    async def association_ended(self, association: AssociationInfo, reason: str) -> None:
        """Take note that an association on which this provider may have served is over.

        Called once, after the last operation was cancelled, if a presentation context for one of
        the provider's SOP classes was accepted.

        Parameters
        ----------
        association : AssociationInfo
        reason : str
            For logs.
        """

    def negotiate(self, sop_class_uid: str, application_information: bytes) -> bytes | None:
        """Answer SOP class extended negotiation (PS3.7 D.3.3.5); None leaves it unanswered."""
        return None
