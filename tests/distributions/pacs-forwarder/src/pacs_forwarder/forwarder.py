"""Sends what waits, again and again until it has arrived."""

import asyncio

from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    Node,
    Origin,
    Outcome,
    Peer,
    PluginAuditKind,
    Sent,
    Service,
    Started,
    StoredInstance,
)
from pacs_forwarder.outbox import Outbox

GIVEN_UP = PluginAuditKind(
    "forwarder.given-up", AuditCode("110104", "DCM", "Instances Transferred")
)


class Forwarder(Service):
    """Sends to one peer."""

    def __init__(self, node: Node, peer: Peer) -> None:
        self._node = node
        self._peer = peer
        labels = ("peer", "status")
        self._sent = node.meter.counter("forwarder_instances", "Answers of the peer", labels=labels)
        self._waiting = node.meter.gauge("forwarder_waiting", "Instances that are not sent yet")
        self._sizes = node.meter.histogram(
            "forwarder_size", "Datasets that arrived", unit="bytes", buckets=(1e3, 1e6, 1e9)
        )

    async def run(self, started: Started) -> None:
        """Send until cancelled."""
        started()
        outbox = self._node.find(Outbox)
        while True:
            batch = await outbox.take()
            while batch:
                self._waiting.set(len(batch))
                batch = await self._send(batch)
                if batch:
                    await asyncio.sleep(0.2)
            self._waiting.set(0)

    async def _send(self, batch: list[StoredInstance]) -> list[StoredInstance]:
        """Return what is worth another attempt."""
        again = []
        async with self._node.sender.send(batch, self._peer) as sending:
            async for sent in sending:
                self._sent.add(1, peer=self._peer.ae_title, status=f"{sent.status:04X}")
                if sent.arrived:
                    self._sizes.observe(sent.size)
                elif sent.peer_failed:
                    again.append(sent.instance)
                else:
                    await self._give_up(sent)
        return again

    async def _give_up(self, sent: Sent) -> None:
        identity = sent.instance.identity
        study = AuditObject(
            AuditObjectKind.STUDY,
            identity.study_instance_uid,
            sop_classes={identity.sop_class_uid: 1},
        )
        origin = Origin("forwarder", called_ae_title=self._peer.ae_title, host=self._peer.host)
        details = {"reason": sent.reason, "sop_instance_uid": identity.sop_instance_uid}
        event = AuditEvent(GIVEN_UP, Outcome.FAILURE, origin, details, objects=(study,))
        await self._node.audit.record(event)
