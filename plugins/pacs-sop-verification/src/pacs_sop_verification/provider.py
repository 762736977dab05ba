"""The Verification service class (PS3.4 Annex A)."""

from typing import ClassVar, Final

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditTrail,
    Operation,
    Outcome,
    Response,
    ServiceProvider,
)
from pacs_core.dimse import CommandField, DimseError, Status

VERIFICATION: Final = "1.2.840.10008.1.1"
"""Verification SOP class (PS3.4 A.4)."""


class Verification(ServiceProvider):
    """Answers C-ECHO, the one operation of the service (PS3.4 A.4, PS3.7 §9.1.5).

    Parameters
    ----------
    audit : AuditTrail
        Where each C-ECHO is recorded.
    """

    applies_restrictions: ClassVar[bool] = True

    def __init__(self, audit: AuditTrail) -> None:
        self._audit = audit

    async def handle(self, operation: Operation) -> Response:
        """Answer 0000H to a C-ECHO, 0211H to anything else."""
        if operation.command.field is not CommandField.C_ECHO_RQ:
            raise DimseError(
                Status.UNRECOGNIZED_OPERATION,
                f"Verification knows C-ECHO only, not {operation.command.field.name}",
            )
        origin = operation.association.origin
        await self._audit.record(AuditEvent(AuditKind.C_ECHO, Outcome.SUCCESS, origin))
        return Response(Status.SUCCESS)
