"""The contract of associations that this node requests: what is proposed, and what can be done."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, Literal, overload

from attrs import field, frozen

from pacs_core.contracts.peer import Peer
from pacs_core.contracts.service_provider import (
    UNCOMPRESSED,
    AssociationInfo,
    Operation,
    Response,
)
from pacs_core.dataset import Attributes, DatasetT
from pacs_core.dimse import Command, Priority
from pacs_core.upper_layer import (
    AcceptedContext,
    AssociateRJ,
    AsynchronousOperations,
    ExtendedNegotiation,
    Limits,
    UserIdentity,
)

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_CONTEXTS: Final = 128
"""Presentation contexts that one association can have (PS3.8 §7.1.1.13)."""

ServeRequests = Callable[[Operation], Awaitable[Response]]
"""Performs a request that a peer makes on an association that this node requested."""


class AssociationError(Exception):
    """Base of every failure of an association."""


class ConnectError(AssociationError):
    """No transport connection to the peer could be made."""


class AssociationRefusedError(AssociationError):
    """The peer answered with A-ASSOCIATE-RJ (PS3.8 §9.3.4).

    Attributes
    ----------
    rejection : AssociateRJ
        Result, source and reason.
    """

    def __init__(self, message: str, rejection: AssociateRJ) -> None:
        super().__init__(message)
        self.rejection = rejection


class AssociationAbortedError(AssociationError):
    """The association ended without release: A-ABORT from either side, or the transport closed."""


class PeerTimeoutError(AssociationError):
    """The peer did not do in time what it had to."""


class NoContextError(AssociationError):
    """No accepted presentation context fits what is to be sent."""


@frozen
class Proposal:
    """A presentation context to propose.

    Attributes
    ----------
    abstract_syntax : str
        SOP class UID.
    transfer_syntaxes : tuple of str
        In order of preference.
    scu, scp : bool
        Roles of this side (PS3.7 D.3.3.4); the default needs no negotiation.
    """

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...] = UNCOMPRESSED
    scu: bool = True
    scp: bool = False


@frozen(kw_only=True)
class AssociationOptions:
    """What else can be negotiated.

    Attributes
    ----------
    limits : Limits
        What the peer may send.
    extended : tuple of ExtendedNegotiation
        SOP class extended negotiation (PS3.7 D.3.3.5).
    user_identity : UserIdentity or None
        PS3.7 D.3.3.7.
    operations : AsynchronousOperations or None
        Window to propose, from this side's point of view (PS3.7 D.3.3.3).
    """

    limits: Limits = field(factory=Limits)
    extended: tuple[ExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    operations: AsynchronousOperations | None = None


class RequestedAssociation(ABC):
    """An association that this node requested. Its methods may be called from many tasks at once.

    Every method that talks to the peer raises :class:`AssociationError` if the association ends
    before the answer is there, and :class:`NoContextError` if no presentation context was accepted
    for the SOP class. A DIMSE status that means failure is no exception: look at it.

    The methods of DIMSE-N use the presentation context of their SOP class, or of `negotiated_as`: a
    Meta SOP Class (PS3.4 H.3.2), or another of the same service.

    Whatever takes attributes takes a Dataset of pydicom as well, and then answers with one; what
    takes none does so with `as_dataset`. An empty Dataset is not sent. One that cannot be encoded
    raises :class:`~pacs_core.dataset.UnencodableValue` before anything is sent.
    """

    info: AssociationInfo
    """What was negotiated."""

    @property
    @abstractmethod
    def contexts(self) -> Mapping[int, AcceptedContext]:
        """Accepted presentation contexts by identifier."""

    @abstractmethod
    def context(
        self, sop_class_uid: str, transfer_syntax_uid: str | None = None, *, scp: bool = False
    ) -> AcceptedContext:
        """Return an accepted context in which this side is SCU of a SOP class, or else its SCP.

        Parameters
        ----------
        sop_class_uid : str
        transfer_syntax_uid : str, optional
            Any by default.
        scp : bool
            Whether this side is to be the SCP (PS3.7 D.3.3.4).

        Raises
        ------
        NoContextError
            There is none.
        """

    @abstractmethod
    async def abort(self, reason: str = "requested") -> None:
        """Abort the association now."""

    @abstractmethod
    async def c_echo(self) -> Command:
        """Verify the connection (PS3.4 Annex A); return the response."""

    @abstractmethod
    async def c_store(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        dataset: "bytes | memoryview | AsyncIterable[bytes | memoryview] | Dataset",
        *,
        context_id: int | None = None,
        transfer_syntax_uid: str | None = None,
        priority: int = Priority.MEDIUM,
        move_originator: tuple[str, int] | None = None,
    ) -> Command:
        """Store an instance at the peer (PS3.4 Annex B); return the response.

        Parameters
        ----------
        sop_class_uid, sop_instance_uid : str
        dataset : bytes-like, async iterable of bytes-like, or pydicom.Dataset
            Bytes are encoded in the context's transfer syntax, without file meta information.
        context_id : int, optional
            Presentation context to use; by default one that fits the transfer syntax.
        transfer_syntax_uid : str, optional
            In which bytes are encoded, or a Dataset shall be. That is by default what the File Meta
            Information of a Dataset says, or else any in which its Pixel Data can stay as they are.
        priority : int
        move_originator : (str, int), optional
            AE title and message ID of the C-MOVE-RQ behind this (PS3.7 §9.1.1.1).
        """

    @property
    def window(self) -> int:
        """Requests that may be outstanding at once (PS3.7 D.3.3.3); 0 for no limit."""
        return 1

    async def begin_c_store(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        dataset: "bytes | memoryview | AsyncIterable[bytes | memoryview] | Dataset",
        *,
        context_id: int | None = None,
        transfer_syntax_uid: str | None = None,
        priority: int = Priority.MEDIUM,
        move_originator: tuple[str, int] | None = None,
    ) -> Callable[[], Awaitable[Command]]:
        """Send an instance as :meth:`c_store` does; return what waits for the response.

        So others may follow before that is there, as many as :attr:`window` says; who sends more
        waits here.
        """
        response = await self.c_store(
            sop_class_uid,
            sop_instance_uid,
            dataset,
            context_id=context_id,
            transfer_syntax_uid=transfer_syntax_uid,
            priority=priority,
            move_originator=move_originator,
        )

        async def wait() -> Command:
            return response

        return wait

    @abstractmethod
    def c_find(
        self, sop_class_uid: str, identifier: DatasetT, *, priority: int = Priority.MEDIUM
    ) -> AsyncGenerator[tuple[Command, DatasetT | None], None]:
        """Query the peer (PS3.4 C.4.1); yields each response and its identifier.

        Closing the iterator before the final response cancels the query.
        """

    @abstractmethod
    def c_move(
        self,
        sop_class_uid: str,
        identifier: DatasetT,
        destination: str,
        *,
        priority: int = Priority.MEDIUM,
    ) -> AsyncGenerator[tuple[Command, DatasetT | None], None]:
        """Let the peer send instances to an AE title (PS3.4 C.4.2); yields each response."""

    @abstractmethod
    def c_get(
        self,
        sop_class_uid: str,
        identifier: DatasetT,
        receive: Callable[[Operation], Awaitable[int]],
        *,
        priority: int = Priority.MEDIUM,
    ) -> AsyncGenerator[tuple[Command, DatasetT | None], None]:
        """Retrieve instances on this association (PS3.4 C.4.3); yields each C-GET response.

        Parameters
        ----------
        sop_class_uid : str
        identifier : Attributes or pydicom.Dataset
        receive : callable
            Takes each instance that the peer stores; propose the Storage SOP classes with
            ``scp=True``.
        priority : int
        """

    @abstractmethod
    async def n_event_report(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        event_type_id: int,
        information: DatasetT | None = None,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, DatasetT | None]:
        """Report an event about a SOP instance of which this side is SCP (PS3.7 §10.1.1)."""

    @abstractmethod
    async def n_create(
        self,
        sop_class_uid: str,
        sop_instance_uid: str | None = None,
        attributes: DatasetT | None = None,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, DatasetT | None]:
        """Create a SOP instance (PS3.7 §10.1.5)."""

    @overload
    async def n_get(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        tags: tuple[int, ...] = (),
        *,
        negotiated_as: str | None = None,
        as_dataset: Literal[False] = False,
    ) -> tuple[Command, Attributes | None]: ...

    @overload
    async def n_get(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        tags: tuple[int, ...] = (),
        *,
        negotiated_as: str | None = None,
        as_dataset: Literal[True],
    ) -> "tuple[Command, Dataset | None]": ...

    @abstractmethod
    async def n_get(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        tags: tuple[int, ...] = (),
        *,
        negotiated_as: str | None = None,
        as_dataset: bool = False,
    ) -> "tuple[Command, Attributes | Dataset | None]":
        """Get attributes of a SOP instance; all of them without `tags` (PS3.7 §10.1.2)."""

    @abstractmethod
    async def n_set(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        attributes: DatasetT,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, DatasetT | None]:
        """Set attributes of a SOP instance (PS3.7 §10.1.3)."""

    @abstractmethod
    async def n_action(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        action_type_id: int,
        information: DatasetT | None = None,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, DatasetT | None]:
        """Request an action on a SOP instance (PS3.7 §10.1.4)."""

    @abstractmethod
    async def n_delete(
        self, sop_class_uid: str, sop_instance_uid: str, *, negotiated_as: str | None = None
    ) -> tuple[Command, Attributes | None]:
        """Delete a SOP instance (PS3.7 §10.1.6)."""


class Connector(ABC):
    """Requests associations in the name of the node; plugins call it by :meth:`Node.connect`."""

    @abstractmethod
    def connect(
        self,
        peer: Peer,
        proposals: Sequence[Proposal],
        *,
        options: AssociationOptions | None = None,
        serve: ServeRequests | None = None,
    ) -> AbstractAsyncContextManager[RequestedAssociation]:
        """Associate with a peer for the length of an ``async with`` block.

        The association has the node's AE title and timeouts. It counts against the associations
        that the node may have with one peer at once, and waits for its turn. Like one that a
        peer requested it is logged and audited, and observers are told of it.

        The association is released at the end of the block, and aborted if the block raises or is
        cancelled.

        Parameters
        ----------
        peer : Peer
        proposals : sequence of Proposal
            1 to 128 presentation contexts.
        options : AssociationOptions, optional
        serve : callable, optional
            Performs requests of the peer, for example N-EVENT-REPORT (PS3.4 J.3.3); by default all
            are refused with 0122H.

        Raises
        ------
        ConnectError
            No transport connection.
        AssociationRefusedError
            The peer rejected the association.
        AssociationAbortedError
            It ended before it was negotiated.
        PeerTimeoutError
            The peer did not answer, or other associations with it took too long.
        AuditFailedError
            A required audit sink could not record the association; it was aborted.
        ValueError
            Not 1 to 128 proposals.
        """


class NoConnector(Connector):
    """Of a node that has no network: raises `LookupError` on use."""

    def connect(
        self,
        peer: Peer,
        proposals: Sequence[Proposal],
        *,
        options: AssociationOptions | None = None,
        serve: ServeRequests | None = None,
    ) -> AbstractAsyncContextManager[RequestedAssociation]:
        """Refuse."""
        raise LookupError("this node was made without a connector: it requests no associations")
