"""The job that asks a peer to commit to what it was sent (PS3.4 Annex J).

Each attempt looks first whether the answer to the last request has come meanwhile, on whichever
association. What the peer does not commit to waits to be sent again.
"""

from typing import Final

from attrs import define
from pacs_jobs.api import JobFailedError, JobHandler, RunningJob

from pacs_core.contracts import AssociationError, InstancePath, Node, Peer
from pacs_routing.auditing import record_given_up
from pacs_routing.interface import Deliveries, Delivery, DeliveryState, Outcome
from pacs_routing.routes import Routes

_WAIT: Final = 30.0


class NotAnsweredYetError(OSError):
    """The peer has not said yet what it commits to."""


@define(eq=False)
class CommitHandler(JobHandler):
    """Asks about what one batch has sent.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def run(self, job: RunningJob) -> None:
        """See base."""
        from pacs_sop_storage_commitment.api import (
            CommitmentRefusedError,
            CommitmentRequest,
            Reference,
            Requester,
            Transactions,
            TransactionState,
        )

        deliveries = self.node.find(Deliveries)
        peer = self.node.find(Routes).find_peer(str(job.arguments["peer"]))
        if not isinstance(peer, Peer):
            raise JobFailedError(f"there is no peer {job.arguments['peer']} any more")
        references: dict[Reference, Delivery] = {}
        for delivery in await deliveries.find(job.arguments["deliveries"]):
            found = await self.node.archive.locate(
                InstancePath(delivery.study_uid, delivery.instance_uid)
            )
            if found is not None and delivery.state is DeliveryState.SENT:
                reference = Reference(found.identity.sop_class_uid, delivery.sent_uid)
                references[reference] = delivery
        if not references:
            return
        uid = str(job.arguments["transaction"])
        known = await self.node.find(Transactions).with_uid(uid, peer=peer.ae_title, sent=True)
        if not known or known[-1].state is not TransactionState.REPORTED:
            request = CommitmentRequest(uid, tuple(references))
            try:
                known = [await self.node.find(Requester).request(peer, request, _WAIT)]
            except (AssociationError, CommitmentRefusedError) as error:
                raise NotAnsweredYetError(str(error)) from error
        if known[-1].state is not TransactionState.REPORTED:
            raise NotAnsweredYetError(f"{peer} has not answered yet: pacs commitments show {uid}")
        failures = known[-1].failures
        outcomes = [
            await self._judge(delivery, failures.get(reference))
            for reference, delivery in references.items()
        ]
        await deliveries.note(outcomes)
        if failures:
            await deliveries.wake()

    async def _judge(self, delivery: Delivery, failure: int | None) -> Outcome:
        number, uid = delivery.number, delivery.sent_uid
        if failure is None:
            state = DeliveryState.COMMITTED
            return Outcome(number, state, 0, 0.0, delivery.status, delivery.reason, uid)
        routes, attempts = self.node.find(Routes), delivery.attempts + 1
        reason = f"{delivery.peer} does not commit to it: {failure:04X}H"
        state = DeliveryState.WAITING
        if attempts >= routes.config.refusals:
            state = DeliveryState.FAILED
            await record_given_up(self.node, delivery, reason)
        due = routes.pause_after(delivery)
        return Outcome(number, state, attempts, due, delivery.status, reason, uid)
