"""Acts on the list that API and pages share: for whom which steps exist, and what is recorded.

To see steps is a query, to change them is workflow, as at the DIMSE door: the same rules apply, and
restrict both. A step that does not exist for somebody can be neither seen, changed nor replaced.
"""

from collections.abc import Sequence
from typing import Final

from attrs import frozen
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AccessAction,
    AccessDeniedError,
    AuditCode,
    Condition,
    EventAction,
    PluginAuditKind,
    Restriction,
)
from pacs_core.dataset import texts
from pacs_sop_worklist.interface import ListedStep, Worklist
from pacs_sop_worklist.restricting import is_admitted, restrictions_of
from pacs_sop_worklist.searching import of_study
from pacs_sop_worklist.steps import ENDED, STUDY_UID, Step, StepState

SEARCHED: Final = PluginAuditKind("worklist.searched", AuditCode("110112", "DCM", "Query"))
CHANGED: Final = PluginAuditKind("worklist.changed")

MOST: Final = 1000
"""Steps on a page."""
_ALL: Final = 1 << 30


@frozen
class StepPage:
    """Steps by their start, and whether there are more."""

    steps: tuple[ListedStep, ...]
    has_more: bool


@frozen
class WorklistDesk:
    """The worklist for whoever asks.

    Attributes
    ----------
    context : WebContext
    worklist : Worklist
    """

    context: WebContext
    worklist: Worklist

    async def search(
        self,
        request: Request,
        conditions: Sequence[Condition],
        limit: int = MOST,
        *,
        with_ended: bool = False,
        after: int | None = None,
    ) -> StepPage:
        """Return the steps that match; HttpError 400 if there is no step `after`."""
        restrictions = await self.restrictions(request, AccessAction.QUERY)
        try:
            page = await self._find(
                conditions, restrictions, limit, with_ended=with_ended, after=after
            )
        except KeyError as error:
            raise HttpError(400, f"after: {error.args[0]}") from error
        await self.context.record(request, SEARCHED, EventAction.EXECUTE, matches=len(page.steps))
        return page

    async def show(self, request: Request) -> ListedStep:
        """Return the step of the path."""
        restrictions = await self.restrictions(request, AccessAction.QUERY)
        listed = await self._known(request, restrictions)
        await self.context.record(request, SEARCHED, EventAction.READ, step=listed.number)
        return listed

    async def add(self, request: Request, steps: Sequence[Step]) -> tuple[int, ...]:
        """Put steps on the list, all or none, and return their numbers."""
        restrictions = await self.restrictions(request, AccessAction.WORKFLOW)
        wanted = {step.identity for step in steps}
        known = await self._of_same_studies(steps) if restrictions else []
        for step in (*steps, *(each.step for each in known if each.step.identity in wanted)):
            _require(step, restrictions)
        patients = ", ".join(sorted({step.patient_id for step in steps}))
        await self.context.record(request, CHANGED, EventAction.CREATE, do="add", patients=patients)
        await self.worklist.put(steps, "web")
        numbers = {s.step.identity: s.number for s in await self._of_same_studies(steps)}
        return tuple(numbers[step.identity] for step in steps)

    async def cancel(self, request: Request) -> int:
        """Take the step of the path off the list, and return its number."""
        restrictions = await self.restrictions(request, AccessAction.WORKFLOW)
        listed = await self._known(request, restrictions)
        if listed.step.state in ENDED:
            raise HttpError(409, f"the step is {listed.step.state}")
        await self.context.record(
            request, CHANGED, EventAction.UPDATE, do="cancel", step=listed.number,
            patients=listed.step.patient_id,
        )  # fmt: skip
        await self.worklist.set_state(listed.number, StepState.CANCELED)
        return listed.number

    async def restrictions(self, request: Request, action: AccessAction) -> tuple[Restriction, ...]:
        """Return what steps exist for whoever asks; raise AccessDeniedError if none can."""
        return await restrictions_of(self.context.node, action, self.context.origin_of(request))

    async def _known(self, request: Request, restrictions: tuple[Restriction, ...]) -> ListedStep:
        """Return the step of the path. HttpError 404 if it does not exist for whoever asks."""
        text = request.path_params["number"]
        if text.isascii() and text.isdigit() and len(text) < 19:
            try:
                listed = await self.worklist.find(int(text))
            except KeyError:
                pass
            else:
                if is_admitted(listed.step, restrictions):
                    return listed
        raise HttpError(404, "there is no such step")

    async def _of_same_studies(self, steps: Sequence[Step]) -> list[ListedStep]:
        found: list[ListedStep] = []
        for uid in sorted({texts(step.attributes, STUDY_UID)[0] for step in steps}):
            page = await self._find(of_study(uid), (), _ALL, with_ended=True)
            found += page.steps
        return found

    async def _find(
        self,
        conditions: Sequence[Condition],
        restrictions: tuple[Restriction, ...],
        limit: int,
        *,
        with_ended: bool,
        after: int | None = None,
    ) -> StepPage:
        found: list[ListedStep] = []
        steps = self.worklist.search(
            conditions, with_ended=with_ended, restrictions=restrictions, after=after
        )
        async with closing(steps) as all_steps:
            async for listed in all_steps:
                if len(found) == limit:
                    return StepPage(tuple(found), has_more=True)
                found.append(listed)
        return StepPage(tuple(found), has_more=False)


def read_after(text: str) -> int | None:
    """Return the step after which a page begins; None if it is the first. HttpError 400."""
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise HttpError(400, "after: the number of a step")
    return int(text) if text else None


def _require(step: Step, restrictions: Sequence[Restriction]) -> None:
    if not is_admitted(step, restrictions):
        raise AccessDeniedError("the step is not one that may be scheduled")
