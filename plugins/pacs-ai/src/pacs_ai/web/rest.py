"""Requests and results as JSON, under ``/api/ai``."""

import json
from typing import Any, Final

from pacs_web.api.http import HttpError, json_response, read_body, read_parameters
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_ai.description import (
    describe_finding,
    describe_request,
    describe_result,
    describe_total,
)
from pacs_ai.models import RequestFilter
from pacs_ai.web.asking import FILTERS, MOST, AskedInferences, read_filter

_LISTED: Final = (*FILTERS, "limit")


def api_routes(asked: AskedInferences) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = AiApi(asked)
    return [
        Route("/requests", api.list_requests),
        Route("/requests", api.ask, methods=["POST"]),
        Route("/requests/{number:int}", api.show_request),
        Route("/requests/{number:int}/cancel", api.cancel, methods=["POST"]),
        Route("/results", api.list_results),
        Route("/results/{number:int}", api.show_result),
        Route("/results/{number:int}/findings", api.list_findings),
        Route("/results/{number:int}/assess", api.assess, methods=["POST"]),
        Route("/results/{number:int}/{act}", api.settle, methods=["POST"]),
        Route("/totals", api.totals),
    ]


class AiApi:
    """The API of requests and results.

    Parameters
    ----------
    asked : AskedInferences
    """

    def __init__(self, asked: AskedInferences) -> None:
        self._asked = asked

    async def list_requests(self, request: Request) -> Response:
        """List requests, the latest first."""
        found = await self._asked.requests(request, *_read_listed(request))
        await self._asked.record_view(request)
        return json_response({"requests": [describe_request(each, inputs=False) for each in found]})

    async def list_results(self, request: Request) -> Response:
        """List results, the latest first."""
        found = await self._asked.results(request, *_read_listed(request))
        await self._asked.record_view(request)
        return json_response({"results": [describe_result(each) for each in found]})

    async def show_request(self, request: Request) -> Response:
        """Show a request, with its inputs and results."""
        found, results = await self._asked.find(request)
        await self._asked.record_view(request, request=found.number)
        described = [describe_result(each) for each in results]
        return json_response(describe_request(found) | {"results": described})

    async def show_result(self, request: Request) -> Response:
        """Show a result."""
        found = await self._asked.find_result(request)
        await self._asked.record_view(request, result=found.number)
        return json_response(describe_result(found))

    async def list_findings(self, request: Request) -> Response:
        """List the findings of a result, and what is thought of each."""
        found = await self._asked.findings(request)
        await self._asked.record_view(request, result=request.path_params["number"])
        return json_response({"findings": [describe_finding(each) for each in found]})

    async def totals(self, request: Request) -> Response:
        """Count requests, results and assessments by service and version."""
        found = await self._asked.totals(request)
        await self._asked.record_view(request)
        return json_response({"totals": [describe_total(each) for each in found]})

    async def ask(self, request: Request) -> Response:
        """Have a service asked about a study."""
        given = await _read_object(request, {"service", "study", "series", "priority", "again"})
        series, priority = given.get("series") or [], given.get("priority") or 0
        if not isinstance(series, list) or type(priority) is not int:
            raise HttpError(400, "series is a list of UIDs, priority a number")
        found = await self._asked.ask(
            request,
            str(given.get("service", "")),
            str(given.get("study", "")),
            series=[str(each) for each in series],
            priority=priority,
            again=given.get("again") is True,
        )
        described = [describe_request(each, inputs=False) for each in found]
        return json_response({"requests": described}, 202)

    async def cancel(self, request: Request) -> Response:
        """Cancel a request."""
        await read_body(request, 10_000)
        return json_response(describe_request(await self._asked.cancel(request)))

    async def settle(self, request: Request) -> Response:
        """Archive, or delete, a result that is in quarantine."""
        await read_body(request, 10_000)
        act = request.path_params["act"]
        if act not in {"release", "discard"}:
            raise HttpError(404, "results are released, discarded or assessed")
        return json_response(describe_result(await self._asked.settle(request, act)))

    async def assess(self, request: Request) -> Response:
        """Accept, modify or reject a result, or one of its findings."""
        given = await _read_object(request, {"assessment", "comment", "finding"})
        assessment, comment, finding = (
            str(given.get(name, "")) for name in ("assessment", "comment", "finding")
        )
        if "finding" in given and not finding:
            raise HttpError(400, "finding: a UID, or the number of a segment")
        found = await self._asked.assess(request, assessment, comment, finding)
        return json_response(describe_result(found))


def _read_listed(request: Request) -> tuple[RequestFilter, int]:
    given = read_parameters(request, _LISTED)
    limit = given.get("limit", "50")
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 5 and 0 < int(limit) <= MOST):
        raise HttpError(400, f"limit: a number from 1 to {MOST}")
    return read_filter(given), int(limit)


async def _read_object(request: Request, known: set[str]) -> dict[str, Any]:
    try:
        found = json.loads(await read_body(request, 100_000))
    except (ValueError, RecursionError) as error:
        raise HttpError(400, f"the body is no JSON: {error}") from error
    if not isinstance(found, dict) or found.keys() - known:
        raise HttpError(400, f"the body is an object with {', '.join(sorted(known))}")
    return found
