"""Counts associations, DIMSE operations in both directions, and what is stored, as they end."""

from typing import Final

from pacs_core.contracts import (
    AssociationInfo,
    AssociationObserver,
    IngestObserver,
    Node,
    ObservedIngest,
    ObservedOperation,
    OperationEnd,
    OperationObserver,
)
from pacs_metrics.labels import PeerNames, direction_of, operation_of, status_of

_STAGE_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0, 10.0)
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


class IngestCounter(IngestObserver):
    """Counts instances by what became of them, and how long each stage of storing them took."""

    def __init__(self, node: Node) -> None:
        meter = node.meter
        self._instances = meter.counter(
            "metrics_ingest_instances",
            "Instances that arrived, by what became of them",
            labels=("outcome",),
        )
        self._bytes = meter.counter(
            "metrics_ingest_bytes", "Bytes of objects that arrived, and were kept", unit="bytes"
        )
        self._seconds = meter.histogram(
            "metrics_ingest_seconds",
            "From the first byte of an instance until it is stored and indexed",
            unit="seconds",
            buckets=SECONDS,
        )
        self._stages = meter.histogram(
            "metrics_ingest_stage_seconds",
            "Of which each stage took so long",
            unit="seconds",
            labels=("stage",),
            buckets=_STAGE_SECONDS,
        )

    def ingested(self, ingest: ObservedIngest) -> None:
        """Count an instance."""
        if ingest.result is None:
            self._instances.add(1, outcome="failed")
            return
        self._instances.add(1, outcome=ingest.result.outcome.value)
        self._bytes.add(ingest.result.instance.size)
        self._seconds.observe(ingest.ended - ingest.began)
        for each in ingest.stages:
            self._stages.observe(each.seconds, stage=each.stage)
