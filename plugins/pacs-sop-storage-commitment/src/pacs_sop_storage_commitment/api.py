"""Public API for plugins that ask peers whether they keep what they were sent.

``node.find(Requester)`` asks them, ``node.find(Transactions)`` knows what became of it; name them
in `requires`.
"""

from pacs_sop_storage_commitment.interface import (
    CommitmentRefusedError,
    Direction,
    Promise,
    Requester,
    Transaction,
    Transactions,
    TransactionState,
)
from pacs_sop_storage_commitment.references import (
    CommitmentRequest,
    EventType,
    FailureReason,
    Failures,
    Reference,
)

__all__ = [
    "CommitmentRefusedError",
    "CommitmentRequest",
    "Direction",
    "EventType",
    "FailureReason",
    "Failures",
    "Promise",
    "Reference",
    "Requester",
    "Transaction",
    "TransactionState",
    "Transactions",
]
