"""Jobs that tell peers: N-CREATE and N-SET sent on, and N-EVENT-REPORT (PS3.4 F.7, F.9)."""

import logging
from typing import Final

from attrs import define
from pacs_jobs.api import JobFailedError, JobHandler, RunningJob

from pacs_core.contracts import (
    AuditEvent,
    AuditValue,
    Node,
    Origin,
    Outcome,
    Peer,
    Proposal,
    RequestedAssociation,
)
from pacs_core.dimse import Command, Status, StatusCategory, category, describe
from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.outbox import Channel, Message, Outbox
from pacs_sop_mpps.sop_classes import MPPS, MPPS_NOTIFICATION, TOLD
from pacs_sop_mpps.steps import MAY_NO_LONGER_BE_UPDATED

logger = logging.getLogger(__name__)

_PROPOSALS: Final = {
    Channel.FORWARD: Proposal(MPPS),
    Channel.NOTIFY: Proposal(MPPS_NOTIFICATION, scu=False, scp=True),
}

_POINTLESS: Final = frozenset(
    {
        Status.NO_SUCH_ATTRIBUTE,
        Status.INVALID_ATTRIBUTE_VALUE,
        Status.INVALID_SOP_INSTANCE,
        Status.NO_SUCH_SOP_CLASS,
        Status.CLASS_INSTANCE_CONFLICT,
        Status.MISSING_ATTRIBUTE,
        Status.MISSING_ATTRIBUTE_VALUE,
        Status.SOP_CLASS_NOT_SUPPORTED,
        Status.NO_SUCH_EVENT_TYPE,
        Status.UNRECOGNIZED_OPERATION,
        Status.MISTYPED_ARGUMENT,
    }
)
"""Answers that the same message would get again."""


class RefusedByPeerError(Exception):
    """A peer did not take a message, but may do so another time."""


@define(eq=False)
class TellPeer(JobHandler):
    """Sends what is outstanding for a peer and a step, in its order.

    Parameters
    ----------
    node : Node
    channel : Channel
    """

    node: Node
    channel: Channel

    async def run(self, job: RunningJob) -> None:
        """Send until nothing is left."""
        name, uid = job.arguments["peer"], job.arguments["instance"]
        outbox = _outbox(self.node)
        message = await outbox.next(self.channel, name, uid)
        if message is None:
            return  # Another job was faster.
        peer = self.node.settings.peers.get(name)
        if peer is None:
            raise JobFailedError(f"there is no [peers.{name}] any more")
        async with self.node.connect(peer, [_PROPOSALS[self.channel]]) as association:
            while message:
                answer = await _send(association, uid, message)
                await self._judge(peer, uid, message, answer)
                await outbox.remove(message.number)
                message = await outbox.next(self.channel, name, uid)

    async def _judge(self, peer: Peer, uid: str, message: Message, answer: Command) -> None:
        """Record the answer, and raise if the message did not arrive."""
        status = answer.status or 0
        is_taken = _is_taken(message, answer)
        details: dict[str, AuditValue] = {
            "operation": message.operation,
            "instance": uid,
            "peer": str(peer),
            "status": f"{status:04X}",
        }
        settings = self.node.settings
        origin = Origin("DIMSE", settings.ae_title, peer.ae_title, peer.host, peer.port)
        outcome = Outcome.SUCCESS if is_taken else Outcome.FAILURE
        await self.node.audit.record(AuditEvent(TOLD, outcome, origin, details))
        if is_taken:
            return
        reason = f"{peer} answered {describe(status)} {answer.error_comment or ''}".rstrip()
        if status in _POINTLESS:
            raise JobFailedError(reason)
        raise RefusedByPeerError(reason)


def _outbox(node: Node) -> Outbox:
    from pacs_sop_mpps.database_steps import DatabasePerformedSteps

    steps = node.find(PerformedProcedureSteps)
    assert isinstance(steps, DatabasePerformedSteps)  # noqa: S101 it is what enqueues these jobs
    return steps.outbox


async def _send(association: RequestedAssociation, uid: str, message: Message) -> Command:
    match message.operation:
        case "create":
            answer, _ = await association.n_create(MPPS, uid, message.attributes)
        case "set":
            answer, _ = await association.n_set(MPPS, uid, message.attributes)
        case _:
            answer, _ = await association.n_event_report(MPPS_NOTIFICATION, uid, message.event_type)
    return answer


def _is_taken(message: Message, answer: Command) -> bool:
    """Tell whether a peer has what it was sent, be it from an earlier attempt."""
    status = answer.status or 0
    if category(status) in (StatusCategory.SUCCESS, StatusCategory.WARNING):
        return True
    if message.operation == "create":
        return status == Status.DUPLICATE_SOP_INSTANCE
    has_ended = answer.error_id == MAY_NO_LONGER_BE_UPDATED
    return message.operation == "set" and status == Status.PROCESSING_FAILURE and has_ended
