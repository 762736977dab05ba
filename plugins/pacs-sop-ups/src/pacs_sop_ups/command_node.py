"""The node of ``pacs ups``: asked for a step, and made to change one."""

from collections.abc import Awaitable

from pacs_core.api.commands import CommandError, local_origin
from pacs_core.api.normalized import RefusedRequestError
from pacs_core.contracts import AuditEvent, EventAction, Node, Outcome
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.sop_classes import CHANGED
from pacs_sop_ups.steps import ChangedStep, ProcedureStep


async def find_step(node: Node, instance: str) -> ProcedureStep:
    """Return a step; CommandError if there is none."""
    try:
        return await node.find(UnifiedProcedureSteps).find(instance)
    except KeyError as error:
        raise CommandError(str(error.args[0])) from error


async def do(node: Node, verb: str, instance: str, work: Awaitable[ChangedStep]) -> ChangedStep:
    """Do something to a step, and record it; CommandError says why it was refused."""
    try:
        made = await work
    except RefusedRequestError as error:
        raise CommandError(f"{instance}: {error.explanation} ({error.status:04X}H)") from error
    origin = local_origin(f"ups {verb}")
    details = {"instance": instance, "do": verb, "state": str(made.step.state)}
    action = EventAction.CREATE if verb == "create" else EventAction.UPDATE
    event = AuditEvent(CHANGED, Outcome.SUCCESS, origin, details, action=action)
    await node.audit.record(event)
    return made
