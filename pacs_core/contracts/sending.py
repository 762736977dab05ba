"""The contract of sending instances to peers: who wants it says what goes where, and is told."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager

from attrs import frozen

from pacs_core.contracts.archive import Archive
from pacs_core.contracts.instance import StoredInstance
from pacs_core.contracts.peer import Peer
from pacs_core.contracts.service_provider import Operation
from pacs_core.dimse import Priority, StatusCategory, category

Form = tuple[str, str]
"""SOP class UID and transfer syntax UID: what a presentation context offers."""

Instances = Iterable[StoredInstance] | AsyncIterable[StoredInstance]


def never() -> bool:
    """Tell that sending is not to stop."""
    return False


@frozen
class Sent:
    """What became of one instance.

    Attributes
    ----------
    instance : StoredInstance
    status : int
        Of the C-STORE response (PS3.4 Table B.2-1). 0110H if there was none, because the
        instance could not be sent: `reason` says why.
    reason : str
        Why it failed, or what the peer had to remark; empty if all went well.
    sop_instance_uid : str
        Under which it went out; another than the stored one if it was de-identified, or
        compressed lossily under a UID of its own.
    transfer_syntax_uid : str
        In which it went out; empty if it was not sent.
    size : int
        Bytes of the dataset that were sent.
    peer_failed : bool
        Whether it failed for a reason that has nothing to do with this instance: the peer could
        not be reached, or the association has ended. Another attempt may do better.
    """

    instance: StoredInstance
    status: int
    reason: str = ""
    sop_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    size: int = 0
    peer_failed: bool = False

    @property
    def category(self) -> StatusCategory:
        """SUCCESS, WARNING (the peer has it, but not quite as it was sent), or FAILURE."""
        return category(self.status)

    @property
    def arrived(self) -> bool:
        """Whether the peer has the instance."""
        return self.category in {StatusCategory.SUCCESS, StatusCategory.WARNING}


Sending = AbstractAsyncContextManager[AsyncIterator[Sent]]


class Sender(ABC):
    """Sends stored instances, in a form that whoever receives them accepts.

    ::

        async with node.sender.send(instances, peer) as sending:
            async for sent in sending:
                if not sent.arrived:
                    ...

    - An instance goes out as it is stored if it can, and is converted otherwise, by the rules of
      ``[transcoding]`` and of the peer; the object and its conversion are read ahead, in bounded
      memory.
    - Nothing goes out unless the results are taken: one after the other, in the order of the
      instances as far as one association allows it. To a peer that may have several requests
      outstanding, or several associations (:attr:`Peer.outstanding`, :attr:`Peer.associations`), as
      many go out ahead of their results; with several associations they arrive in any order.
    - Leaving the block early sends no more, waits for the responses that are outstanding, and
      releases the associations. To hear of those, let `stop` end it. Where the caller is cancelled,
      that has two seconds.
    - Nothing is tried again: that is up to the caller, who knows for how long it makes sense.
    """

    @abstractmethod
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
        """Send instances to a peer by C-STORE (PS3.4 Annex B).

        As many associations are made as their presentation contexts need, one after the other.
        Some hundred instances are looked at before the first is sent, to find out what to
        propose: so what comes slowly should be sent in parts. Once the peer cannot be reached or
        has ended an association, all that remains fails.

        Every association's share is audited as ``instances-sent``, with the studies and SOP
        classes in it.

        Parameters
        ----------
        instances : iterable or async iterable of StoredInstance
            Such as :meth:`Archive.instances` gives; an asynchronous generator is closed.
        peer : Peer
        archive : Archive, optional
            By which objects are opened, such as :meth:`Archive.on_behalf_of` gives; the node's by
            default.
        forms : collection of Form
            In which instances are stored, as far as that is known beforehand: it saves
            associations.
        priority : int
            Priority (0000,0700) of the C-STORE requests.
        move_originator : (str, int), optional
            AE title and message ID of the C-MOVE behind this (PS3.7 §9.1.1.1).
        stop : callable, optional
            Asked before each instance; once it returns True no more are sent, and the results end
            with those of what was sent.

        Raises
        ------
        Exception
            In the block: what iterating over `instances` raised, or `AuditFailedError`.
        """

    @abstractmethod
    def send_back(
        self,
        instances: Instances,
        operation: Operation,
        *,
        archive: Archive | None = None,
        stop: Callable[[], bool] = never,
    ) -> Sending:
        """Send instances to a requestor on its own association, as C-GET does (PS3.4 C.4.3).

        Parameters
        ----------
        instances : iterable or async iterable of StoredInstance
        operation : Operation
            Whose requestor took the SCP role of the Storage SOP classes (PS3.4 C.5.3.1).
        archive : Archive, optional
            By which objects are opened, such as :meth:`Archive.on_behalf_of` gives; the node's by
            default.
        stop : callable, optional
            See :meth:`send`.

        Raises
        ------
        AssociationError
            In the block: the association has ended.
        """


class NoSender(Sender):
    """Of a node that was made without one: raises `LookupError` on use."""

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
        """Refuse."""
        raise LookupError("this node was made without a sender")

    def send_back(
        self,
        instances: Instances,
        operation: Operation,
        *,
        archive: Archive | None = None,
        stop: Callable[[], bool] = never,
    ) -> Sending:
        """Refuse."""
        raise LookupError("this node was made without a sender")
