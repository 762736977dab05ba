"""Events on their way to a receiver: N-EVENT-REPORT of the UPS Event SOP Class (PS3.4 CC.2.4)."""

import logging
from typing import TYPE_CHECKING, Final

import anyio
from attrs import define
from pacs_jobs.api import JobFailedError, JobHandler, RunningJob

from pacs_core.contracts import (
    AccessAction,
    AccessDeniedError,
    AssociationError,
    AuditEvent,
    AuditValue,
    Link,
    Node,
    Origin,
    Outcome,
    Proposal,
    RequestedAssociation,
)
from pacs_core.dimse import Command, Status, StatusCategory, category, describe
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.outbox import WaitingEvent
from pacs_sop_ups.restricting import is_admitted, restrictions_of
from pacs_sop_ups.sop_classes import TOLD, UPS_EVENT, UPS_PUSH, WELL_KNOWN

if TYPE_CHECKING:
    from pacs_sop_ups.database_steps import DatabaseProcedureSteps
    from pacs_sop_ups.receivers import Receivers

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
    receivers : Receivers
        Who holds an association open to be told.
    """

    node: Node
    receivers: "Receivers"

    async def run(self, job: RunningJob) -> None:
        """Send until nothing is left, on an association that the receiver holds, or on another."""
        title = job.arguments["receiver"]
        if not await database_steps_of(self.node).outbox.next(title, most=1):
            return None  # Another job was faster.
        peer = self.node.settings.peer(title)
        if peer is None:
            raise JobFailedError(f"there are no peers with the AE title {title} any more")
        if link := self.receivers.link_of(title):
            try:
                return await tell_receiver(self.node, title, link, link.association.origin)
            except AssociationError as error:
                logger.warning("%s: another association is requested", error)
                self.receivers.discard(link.association.id)
        own = self.node.settings.ae_title
        origin = Origin("DIMSE", peer.ae_title, own, peer.host, peer.port)
        async with self.node.connect(peer, [_PROPOSAL]) as association:
            await tell_receiver(self.node, title, association, origin)
        return None


async def tell_receiver(
    node: Node,
    title: str,
    association: "RequestedAssociation | Link",
    origin: Origin,
    patience: float | None = None,
) -> None:
    """Report what is outstanding for a receiver, in its order.

    Parameters
    ----------
    node : Node
    title : str
        AE title of the receiver.
    association : RequestedAssociation or Link
        Either way the receiver is SCU of the UPS Event SOP Class.
    origin : Origin
        The receiver, for rules and records.
    patience : float, optional
        Seconds that an answer may take.

    Raises
    ------
    RefusedByPeerError
        The receiver may take an event another time.
    AssociationError, TimeoutError
        The association is of no use any more.
    """
    outbox = database_steps_of(node).outbox
    while events := await outbox.next(title):
        for waiting in events:
            if await may_know(node, origin, waiting):
                with anyio.fail_after(patience):
                    answer, _ = await association.n_event_report(
                        UPS_PUSH,
                        waiting.instance_uid,
                        waiting.event.kind,
                        waiting.event.information,
                        negotiated_as=UPS_EVENT,
                    )
                await _record(node, title, origin, waiting, answer)
            await outbox.remove(waiting.number)


async def _record(
    node: Node, title: str, origin: Origin, waiting: WaitingEvent, answer: Command
) -> None:
    """Record how an event was answered; raise if it is to be tried again."""
    status = answer.status or 0
    is_taken = category(status) in (StatusCategory.SUCCESS, StatusCategory.WARNING)
    details: dict[str, AuditValue] = {
        "event": waiting.event.kind.name,
        "instance": waiting.instance_uid,
        "peer": title,
        "status": f"{status:04X}",
    }
    outcome = Outcome.SUCCESS if is_taken else Outcome.FAILURE
    await node.audit.record(AuditEvent(TOLD, outcome, origin, details))
    if is_taken:
        return
    reason = f"{title} answered {describe(status)} {answer.error_comment or ''}".rstrip()
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


def database_steps_of(node: Node) -> "DatabaseProcedureSteps":
    """Return the steps, with the outbox that is theirs alone."""
    from pacs_sop_ups.database_steps import DatabaseProcedureSteps

    steps = node.find(UnifiedProcedureSteps)
    assert isinstance(steps, DatabaseProcedureSteps)  # noqa: S101 nothing else enqueues these jobs
    return steps
