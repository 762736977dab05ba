"""Pages of jobs: the list, which is kept up to date while it is open, and a page for each."""

import json
from pathlib import Path
from urllib.parse import urlencode

from pacs_web.api import PageFrame
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_jobs.jobs import JobState
from pacs_jobs.web.desk import ENDED, VIEWED, JobDesk, JobPage, read_filter, read_purge

_SIZE = 50
_GIVEN = ("state", "kind", "key", "before")
STATES = {
    JobState.WAITING: "Waiting",
    JobState.RUNNING: "Running",
    JobState.SUCCEEDED: "Succeeded",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
}
"""What states are called, in English."""


def page_routes(desk: JobDesk) -> list[BaseRoute]:
    """Return the routes of the pages."""
    pages = JobPages(desk)
    routes = [
        Route("/", pages.list),
        Route("/purge", pages.purge, methods=["POST"]),
        Route("/{number}", pages.show),
        Route("/{number}/retry", pages.retry, methods=["POST"]),
        Route("/{number}/cancel", pages.cancel, methods=["POST"]),
    ]
    shown = pages.renderer.with_problems
    return [Route(each.path, shown(each.endpoint), methods=each.methods) for each in routes]


class JobPages:
    """The pages of jobs."""

    def __init__(self, desk: JobDesk) -> None:
        self._desk = desk
        frame = desk.context.node.find(PageFrame)
        self.renderer = frame.renderer(desk.context, Path(__file__).parent)

    async def list(self, request: Request) -> Response:
        """Show jobs; to HTMX, which asks every other second, the table alone."""
        given = {n: request.query_params[n] for n in _GIVEN if request.query_params.get(n)}
        problem, page = "", JobPage((), has_more=False)
        try:
            page = await self._desk.list(request, read_filter(given), _SIZE)
        except HttpError as error:
            if error.status != 400:
                raise
            problem = str(error)
        is_part = request.headers.get("hx-target") == "jobs"
        if not is_part:
            await self._desk.context.record(request, VIEWED)
        forgotten = request.query_params.get("forgotten", "")
        return self.renderer.page(
            request,
            "_jobs.html" if is_part else "jobs.html",
            found=page,
            given=given,
            problem=problem,
            states=STATES,
            ended=ENDED,
            forgotten=forgotten if forgotten.isdigit() and len(forgotten) < 10 else "",
            here=_query(given),
            older=_query({**given, "before": str(page.jobs[-1].number)}) if page.has_more else "",
        )

    async def show(self, request: Request) -> Response:
        """Show a job; to HTMX, what changes of it."""
        job = await self._desk.show(request)
        is_part = request.headers.get("hx-target") == "job"
        if not is_part:
            await self._desk.context.record(request, VIEWED, job=job.number)
        return self.renderer.page(
            request,
            "_job.html" if is_part else "job.html",
            job=job,
            states=STATES,
            arguments={
                name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                for name, value in job.arguments.items()
            },
        )

    async def retry(self, request: Request) -> Response:
        """Let a job wait again."""
        await self.renderer.form(request)
        return self._to_page(request, (await self._desk.retry(request)).number)

    async def cancel(self, request: Request) -> Response:
        """Cancel a job."""
        await self.renderer.form(request)
        return self._to_page(request, (await self._desk.cancel(request)).number)

    async def purge(self, request: Request) -> Response:
        """Forget jobs that have ended."""
        form = await self.renderer.form(request)
        count = await self._desk.purge(request, read_purge(form))
        base = self._desk.context.base_path(request)
        return RedirectResponse(f"{base}/ui/jobs/?forgotten={count}", 303)

    def _to_page(self, request: Request, number: int) -> Response:
        base = self._desk.context.base_path(request)
        return RedirectResponse(f"{base}/ui/jobs/{number}", 303)


def _query(given: dict[str, str]) -> str:
    return f"?{urlencode(given)}" if given else ""
