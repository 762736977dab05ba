"""``dimse``: instances go to a service's AE by C-STORE, and results come back from it by C-STORE.

Which request a result answers is found by what it refers to, and by its study.
"""

from attrs import evolve

from pacs_ai.interface import (
    Answer,
    InferenceAdapter,
    Inputs,
    ResultTaker,
    ServiceAwayError,
    ServiceError,
)
from pacs_ai.models import InferenceRequest
from pacs_core.dimse import Priority


class Dimse(InferenceAdapter):
    """Sends instances to a service by associations."""

    has_other_doors = True

    async def ask(self, request: InferenceRequest, inputs: Inputs, results: ResultTaker) -> Answer:
        """See base."""
        peer = self.node.settings.peers.get(self.service.peer)
        if peer is None:
            raise ServiceAwayError(f"there is no peer {self.service.peer!r} any more")
        if inputs.deidentify:
            peer = evolve(peer, deidentify=inputs.deidentify)
        priority = Priority.HIGH if request.priority > 0 else Priority.MEDIUM
        lost = ""
        async with self.node.sender.send(inputs.instances, peer, priority=priority) as sending:
            async for sent in sending:
                if sent.peer_failed:
                    raise ServiceAwayError(sent.reason or f"{peer.ae_title} ended the association")
                if not sent.arrived:
                    lost = sent.reason or f"{peer.ae_title} answered {sent.status:04X}H"
        if lost:
            raise ServiceError(lost)
        return Answer.LATER
