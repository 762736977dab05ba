"""Errors of the upper layer: local mistakes and the peer's mistakes are kept apart."""

from enum import IntEnum


class AbortSource(IntEnum):
    """Who initiated an abort (PS3.8 §9.3.8)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why the service provider aborted (PS3.8 §9.3.8); 3 is reserved."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER_VALUE = 6


class UpperLayerError(Exception):
    """Base of all errors raised by the upper layer."""


class LocalProtocolError(UpperLayerError):
    """The local user asked for what the protocol forbids; nothing was sent or changed."""


class MalformedPDU(UpperLayerError):  # noqa: N818 - names the thing, as the peer sent it
    """The peer sent bytes that are not a valid PDU.

    Attributes
    ----------
    reason : AbortReason
        The reason to give in the A-ABORT that answers it (PS3.8 §9.3.8).
    """

    def __init__(
        self, detail: str, reason: AbortReason = AbortReason.INVALID_PDU_PARAMETER_VALUE
    ) -> None:
        super().__init__(detail)
        self.reason = reason
