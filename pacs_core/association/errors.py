"""What can go wrong on an association, as its user sees it."""

from pacs_core.upper_layer import AssociateRJ


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
