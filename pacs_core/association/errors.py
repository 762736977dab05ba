"""Failures of an association; its users find them in the contracts."""

from pacs_core.contracts import (
    AssociationAbortedError,
    AssociationError,
    AssociationRefusedError,
    ConnectError,
    NoContextError,
    PeerTimeoutError,
)

__all__ = [
    "AssociationAbortedError",
    "AssociationError",
    "AssociationRefusedError",
    "ConnectError",
    "NoContextError",
    "PeerTimeoutError",
]
