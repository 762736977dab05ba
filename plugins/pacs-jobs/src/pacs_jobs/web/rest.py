"""Jobs as JSON, under ``/api/jobs``."""

from pacs_web.api.http import json_response, read_body, read_parameters
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_jobs.description import describe
from pacs_jobs.web.desk import MOST, VIEWED, JobDesk, read_filter, read_integer, read_purge

LISTED = ("state", "kind", "key", "before", "limit")
PURGED = ("state", "kind", "older_than")


def api_routes(desk: JobDesk) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = JobsApi(desk)
    return [
        Route("/", api.list),
        Route("/purge", api.purge, methods=["POST"]),
        Route("/{number}", api.show),
        Route("/{number}/retry", api.retry, methods=["POST"]),
        Route("/{number}/cancel", api.cancel, methods=["POST"]),
    ]


class JobsApi:
    """The API of jobs."""

    def __init__(self, desk: JobDesk) -> None:
        self._desk = desk

    async def list(self, request: Request) -> Response:
        """List jobs, latest first."""
        given = read_parameters(request, LISTED)
        wanted, limit = read_filter(given), read_integer(given, "limit", 50, 1, MOST)
        page = await self._desk.list(request, wanted, limit)
        await self._desk.context.record(request, VIEWED)
        return json_response(
            {"jobs": [describe(job) for job in page.jobs], "has_more": page.has_more}
        )

    async def show(self, request: Request) -> Response:
        """Show a job."""
        job = await self._desk.show(request)
        await self._desk.context.record(request, VIEWED, job=job.number)
        return json_response(describe(job))

    async def retry(self, request: Request) -> Response:
        """Let a job that was given up wait again."""
        await read_body(request, 10_000)
        return json_response(describe(await self._desk.retry(request)))

    async def cancel(self, request: Request) -> Response:
        """Cancel a job: it is `cancelled`, or its worker is asked to."""
        await read_body(request, 10_000)
        return json_response(describe(await self._desk.cancel(request)))

    async def purge(self, request: Request) -> Response:
        """Forget jobs that have ended."""
        await read_body(request, 10_000)
        wanted = read_purge(read_parameters(request, PURGED))
        return json_response({"forgotten": await self._desk.purge(request, wanted)})
