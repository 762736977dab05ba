"""Pages of performed steps: the list, and a page for each."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from attrs import frozen
from pacs_web.api import PageFrame
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_core.api.attribute_lists import first, lines
from pacs_core.dataset import keyword_of, tag_of
from pacs_sop_mpps.searching import read_conditions
from pacs_sop_mpps.steps import ENDED, PATIENT_ID, PerformedState, PerformedStep
from pacs_sop_mpps.web.desk import StepDesk, StepPage
from pacs_sop_mpps.web.rest import read_state

_SIZE: Final = 100
_SEARCHED: Final = (
    "PatientName", "PatientID", "AccessionNumber", "Modality", "PerformedStationAETitle",
)  # fmt: skip
STATES: Final[Mapping[PerformedState, str]] = {
    PerformedState.IN_PROGRESS: "In progress",
    PerformedState.COMPLETED: "Completed",
    PerformedState.DISCONTINUED: "Discontinued",
}
"""What states are called, in English."""

_NAME, _BIRTH_DATE = tag_of("PatientName"), tag_of("PatientBirthDate")
_MODALITY, _STATION = tag_of("Modality"), tag_of("PerformedStationAETitle")
_DESCRIPTION = tag_of("PerformedProcedureStepDescription")
_DATE = tag_of("PerformedProcedureStepStartDate")
_TIME = tag_of("PerformedProcedureStepStartTime")
_END_DATE = tag_of("PerformedProcedureStepEndDate")
_END_TIME = tag_of("PerformedProcedureStepEndTime")


@frozen
class Row:
    """A step as the list shows it."""

    instance: str
    start: str
    end: str
    name: str
    patient_id: str
    birth_date: str
    modality: str
    station: str
    description: str
    accessions: str
    state: PerformedState


def page_routes(desk: StepDesk) -> list[BaseRoute]:
    """Return the routes of the pages."""
    pages = StepPages(desk)
    routes = [
        Route("/", pages.list),
        Route("/{instance}", pages.show),
        Route("/{instance}/discontinue", pages.discontinue, methods=["POST"]),
    ]
    shown = pages.renderer.with_problems
    return [Route(each.path, shown(each.endpoint), methods=each.methods) for each in routes]


class StepPages:
    """The pages of performed steps."""

    def __init__(self, desk: StepDesk) -> None:
        self._desk = desk
        frame = desk.context.node.find(PageFrame)
        self.renderer = frame.renderer(desk.context, Path(__file__).parent)

    async def list(self, request: Request) -> Response:
        """Show the steps that match; to HTMX, the table alone."""
        given = {name: value.strip() for name, value in request.query_params.items() if value}
        problem, page = "", StepPage((), has_more=False)
        try:
            page = await self._desk.search(
                request,
                read_conditions(_keys(given)),
                _SIZE,
                state=read_state(given.get("state", "")),
                before=given.get("before", ""),
            )
        except ValueError as error:  # half a date, as long as it is being typed
            problem = str(error)
        except HttpError as error:
            if error.status != 400:
                raise
            problem = str(error)
        older = {**given, "before": page.steps[-1].instance_uid} if page.has_more else {}
        is_part = request.headers.get("hx-target") == "results"
        return self.renderer.page(
            request,
            "_steps.html" if is_part else "mpps.html",
            rows=[_row(step) for step in page.steps],
            given=given,
            problem=problem,
            states=STATES,
            older=f"?{urlencode(older)}" if older else "",
        )

    async def show(self, request: Request) -> Response:
        """Show a step with all of its attributes."""
        step = await self._desk.show(request)
        made = len({uid for series in step.series for uid in series.instances})
        missing = await self._desk.missing(request, step)
        return self.renderer.page(
            request,
            "step.html",
            row=_row(step),
            step=step,
            created=datetime.fromtimestamp(step.created, UTC),
            changed=datetime.fromtimestamp(step.changed, UTC),
            made=made,
            stored=None if missing is None else made - missing,
            states=STATES,
            attributes=list(lines(step.attributes)),
            may_discontinue=step.state not in ENDED,
        )

    async def discontinue(self, request: Request) -> Response:
        """Discontinue a step whose modality has failed."""
        await self.renderer.form(request)
        step = await self._desk.discontinue(request)
        base = self._desk.context.base_path(request)
        return RedirectResponse(f"{base}/ui/mpps/{step.instance_uid}", 303)


def _keys(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in _SEARCHED:
        if value := given.get(name, ""):
            yield name, f"{value}*" if name == "PatientName" else value
    days = [given.get(name, "").replace("-", "") for name in ("from", "to")]
    if any(days):
        yield keyword_of(_DATE), "-".join(days)


def _row(step: PerformedStep) -> Row:
    said = step.attributes
    accessions = dict.fromkeys(each.accession_number for each in step.scheduled)
    return Row(
        step.instance_uid,
        _moment(first(said, _DATE), first(said, _TIME)),
        _moment(first(said, _END_DATE), first(said, _END_TIME)),
        first(said, _NAME),
        first(said, PATIENT_ID),
        first(said, _BIRTH_DATE),
        first(said, _MODALITY),
        first(said, _STATION),
        first(said, _DESCRIPTION),
        ", ".join(filter(None, accessions)),
        step.state,
    )


def _moment(date: str, time: str) -> str:
    day = f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 else date
    return f"{day} {time[:2]}:{time[2:4]}".strip() if len(time) >= 4 else f"{day} {time}".strip()
