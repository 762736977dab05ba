"""Records what became of a request, whatever became of it."""

from collections.abc import Awaitable, Callable
from typing import Final

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    AuditTrail,
    AuditValue,
    EventAction,
    Operation,
    Outcome,
    Response,
    dimse_error_of,
)
from pacs_core.dimse import Status, StatusCategory, category

Details = dict[str, AuditValue]
Work = Callable[[Operation, Details], Awaitable[Response]]

_OUTCOMES: Final = {
    StatusCategory.SUCCESS: Outcome.SUCCESS,
    StatusCategory.WARNING: Outcome.WARNING,
    StatusCategory.CANCEL: Outcome.WARNING,
    StatusCategory.FAILURE: Outcome.FAILURE,
}


async def audit_work(
    audit: AuditTrail, kind: AuditKind, operation: Operation, work: Work
) -> Response:
    """Do the work, which fills in details, and record it with its status.

    Raises
    ------
    Exception
        As the work did; :class:`DimseError` if there is a status for it, all else is 0110H.
    AuditFailedError
        It could not be recorded, so must not be acknowledged.
    """
    details: Details = {}
    try:
        response = await work(operation, details)
    except Exception as error:
        known = dimse_error_of(error, operation.command.field)
        if known is None:
            details["reason"] = type(error).__name__
            await _record(audit, kind, operation, Status.PROCESSING_FAILURE, details)
            raise
        details["reason"] = known.comment
        await _record(audit, kind, operation, known.status, details)
        raise known from error
    await _record(audit, kind, operation, response.status, details)
    return response


async def _record(
    audit: AuditTrail, kind: AuditKind, operation: Operation, status: int, details: Details
) -> None:
    details["status"] = f"{status:04X}"
    origin = operation.association.origin
    await audit.record(
        AuditEvent(
            kind,
            _OUTCOMES[category(status)],
            origin,
            details,
            action=EventAction.EXECUTE,
            objects=(AuditObject(AuditObjectKind.QUERY, operation.context.abstract_syntax),),
        )
    )
