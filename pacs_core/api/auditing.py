"""Record of a DIMSE operation: what became of a request, whatever became of it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditObject,
    AuditTrail,
    AuditValue,
    EventAction,
    Operation,
    Outcome,
    PluginAuditKind,
    Response,
    dimse_error_of,
)
from pacs_core.dimse import Status, StatusCategory, category

__all__ = ["Details", "Work", "audit_work"]

Details: TypeAlias = "dict[str, AuditValue]"
"""What is recorded about an operation, by name."""
Work: TypeAlias = "Callable[[Operation, Details], Awaitable[Response]]"

_OUTCOMES: Final = {
    StatusCategory.SUCCESS: Outcome.SUCCESS,
    StatusCategory.WARNING: Outcome.WARNING,
    StatusCategory.CANCEL: Outcome.WARNING,
    StatusCategory.FAILURE: Outcome.FAILURE,
}


async def audit_work(
    audit: AuditTrail,
    kind: AuditKind | PluginAuditKind,
    operation: Operation,
    work: Work,
    *,
    action: EventAction = EventAction.EXECUTE,
    objects: Sequence[AuditObject] = (),
) -> Response:
    """Do the work of an operation, which fills in details, and record it with its status.

    It is recorded once and before it is acknowledged, as whoever performs an operation has to.

    Parameters
    ----------
    audit : AuditTrail
    kind : AuditKind or PluginAuditKind
    operation : Operation
    work : callable
        Is given the operation and a dict, into which it writes what is to be recorded.
    action : EventAction
    objects : sequence of AuditObject
        What it was about, as far as that is known before.

    Returns
    -------
    Response
        That of the work.

    Raises
    ------
    Exception
        As the work did; :class:`DimseError` if there is a status for it, all else is 0110H.
    AuditFailedError
        It could not be recorded, so must not be acknowledged.
    """
    details: Details = {}

    async def record(status: int) -> None:
        details["status"] = f"{status:04X}"
        outcome, origin = _OUTCOMES[category(status)], operation.association.origin
        await audit.record(
            AuditEvent(kind, outcome, origin, details, action=action, objects=tuple(objects))
        )

    try:
        response = await work(operation, details)
    except Exception as error:
        known = dimse_error_of(error, operation.command.field)
        if known is None:
            details["reason"] = type(error).__name__
            await record(Status.PROCESSING_FAILURE)
            raise
        details["reason"] = known.comment
        await record(known.status)
        raise known from error
    await record(response.status)
    return response
