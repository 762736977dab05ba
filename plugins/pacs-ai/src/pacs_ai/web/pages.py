"""Pages of services: requests, results and what is thought of them, quarantine, and numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from pacs_web.api import PageFrame
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_ai.description import moment
from pacs_ai.desk import AiDesk
from pacs_ai.findings import FATAL, Finding
from pacs_ai.models import (
    LIVE,
    Assessment,
    InferenceResult,
    RequestFilter,
    RequestState,
    ResultState,
)
from pacs_ai.web.asking import FILTERS, AskedInferences, read_filter
from pacs_core.dimse import is_valid_uid

_SIZE: Final = 50
REQUEST_STATES: Final[Mapping[RequestState, str]] = {
    RequestState.WAITING: "Waiting",
    RequestState.ASKED: "Asked",
    RequestState.ANSWERED: "Answered",
    RequestState.FAILED: "Failed",
    RequestState.CANCELLED: "Cancelled",
}
RESULT_STATES: Final[Mapping[ResultState, str]] = {
    ResultState.ARCHIVED: "Archived",
    ResultState.QUARANTINED: "In quarantine",
    ResultState.RELEASED: "Released",
    ResultState.DISCARDED: "Discarded",
}
ASSESSMENTS: Final[Mapping[Assessment, str]] = {
    Assessment.NONE: "Not assessed",
    Assessment.ACCEPTED: "Accepted",
    Assessment.MODIFIED: "Accepted with modifications",
    Assessment.REJECTED: "Rejected",
}
"""What states and assessments are called, in English."""
_KEPT: Final = frozenset({ResultState.ARCHIVED, ResultState.RELEASED})


def page_routes(asked: AskedInferences) -> list[BaseRoute]:
    """Return the routes of the pages."""
    pages = AiPages(asked)
    routes = [
        Route("/", pages.list_requests),
        Route("/results", pages.list_results),
        Route("/totals", pages.totals),
        Route("/requests/{number:int}", pages.show_request),
        Route("/requests/{number:int}/cancel", pages.cancel, methods=["POST"]),
        Route("/results/{number:int}", pages.show_result),
        Route("/results/{number:int}/assess", pages.assess, methods=["POST"]),
        Route("/results/{number:int}/release", pages.release, methods=["POST"]),
        Route("/results/{number:int}/discard", pages.discard, methods=["POST"]),
        Route("/studies/{study}", pages.study),
        Route("/studies/{study}", pages.ask, methods=["POST"]),
    ]
    shown = pages.renderer.with_problems
    return [Route(each.path, shown(each.endpoint), methods=each.methods) for each in routes]


class AiPages:
    """The pages of requests and results.

    Parameters
    ----------
    asked : AskedInferences
    """

    def __init__(self, asked: AskedInferences) -> None:
        self._asked = asked
        node = asked.context.node
        self._config = node.find(AiDesk).config
        self.renderer = node.find(PageFrame).renderer(asked.context, Path(__file__).parent)

    async def list_requests(self, request: Request) -> Response:
        """Show requests; to HTMX, which asks again and again, the table alone."""
        is_part = request.headers.get("hx-target") == "requests"
        wanted, given, problem = _read(request)
        found = await self._asked.requests(request, wanted, _SIZE + 1)
        if not is_part:
            await self._asked.record_view(request)
        return self._page(
            request,
            "_ai_requests.html" if is_part else "ai_requests.html",
            requests=found[:_SIZE],
            problem=problem,
            given=given,
            here=f"?{urlencode(given)}" if given else "",
            older=_older(given, found[_SIZE - 1].number) if len(found) > _SIZE else "",
        )

    async def list_results(self, request: Request) -> Response:
        """Show results."""
        wanted, given, problem = _read(request)
        found = await self._asked.results(request, wanted, _SIZE + 1)
        await self._asked.record_view(request)
        return self._page(
            request,
            "ai_results.html",
            results=found[:_SIZE],
            problem=problem,
            given=given,
            older=_older(given, found[_SIZE - 1].number) if len(found) > _SIZE else "",
        )

    async def totals(self, request: Request) -> Response:
        """Show numbers by service and version."""
        totals = await self._asked.totals(request)
        await self._asked.record_view(request)
        return self._page(request, "ai_totals.html", totals=totals)

    async def show_request(self, request: Request) -> Response:
        """Show a request, what it was about, and its results."""
        found, results = await self._asked.find(request)
        await self._asked.record_view(request, request=found.number)
        may_cancel = found.state in LIVE
        return self._page(
            request, "ai_request.html", found=found, results=results, may_cancel=may_cancel
        )

    async def show_result(self, request: Request) -> Response:
        """Show a result: where it came from, what is wrong, and what is thought of it."""
        found = await self._asked.find_result(request)
        await self._asked.record_view(request, result=found.number)
        return self._page(
            request,
            "ai_result.html",
            found=found,
            findings=await self._asked.findings(request),
            is_kept=found.state in _KEPT,
            is_quarantined=found.state is ResultState.QUARANTINED,
            may_release=not _is_fatal(found),
        )

    async def study(self, request: Request) -> Response:
        """Show what services were asked about a study, and let them be asked."""
        study = _study_of(request)
        requests = await self._asked.requests(request, RequestFilter(study_uid=study), _SIZE)
        results = await self._asked.results(request, RequestFilter(study_uid=study), _SIZE)
        await self._asked.record_view(request, study=study)
        return self._page(
            request, "ai_study.html", study=study, requests=requests, results=results, older=""
        )

    async def ask(self, request: Request) -> Response:
        """Have a service asked about a study."""
        form, study = await self.renderer.form(request), _study_of(request)
        again = form.get("again") == "on"
        await self._asked.ask(request, form.get("service", ""), study, again=again)
        return self._to(request, f"studies/{quote(study)}")

    async def cancel(self, request: Request) -> Response:
        """Cancel a request."""
        await self.renderer.form(request)
        found = await self._asked.cancel(request)
        return self._to(request, f"requests/{found.number}")

    async def release(self, request: Request) -> Response:
        """Archive a result that is in quarantine."""
        return await self._settle(request, "release")

    async def discard(self, request: Request) -> Response:
        """Delete a result that is in quarantine."""
        return await self._settle(request, "discard")

    async def assess(self, request: Request) -> Response:
        """Accept, modify or reject a result."""
        form = await self.renderer.form(request)
        assessment, comment = form.get("assessment", ""), form.get("comment", "").strip()
        finding = form.get("finding", "")
        found = await self._asked.assess(request, assessment, comment, finding)
        return self._to(request, f"results/{found.number}")

    async def _settle(self, request: Request, act: str) -> Response:
        await self.renderer.form(request)
        found = await self._asked.settle(request, act)
        return self._to(request, f"results/{found.number}")

    def _page(self, request: Request, template: str, **values: Any) -> Response:
        return self.renderer.page(
            request,
            template,
            services=sorted(self._config.services),
            request_states=REQUEST_STATES,
            result_states=RESULT_STATES,
            assessments=ASSESSMENTS,
            moment=moment,
            **values,
        )

    def _to(self, request: Request, path: str) -> Response:
        return RedirectResponse(f"{self._asked.context.base_path(request)}/ui/ai/{path}", 303)


def _read(request: Request) -> tuple[RequestFilter, dict[str, str], str]:
    """Return what is wanted, what was given, and what is wrong with that."""
    given = {n: request.query_params[n] for n in FILTERS if request.query_params.get(n)}
    try:
        return read_filter(given), given, ""
    except HttpError as error:
        return RequestFilter(), given, str(error)


def _older(given: Mapping[str, str], number: int) -> str:
    return f"?{urlencode({**given, 'before': str(number)})}"


def _is_fatal(result: InferenceResult) -> bool:
    return any(Finding.read(each).fault in FATAL for each in result.reasons)


def _study_of(request: Request) -> str:
    study: str = request.path_params["study"]
    if not is_valid_uid(study):
        raise HttpError(404, "there is no such study")
    return study
