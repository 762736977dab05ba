"""A-ASSOCIATE-RJ: the PDU, and each rejection that the standard names (PS3.8 §9.3.4)."""

from collections.abc import Mapping
from typing import Final

from attrs import frozen

_RESULTS: Mapping[int, str] = {1: "rejected permanently", 2: "rejected for now"}
_SOURCES: Mapping[int, str] = {
    1: "the service user",
    2: "the service provider (ACSE)",
    3: "the service provider (presentation)",
}
_REASONS: Mapping[tuple[int, int], str] = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


@frozen
class AssociateRJ:
    """A-ASSOCIATE-RJ PDU (PS3.8 §9.3.4).

    Attributes
    ----------
    result : int
        1 rejected permanently, 2 rejected for now.
    source : int
        1 service user, 2 service provider (ACSE), 3 service provider (presentation).
    reason : int
        Depends on `source` (PS3.8 Table 9-21); see `meaning`.
    """

    result: int
    source: int
    reason: int

    @property
    def meaning(self) -> str:
        """The three fields in words, and as they are (PS3.8 Table 9-21)."""
        result = _RESULTS.get(self.result, f"result {self.result}")
        source = _SOURCES.get(self.source, f"source {self.source}")
        reason = _REASONS.get((self.source, self.reason), f"reason {self.reason}")
        fields = f"{self.result},{self.source},{self.reason}"
        return f"{result} by {source}: {reason} ({fields})"


NO_REASON_GIVEN: Final = AssociateRJ(result=1, source=1, reason=1)
APPLICATION_CONTEXT_NAME_NOT_SUPPORTED: Final = AssociateRJ(result=1, source=1, reason=2)
CALLING_AE_TITLE_NOT_RECOGNIZED: Final = AssociateRJ(result=1, source=1, reason=3)
CALLED_AE_TITLE_NOT_RECOGNIZED: Final = AssociateRJ(result=1, source=1, reason=7)
PROTOCOL_VERSION_NOT_SUPPORTED: Final = AssociateRJ(result=1, source=2, reason=2)
TEMPORARY_CONGESTION: Final = AssociateRJ(result=2, source=3, reason=1)
LOCAL_LIMIT_EXCEEDED: Final = AssociateRJ(result=2, source=3, reason=2)
