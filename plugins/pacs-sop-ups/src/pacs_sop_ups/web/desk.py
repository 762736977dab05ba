"""Acts on workitems for whoever asks: by the same rules, statuses and records as over DIMSE."""

from collections.abc import Awaitable, Sequence
from typing import Final

from attrs import frozen
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import HTTPConnection

from pacs_core.api.attribute_lists import first
from pacs_core.api.normalized import RefusedRequestError
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AccessAction,
    AuditCode,
    AuditEvent,
    AuditValue,
    Condition,
    EventAction,
    Outcome,
    PluginAuditKind,
    Restriction,
)
from pacs_core.dimse import Status
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.restricting import restrictions_of, restrictions_on_telling
from pacs_sop_ups.sop_classes import CHANGED
from pacs_sop_ups.statuses import UpsStatus
from pacs_sop_ups.steps import PATIENT_ID, ChangedStep, ProcedureStep

SEARCHED: Final = PluginAuditKind("ups.searched", AuditCode("110112", "DCM", "Query"))

_HTTP: Final[dict[int, int]] = {
    Status.DUPLICATE_SOP_INSTANCE: 409,
    Status.NOT_AUTHORIZED: 403,
    Status.RESOURCE_LIMITATION: 413,
    UpsStatus.MAY_NO_LONGER_BE_UPDATED: 409,
    UpsStatus.WRONG_TRANSACTION_UID: 409,
    UpsStatus.ALREADY_IN_PROGRESS: 409,
    UpsStatus.SCHEDULED_ONLY_BY_CREATION: 409,
    UpsStatus.FINAL_STATE_NOT_MET: 409,
    UpsStatus.NO_SUCH_STEP: 404,
    UpsStatus.NOT_IN_PROGRESS: 409,
    UpsStatus.IS_COMPLETED: 409,
    UpsStatus.PERFORMER_UNREACHABLE: 409,
}
"""Of statuses that are not 400 (PS3.18 Tables 11.4.3-1 to 11.12.3-1)."""


def refusal(error: RefusedRequestError) -> HttpError:
    """Return the problem that says why a request was refused."""
    status = f"{error.status:04X}H"
    return HttpError(_HTTP.get(error.status, 400), error.explanation, dicom_status=status)


@frozen
class WorkitemDesk:
    """The procedure steps for whoever asks.

    Attributes
    ----------
    context : WebContext
    config : UpsConfig
    """

    context: WebContext
    config: UpsConfig

    @property
    def steps(self) -> UnifiedProcedureSteps:
        """The steps."""
        return self.context.node.find(UnifiedProcedureSteps)

    async def restrictions(
        self, request: HTTPConnection, action: AccessAction
    ) -> tuple[Restriction, ...]:
        """Return what steps exist for whoever asks; raise AccessDeniedError if none can."""
        return await restrictions_of(self.context.node, action, self.context.origin_of(request))

    async def restrictions_on_telling(self, request: HTTPConnection) -> tuple[Restriction, ...]:
        """Return of what steps whoever asks may have the receiver of the path told."""
        receiver = request.path_params["receiver"]
        origin = self.context.origin_of(request)
        return await restrictions_on_telling(self.context.node, receiver, origin)

    async def find(self, request: HTTPConnection, uid: str) -> ProcedureStep:
        """Return a step; HttpError 404 if it does not exist for whoever asks."""
        allowed = await self.restrictions(request, AccessAction.QUERY)
        try:
            step = await self.steps.find(uid, restrictions=allowed)
        except KeyError:
            raise HttpError(404, "there is no such workitem") from None
        await self.record(request, SEARCHED, EventAction.READ, instance=uid)
        return step

    async def search(
        self, request: HTTPConnection, conditions: Sequence[Condition], offset: int, limit: int
    ) -> tuple[list[ProcedureStep], bool]:
        """Return the steps that match, and whether there are more."""
        allowed = await self.restrictions(request, AccessAction.QUERY)
        page: list[ProcedureStep] = []
        has_more = False
        async with closing(self.steps.search(conditions, restrictions=allowed)) as found:
            async for step in found:
                if offset:
                    offset -= 1
                elif len(page) == limit:
                    has_more = True
                    break
                else:
                    page.append(step)
        await self.record(request, SEARCHED, EventAction.EXECUTE, matches=len(page))
        return page, has_more

    async def change(
        self, request: HTTPConnection, verb: str, uid: str, work: Awaitable[ChangedStep]
    ) -> ChangedStep:
        """Do something to a step, and record what became of it."""
        action = EventAction.CREATE if verb == "create" else EventAction.UPDATE
        try:
            made = await work
        except RefusedRequestError as error:
            await self.record(
                request, CHANGED, action, Outcome.FAILURE,
                do=verb, instance=uid, reason=error.comment,
            )  # fmt: skip
            raise refusal(error) from error
        await self.record(
            request, CHANGED, action,
            do=verb, instance=uid, state=str(made.step.state), studies=list(made.step.studies),
            patient=first(made.step.attributes, PATIENT_ID),
        )  # fmt: skip
        return made

    async def record(
        self,
        request: HTTPConnection,
        kind: PluginAuditKind,
        action: EventAction,
        outcome: Outcome = Outcome.SUCCESS,
        **details: AuditValue,
    ) -> None:
        """Record what whoever asks has seen or done; raise AuditFailedError if that fails."""
        origin = self.context.origin_of(request)
        event = AuditEvent(kind, outcome, origin, details, action=action)
        await self.context.node.audit.record(event)
