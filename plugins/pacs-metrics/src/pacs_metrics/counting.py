"""Counts associations and DIMSE operations, in both directions, as they end."""

from typing import Final

from pacs_core.contracts import (
    AssociationInfo,
    AssociationObserver,
    Node,
    ObservedOperation,
    OperationEnd,
    OperationObserver,
)
from pacs_metrics.labels import PeerNames, direction_of, operation_of, status_of

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class AssociationCounter(AssociationObserver):
    """Counts associations that were accepted, and those that there are."""

    def __init__(self, node: Node) -> None:
        self._names, labels = PeerNames(node), ("direction", "peer")
        self._accepted = node.meter.counter(
            "metrics_associations", "Associations that were accepted", labels=labels
        )
        self._established = node.meter.gauge(
            "metrics_associations_established", "Associations that there are now", labels=labels
        )
        self._peers: dict[str, str] = {}

    async def accepted(self, association: AssociationInfo) -> None:
        """Count it."""
        # The configuration may name other peers by the time at which it ends.
        peer = self._peers[association.id] = self._names.name_of(association)
        direction = direction_of(is_invoked_here=association.is_requestor)
        self._accepted.add(1, direction=direction, peer=peer)
        self._established.add(1, direction=direction, peer=peer)

    async def ended(self, association: AssociationInfo, reason: str) -> None:
        """Count it no more."""
        if (peer := self._peers.pop(association.id, None)) is not None:
            direction = direction_of(is_invoked_here=association.is_requestor)
            self._established.add(-1, direction=direction, peer=peer)


class OperationCounter(OperationObserver):
    """Counts operations by service, peer and status; how long they took, and bytes of datasets."""

    def __init__(self, node: Node) -> None:
        self._names, meter = PeerNames(node), node.meter
        self._operations = meter.counter(
            "metrics_operations",
            "DIMSE operations that have ended",
            labels=("operation", "direction", "peer", "status"),
        )
        self._seconds = meter.histogram(
            "metrics_operation_seconds",
            "From the request to the final response",
            unit="seconds",
            labels=("operation", "direction"),
            buckets=SECONDS,
        )
        self._received = meter.counter(
            "metrics_received_bytes", "Bytes of datasets", unit="bytes", labels=("peer",)
        )
        self._sent = meter.counter(
            "metrics_sent_bytes", "Bytes of datasets", unit="bytes", labels=("peer",)
        )

    def ended(self, operation: ObservedOperation, end: OperationEnd) -> None:
        """Count an operation."""
        name = operation_of(operation.command.field)
        direction = direction_of(is_invoked_here=operation.is_invoked_here)
        peer = self._names.name_of(operation.association)
        self._operations.add(
            1, operation=name, direction=direction, peer=peer, status=status_of(end.status)
        )
        self._seconds.observe(end.seconds, operation=name, direction=direction)
        if end.bytes_received:
            self._received.add(end.bytes_received, peer=peer)
        if end.bytes_sent:
            self._sent.add(end.bytes_sent, peer=peer)
