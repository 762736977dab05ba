"""Acts on performed steps that API and pages share: for whom which exist, and what is recorded.

To see steps and to end one by hand is workflow, as N-GET and N-SET are at the DIMSE door: the same
rules apply, and restrict both. A step that does not exist for somebody is neither seen nor changed.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from attrs import frozen
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request

from pacs_core.api.attribute_lists import first
from pacs_core.api.normalized import RefusedRequestError
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AccessDeniedError,
    AuditCode,
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    Condition,
    EventAction,
    Outcome,
    PluginAuditKind,
    Restriction,
)
from pacs_core.dimse import Status
from pacs_sop_mpps.discontinuing import DISCONTINUED, discontinue_at
from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.restricting import restrictions_of
from pacs_sop_mpps.steps import PATIENT_ID, PerformedState, PerformedStep
from pacs_sop_mpps.stored import missing_instances

VIEWED: Final = PluginAuditKind("mpps.viewed", AuditCode("110111", "DCM", "Procedure Record"))

MOST: Final = 1000
"""Steps on a page."""


@frozen
class StepPage:
    """Steps, latest first, and whether there are more."""

    steps: tuple[PerformedStep, ...]
    has_more: bool


@frozen
class StepDesk:
    """The performed steps for whoever asks.

    Attributes
    ----------
    context : WebContext
    steps : PerformedProcedureSteps
    """

    context: WebContext
    steps: PerformedProcedureSteps

    async def search(
        self,
        request: Request,
        conditions: Sequence[Condition],
        limit: int = MOST,
        *,
        state: PerformedState | None = None,
        before: str = "",
    ) -> StepPage:
        """Return the steps that match; HttpError 400 if there is no step `before`."""
        restrictions = await self._restrictions(request)
        page = await self._find(
            self.steps.search(conditions, state=state, before=before, restrictions=restrictions),
            limit,
        )
        await self._record(request, VIEWED, EventAction.READ, page.steps)
        return page

    async def show(self, request: Request) -> PerformedStep:
        """Return the step of the path."""
        step = await self._known(request, await self._restrictions(request))
        await self._record(request, VIEWED, EventAction.READ, (step,))
        return step

    async def missing(self, request: Request, step: PerformedStep) -> int | None:
        """Return how many instances of a step are not in the archive.

        What whoever asks may not see is not there: anybody who creates steps can name any instance.
        None without an archive, or for whom it finds nothing.
        """
        origin = self.context.origin_of(request)
        try:
            archive = self.context.node.archive.on_behalf_of(origin)
            return len(await missing_instances(archive, step))
        except (LookupError, AccessDeniedError):
            return None

    async def discontinue(self, request: Request) -> PerformedStep:
        """Discontinue the step of the path, whose modality has failed."""
        restrictions = await self._restrictions(request)
        step = await self._known(request, restrictions)
        if step.state is not PerformedState.IN_PROGRESS:
            raise HttpError(409, f"the step is {step.state}")
        await self._record(request, DISCONTINUED, EventAction.UPDATE, (step,))
        try:
            return await self.steps.change(
                step.instance_uid, discontinue_at(datetime.now()), restrictions=restrictions
            )
        except RefusedRequestError as error:  # the modality has come back, or it has been forgotten
            is_gone = error.status == Status.NO_SUCH_SOP_INSTANCE
            raise HttpError(404 if is_gone else 409, error.comment) from error

    async def _restrictions(self, request: Request) -> tuple[Restriction, ...]:
        return await restrictions_of(self.context.node, self.context.origin_of(request))

    async def _known(
        self, request: Request, restrictions: tuple[Restriction, ...]
    ) -> PerformedStep:
        try:
            uid = request.path_params["instance"]
            return await self.steps.find(uid, restrictions=restrictions)
        except KeyError:
            raise HttpError(404, "there is no such performed step") from None

    async def _find(self, steps: AsyncIterator[PerformedStep], limit: int) -> StepPage:
        found: list[PerformedStep] = []
        try:
            async with closing(steps) as all_steps:
                async for step in all_steps:
                    if len(found) == limit:
                        return StepPage(tuple(found), has_more=True)
                    found.append(step)
        except KeyError:
            raise HttpError(400, "before: there is no such performed step") from None
        return StepPage(tuple(found), has_more=False)

    async def _record(
        self,
        request: Request,
        kind: PluginAuditKind,
        action: EventAction,
        steps: Sequence[PerformedStep],
    ) -> None:
        """Record what whoever asks is about to see or do; raise AuditFailedError if that fails."""
        patients = sorted({first(step.attributes, PATIENT_ID) for step in steps} - {""})
        event = AuditEvent(
            kind,
            Outcome.SUCCESS,
            self.context.origin_of(request),
            {"instance": steps[0].instance_uid} if len(steps) == 1 else {"matches": len(steps)},
            action=action,
            objects=tuple(AuditObject(AuditObjectKind.PATIENT, each) for each in patients),
        )
        await self.context.node.audit.record(event)
