"""Pages of the worklist: the list, a page for each step, and a form for a new one."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from attrs import frozen
from pacs_web.api import PageFrame
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_core.api.attribute_lists import lines
from pacs_core.contracts import AccessAction
from pacs_core.dataset import Attributes, keyword_of, tag_of, texts
from pacs_sop_worklist.interface import ListedStep
from pacs_sop_worklist.orders import DESCRIPTION, PATIENT_NAME, make_order
from pacs_sop_worklist.searching import read_conditions
from pacs_sop_worklist.steps import (
    ACCESSION,
    ENDED,
    MODALITY,
    PATIENT_ID,
    START_DATE,
    START_TIME,
    InvalidStepError,
    StepState,
    steps_of,
)
from pacs_sop_worklist.web.desk import StepPage, WorklistDesk, read_after

_SIZE: Final = 100
_SEARCHED: Final = (
    "PatientName", "PatientID", "AccessionNumber", "Modality", "ScheduledStationAETitle",
)  # fmt: skip
STATES: Final[Mapping[StepState, str]] = {
    StepState.SCHEDULED: "Scheduled",
    StepState.ARRIVED: "Arrived",
    StepState.READY: "Ready",
    StepState.STARTED: "Started",
    StepState.DEPARTED: "Departed",
    StepState.COMPLETED: "Completed",
    StepState.DISCONTINUED: "Discontinued",
    StepState.CANCELED: "Cancelled",
}
"""What states are called, in English."""
_BIRTH_DATE: Final = tag_of("PatientBirthDate")


@frozen
class Row:
    """A step as the list shows it."""

    number: int
    start: str
    name: str
    patient_id: str
    birth_date: str
    modality: str
    stations: str
    description: str
    accession: str
    state: StepState


def page_routes(desk: WorklistDesk) -> list[BaseRoute]:
    """Return the routes of the pages."""
    pages = WorklistPages(desk)
    routes = [
        Route("/", pages.list),
        Route("/add", pages.ask),
        Route("/add", pages.add, methods=["POST"]),
        Route("/{number}", pages.show),
        Route("/{number}/cancel", pages.cancel, methods=["POST"]),
    ]
    shown = pages.renderer.with_problems
    return [Route(each.path, shown(each.endpoint), methods=each.methods) for each in routes]


class WorklistPages:
    """The pages of the worklist."""

    def __init__(self, desk: WorklistDesk) -> None:
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
                with_ended=given.get("all") == "on",
                after=read_after(given.get("after", "")),
            )
        except ValueError as error:  # half a date, as long as it is being typed
            problem = str(error)
        except HttpError as error:
            if error.status != 400:
                raise
            problem = str(error)
        later = {**given, "after": str(page.steps[-1].number)} if page.has_more else {}
        is_part = request.headers.get("hx-target") == "results"
        return self.renderer.page(
            request,
            "_steps.html" if is_part else "worklist.html",
            rows=[_row(listed) for listed in page.steps],
            later=f"?{urlencode(later)}" if later else "",
            given=given,
            problem=problem,
            states=STATES,
        )

    async def show(self, request: Request) -> Response:
        """Show a step with all of its attributes."""
        listed = await self._desk.show(request)
        return self.renderer.page(
            request,
            "step.html",
            row=_row(listed),
            listed=listed,
            states=STATES,
            attributes=list(lines(listed.step.answered())),
            may_cancel=listed.step.state not in ENDED,
        )

    async def ask(self, request: Request) -> Response:
        """Show the form for a new step, to those who may add one."""
        await self._desk.restrictions(request, AccessAction.WORKFLOW)
        return self._form(request, {"start": datetime.now().strftime("%Y-%m-%dT%H:%M")})

    async def add(self, request: Request) -> Response:
        """Put a step on the list; what is wrong with it is said in the form."""
        form = await self.renderer.form(request)
        try:
            steps = list(steps_of(_read_order(form)))
        except InvalidStepError as error:
            return self._form(request, form, str(error))
        (number,) = await self._desk.add(request, steps)
        return self._to(request, number)

    async def cancel(self, request: Request) -> Response:
        """Take a step off the list."""
        await self.renderer.form(request)
        return self._to(request, await self._desk.cancel(request))

    def _form(self, request: Request, given: Mapping[str, str], problem: str = "") -> Response:
        return self.renderer.page(
            request, "add.html", 400 if problem else 200, given=given, problem=problem
        )

    def _to(self, request: Request, number: int) -> Response:
        base = self._desk.context.base_path(request)
        return RedirectResponse(f"{base}/ui/worklist/{number}", 303)


def _keys(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in _SEARCHED:
        if value := given.get(name, ""):
            yield name, f"{value}*" if name == "PatientName" else value
    first, last = (given.get(name, "").replace("-", "") for name in ("from", "to"))
    if first or last:
        yield keyword_of(START_DATE), f"{first}-{last}"


def _read_order(form: Mapping[str, str]) -> Attributes:
    """Return the entry that a form describes. InvalidStepError says what is wrong with it."""
    given = {name: value.strip() for name, value in form.items()}
    try:
        start = datetime.fromisoformat(given.get("start", ""))
    except ValueError:
        raise InvalidStepError("start: a date and a time") from None
    names = [given.get(name, "") for name in ("family_name", "given_name")]
    if wrong := [name for name in names if set(name) & set("^=")]:
        raise InvalidStepError(f"a name cannot have ^ or =: {wrong[0]!r:.80}")
    return make_order(
        given.get("patient_id", ""),
        "^".join(names).rstrip("^"),
        given.get("modality", "").upper(),
        start,
        stations=tuple(filter(None, (given.get("station", ""),))),
        accession=given.get("accession", ""),
        description=given.get("description", ""),
        birth_date=given.get("birth_date", "").replace("-", ""),
        sex=given.get("sex", ""),
    )


def _row(listed: ListedStep) -> Row:
    step = listed.step

    def say(where: Attributes, tag: int) -> str:
        return "\\".join(texts(where, tag))

    date, time = say(step.item, START_DATE), say(step.item, START_TIME)
    moment = f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 else date
    moment += f" {time[:2]}:{time[2:4]}" if len(time) >= 4 else f" {time}"
    return Row(
        listed.number,
        moment,
        say(step.attributes, PATIENT_NAME),
        say(step.attributes, PATIENT_ID),
        say(step.attributes, _BIRTH_DATE),
        say(step.item, MODALITY),
        ", ".join(step.stations),
        say(step.item, DESCRIPTION),
        say(step.attributes, ACCESSION),
        step.state,
    )
