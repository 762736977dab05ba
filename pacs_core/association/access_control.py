"""Asks the authorizers of a node, and writes down what they deny."""

import logging
from collections.abc import Mapping
from typing import Final

from pacs_core.concurrency import is_failure
from pacs_core.contracts import (
    Access,
    AccessAction,
    AccessDeniedError,
    AccessGuard,
    AccessTarget,
    Allow,
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditTrail,
    AuditValue,
    Authorizer,
    Deny,
    Operation,
    Origin,
    Outcome,
    Restrict,
    Restriction,
    Verdict,
)
from pacs_core.dimse import CommandField

# Theory of operation
#
# Whoever may not gets nothing, in every case that is not a clear yes: while authorizers have not
# started (`expected`), when one raises, when one returns something that is no verdict. A denial is
# final, whatever others say; restrictions of several add up.
#
# A denial is recorded before it is told. If it cannot be recorded it stays a denial: here the
# record is the lesser good.

logger = logging.getLogger(__name__)

_ACTIONS: Final[Mapping[CommandField, AccessAction]] = {
    CommandField.C_ECHO_RQ: AccessAction.ECHO,
    CommandField.C_STORE_RQ: AccessAction.STORE,
    CommandField.C_FIND_RQ: AccessAction.QUERY,
    CommandField.C_GET_RQ: AccessAction.RETRIEVE,
    CommandField.C_MOVE_RQ: AccessAction.MOVE,
}


def access_of(operation: Operation) -> Access:
    """Return what a DIMSE request asks for."""
    command = operation.command
    action = _ACTIONS.get(command.field, AccessAction.WORKFLOW)
    what = AccessTarget(
        sop_class_uid=operation.context.abstract_syntax,
        destination=command.move_destination or "",
        command=command,
    )
    return Access(action, operation.association.origin, what)


class AccessControl(AccessGuard):
    """The authorizers of a node.

    Parameters
    ----------
    audit : AuditTrail, optional
        Told of denials.
    authorizers : tuple of Authorizer
        In plugin order.
    expected : bool
        Whether there are some that have not started: until :meth:`install`, all is denied.
    """

    def __init__(
        self,
        audit: AuditTrail | None = None,
        authorizers: tuple[Authorizer, ...] = (),
        *,
        expected: bool = False,
    ) -> None:
        self._audit = audit
        self._authorizers = authorizers
        self._expected = expected

    def install(self, authorizers: tuple[Authorizer, ...]) -> None:
        """Ask these from now on."""
        self._authorizers = authorizers
        self._expected = False

    def is_open_to(self, origin: Origin) -> bool:
        """Whether there is nobody to ask, and no bound, so that all is allowed."""
        if self._authorizers or self._expected:
            return False
        return origin.principal is None or origin.principal.actions is None

    async def require(self, access: Access) -> tuple[Restriction, ...]:
        """See base."""
        if self._expected:
            await self.deny(access, "the authorizers have not started yet")
        principal = access.origin.principal
        if principal and principal.actions is not None and access.action not in principal.actions:
            await self.deny(access, f"{access.action} is beyond what this identity is limited to")
        restrictions: list[Restriction] = []
        for authorizer in self._authorizers:
            verdict = await _ask(authorizer, access)
            if isinstance(verdict, Deny):
                await self.deny(access, verdict.reason)
            elif isinstance(verdict, Restrict):
                restrictions += verdict.conditions
        return tuple(restrictions)

    async def deny(self, access: Access, reason: str) -> None:
        """Log and record a denial.

        Raises
        ------
        AccessDeniedError
            Always.
        """
        origin, what = access.origin, access.what
        who = origin.user or origin.calling_ae_title or origin.interface
        logger.warning("%s: %r may not %s: %s", origin.association, who, access.action, reason)
        details: dict[str, AuditValue] = {"action": str(access.action), "reason": reason}
        if what.sop_class_uid:
            details["sop_class_uid"] = what.sop_class_uid
        if what.destination:
            details["destination"] = what.destination
        if self._audit is not None:
            event = AuditEvent(AuditKind.ACCESS_DENIED, Outcome.FAILURE, origin, details)
            try:
                await self._audit.record(event)
            except AuditFailedError:
                logger.exception("%s: a denial could not be recorded", origin.association)
        raise AccessDeniedError(reason)


async def _ask(authorizer: Authorizer, access: Access) -> Verdict:
    name = type(authorizer).__qualname__
    try:
        verdict = await authorizer.authorize(access)
    except BaseException as error:
        if not is_failure(error):
            raise
        logger.exception("authorizer %s failed", name)
        return Deny(f"the authorizer failed: {type(error).__name__}")
    if not isinstance(verdict, Allow | Deny | Restrict):
        logger.error("authorizer %s returned %r, which is no verdict", name, verdict)
        return Deny("the authorizer failed: it gave no verdict")
    return verdict
