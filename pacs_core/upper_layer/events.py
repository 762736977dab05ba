"""Events that the upper layer tells its user: indications and confirmations (PS3.8 §7)."""

from attrs import frozen

from pacs_core.upper_layer.associate import AssociateAC, AssociateRQ
from pacs_core.upper_layer.p_data import PresentationDataValue
from pacs_core.upper_layer.rejection import AssociateRJ


@frozen
class Event:
    """Base of all events."""


@frozen
class AssociationRequested(Event):
    """A-ASSOCIATE indication: answer with `accept` or `reject`."""

    request: AssociateRQ


@frozen
class AssociationRefused(Event):
    """The machine itself rejected a request, for the log only: the rejection is on its way.

    `request` is None where the peer speaks another version of the protocol.
    """

    request: AssociateRQ | None
    rejection: AssociateRJ
    detail: str


@frozen
class AssociationAccepted(Event):
    """A-ASSOCIATE confirmation, accepted."""

    response: AssociateAC


@frozen
class AssociationRejected(Event):
    """A-ASSOCIATE confirmation, rejected."""

    rejection: AssociateRJ


@frozen
class DataReceived(Event):
    """P-DATA indication: the values of one P-DATA-TF PDU."""

    pdvs: tuple[PresentationDataValue, ...]


@frozen
class ReleaseRequested(Event):
    """A-RELEASE indication.

    Without collision, answer with `respond_release`. With `collision`, both sides asked at once:
    the requestor answers now, the acceptor when `Released` arrives (PS3.8 §7.2.2).
    """

    collision: bool


@frozen
class Released(Event):
    """A-RELEASE confirmation: the peer agreed to our release.

    `response_due` is true on the acceptor's side of a collision, where `respond_release` is still
    owed to the peer.
    """

    response_due: bool = False


@frozen
class Aborted(Event):
    """A-ABORT or A-P-ABORT indication: the association is over.

    Attributes
    ----------
    source, reason : int
        As in the A-ABORT PDU received or sent (PS3.8 §9.3.8).
    by_peer : bool
        False where the peer broke the protocol and this side aborted.
    detail : str
        What the peer did wrong, or an empty string.
    """

    source: int
    reason: int
    by_peer: bool
    detail: str = ""


@frozen
class ConnectionClosed(Event):
    """The transport connection is closed.

    An A-P-ABORT indication if an association was there or asked for (AA-4); otherwise nothing was
    (AA-5), or the closing was expected (AR-5).
    """
