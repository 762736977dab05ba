"""The job that tells a receiver: N-EVENT-REPORT of the UPS Event SOP Class (PS3.4 CC.2.4)."""

import logging
from typing import TYPE_CHECKING, Final

from attrs import define
from pacs_jobs.api import JobFailedError, JobHandler, RunningJob

from pacs_core.contracts import (
    AccessAction,
    AccessDeniedError,
    AuditEvent,
    AuditValue,
    Node,
    Origin,
    Outcome,
    Peer,
    Proposal,
    RequestedAssociation,
)
from pacs_core.dimse import Status, StatusCategory, category, describe
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.outbox import WaitingEvent
from pacs_sop_ups.restricting import is_admitted, restrictions_of
from pacs_sop_ups.sop_classes import TOLD, UPS_EVENT, UPS_PUSH, WELL_KNOWN

if TYPE_CHECKING:
    from pacs_sop_ups.database_steps import DatabaseProcedureSteps

logger = logging.getLogger(__name__)

_PROPOSAL: Final = Proposal(UPS_EVENT, scu=False, scp=True)
_AGAIN: Final = frozenset({Status.PROCESSING_FAILURE, Status.RESOURCE_LIMITATION})
"""Answers that may be others the next time; any other failure would come again."""


class RefusedByPeerError(Exception):
    """A receiver did not take an event, but may do so another time."""


@define(eq=False)
class TellReceiver(JobHandler):
    """Sends what is outstanding for a receiver, in its order.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def run(self, job: RunningJob) -> None:
        """Send until nothing is left."""
        title = job.arguments["receiver"]
        outbox = database_steps_of(self.node).outbox
        events = await outbox.next(title)
        if not events:
            return  # Another job was faster.
        peer = self.node.settings.peer(title)
        if peer is None:
            raise JobFailedError(f"there are no peers with the AE title {title} any more")
        async with self.node.connect(peer, [_PROPOSAL]) as association:
            while events:
                for waiting in events:
                    if await may_know(self.node, _as_requestor(peer), waiting):
                        await self._tell(association, peer, waiting)
                    await outbox.remove(waiting.number)
                events = await outbox.next(title)

    async def _tell(
        self, association: RequestedAssociation, peer: Peer, waiting: WaitingEvent
    ) -> None:
        """Report an event; raise if that is to be tried again."""
        answer, _ = await association.n_event_report(
            UPS_PUSH,
            waiting.instance_uid,
            waiting.event.kind,
            waiting.event.information,
            negotiated_as=UPS_EVENT,
        )
        status = answer.status or 0
        is_taken = category(status) in (StatusCategory.SUCCESS, StatusCategory.WARNING)
        details: dict[str, AuditValue] = {
            "event": waiting.event.kind.name,
            "instance": waiting.instance_uid,
            "peer": str(peer),
            "status": f"{status:04X}",
        }
        title = self.node.settings.ae_title
        origin = Origin("DIMSE", title, peer.ae_title, peer.host, peer.port)
        outcome = Outcome.SUCCESS if is_taken else Outcome.FAILURE
        await self.node.audit.record(AuditEvent(TOLD, outcome, origin, details))
        if is_taken:
            return
        reason = f"{peer} answered {describe(status)} {answer.error_comment or ''}".rstrip()
        if status in _AGAIN:
            raise RefusedByPeerError(reason)
        logger.warning("%s: it is not told again", reason)


async def may_know(node: Node, origin: Origin, waiting: WaitingEvent) -> bool:
    """Tell whether a receiver may be told of an event, by the rules of this moment.

    Whoever follows all steps follows those too that do not exist for them.
    """
    if waiting.instance_uid in WELL_KNOWN:
        return True
    try:
        allowed = await restrictions_of(node, AccessAction.QUERY, origin)
    except AccessDeniedError:
        return False
    if not allowed:
        return True
    try:
        step = await node.find(UnifiedProcedureSteps).find(waiting.instance_uid)
    except KeyError:
        return False
    return is_admitted(step, allowed)


def _as_requestor(peer: Peer) -> Origin:
    return Origin("DIMSE", peer.ae_title, "", peer.host, peer.port)


def database_steps_of(node: Node) -> "DatabaseProcedureSteps":
    """Return the steps, with the outbox that is theirs alone."""
    from pacs_sop_ups.database_steps import DatabaseProcedureSteps

    steps = node.find(UnifiedProcedureSteps)
    assert isinstance(steps, DatabaseProcedureSteps)  # noqa: S101 nothing else enqueues these jobs
    return steps
