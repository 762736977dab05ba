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


_RESULTS = {1: "permanently", 2: "for now"}
_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


def describe_rejection(rejection: AssociateRJ) -> str:
    """Return what an A-ASSOCIATE-RJ says, in words (PS3.8 Table 9-21)."""
    result = _RESULTS.get(rejection.result, "")
    reason = _REASONS.get((rejection.source, rejection.reason), "unknown reason")
    codes = f"{rejection.result},{rejection.source},{rejection.reason}"
    return f"rejected {result}: {reason} ({codes})"
