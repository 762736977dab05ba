"""Requests and results as JSON.

Who may look at them is asked for ``ai.inspect``, who has services asked, results released and
requests cancelled for ``ai.steer``, and who assesses for ``ai.assess``.
"""

import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final, TypeVar

from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, json_response, read_body
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_ai.access import ASSESS
from pacs_ai.description import describe_request, describe_result, describe_total
from pacs_ai.desk import STEERED, VIEWED, AiDesk
from pacs_ai.interface import Inferences
from pacs_ai.models import Assessment, RequestFilter
from pacs_core.contracts import AuditValue, EventAction, PluginAuditKind
from pacs_core.dimse import is_valid_uid

INSPECT: Final = "ai.inspect"
STEER: Final = "ai.steer"
_MOST: Final = 1000
_LISTED: Final = frozenset({"service", "study", "request", "state", "limit"})

T = TypeVar("T")


def api_routes(context: WebContext) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = AiApi(context)
    return [
        Route("/requests", api.list_requests),
        Route("/requests", api.ask, methods=["POST"]),
        Route("/requests/{number:int}", api.show_request),
        Route("/requests/{number:int}/cancel", api.cancel, methods=["POST"]),
        Route("/results", api.list_results),
        Route("/results/{number:int}", api.show_result),
        Route("/results/{number:int}/release", api.release, methods=["POST"]),
        Route("/results/{number:int}/discard", api.discard, methods=["POST"]),
        Route("/results/{number:int}/assess", api.assess, methods=["POST"]),
        Route("/totals", api.totals),
    ]


class AiApi:
    """The API of requests and results.

    Parameters
    ----------
    context : WebContext
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._inferences = context.node.find(Inferences)
        self._desk = context.node.find(AiDesk)

    async def list_requests(self, request: Request) -> Response:
        """List requests, the latest first."""
        await self._enter(request, INSPECT, VIEWED)
        wanted, limit = _read_filter(request)
        found = await _take(self._inferences.requests(wanted, limit))
        return json_response({"requests": [describe_request(each, inputs=False) for each in found]})

    async def list_results(self, request: Request) -> Response:
        """List results, the latest first."""
        await self._enter(request, INSPECT, VIEWED)
        wanted, limit = _read_filter(request)
        found = await _take(self._inferences.results(wanted, limit))
        return json_response({"results": [describe_result(each) for each in found]})

    async def show_request(self, request: Request) -> Response:
        """Show a request, with its inputs and results."""
        number = request.path_params["number"]
        await self._enter(request, INSPECT, VIEWED, request=number)
        found = await _known(self._inferences.find(number))
        results = await _take(self._inferences.results(RequestFilter(request=number), _MOST))
        described = [describe_result(each) for each in results]
        return json_response(describe_request(found) | {"results": described})

    async def show_result(self, request: Request) -> Response:
        """Show a result."""
        number = request.path_params["number"]
        await self._enter(request, INSPECT, VIEWED, result=number)
        return json_response(describe_result(await _known(self._inferences.find_result(number))))

    async def totals(self, request: Request) -> Response:
        """Count requests, results and assessments by service and version."""
        await self._enter(request, INSPECT, VIEWED)
        return json_response(
            {"totals": [describe_total(e) for e in await self._inferences.totals()]}
        )

    async def ask(self, request: Request) -> Response:
        """Have a service asked about a study."""
        given = await _read_object(request, {"service", "study", "series", "priority", "again"})
        service, study = str(given.get("service", "")), str(given.get("study", ""))
        series, priority = given.get("series") or [], given.get("priority") or 0
        if not is_valid_uid(study) or not isinstance(series, list) or type(priority) is not int:
            raise HttpError(400, "study is a UID, series a list of such, priority a number")
        await self._enter(request, STEER, STEERED, do="ask", service=service, study=study)
        try:
            found = await self._inferences.ask(
                service,
                study,
                series_uids=[str(each) for each in series],
                priority=priority,
                asked_by=self._name(request),
                again=given.get("again") is True,
            )
        except LookupError as error:
            raise HttpError(404, str(error)) from error
        return json_response(
            {"requests": [describe_request(each, inputs=False) for each in found]}, 202
        )

    async def cancel(self, request: Request) -> Response:
        """Cancel a request."""
        number = request.path_params["number"]
        await read_body(request, 10_000)
        await self._enter(request, STEER, STEERED, do="cancel", request=number)
        found = await _known(self._inferences.cancel(number, self._name(request)))
        return json_response(describe_request(found))

    async def release(self, request: Request) -> Response:
        """Archive a result that is in quarantine."""
        await read_body(request, 10_000)
        await self._context.require(request, STEER)
        number, origin = request.path_params["number"], self._context.origin_of(request)
        return json_response(
            describe_result(await _known(self._inferences.release(number, origin)))
        )

    async def discard(self, request: Request) -> Response:
        """Delete a result that is in quarantine."""
        await read_body(request, 10_000)
        await self._context.require(request, STEER)
        number, origin = request.path_params["number"], self._context.origin_of(request)
        return json_response(
            describe_result(await _known(self._inferences.discard(number, origin)))
        )

    async def assess(self, request: Request) -> Response:
        """Accept, modify or reject a result."""
        given = await _read_object(request, {"assessment", "comment"})
        await self._context.require(request, ASSESS)
        known = [str(each) for each in Assessment if each]
        if given.get("assessment") not in known:
            raise HttpError(400, f"assessment is one of {', '.join(known)}")
        number, origin = request.path_params["number"], self._context.origin_of(request)
        assessment, comment = Assessment(given["assessment"]), str(given.get("comment", ""))
        acts = self._inferences.assess(number, assessment, origin, comment=comment)
        return json_response(describe_result(await _known(acts)))

    async def _enter(
        self, request: Request, action: str, kind: PluginAuditKind, /, **details: AuditValue
    ) -> None:
        """Check that whoever asks may, and record that they did. AccessDeniedError."""
        await self._context.require(request, action)
        origin = self._context.origin_of(request)
        act = EventAction.READ if kind is VIEWED else EventAction.EXECUTE
        await self._desk.record(kind, None, details, origin=origin, action=act)

    def _name(self, request: Request) -> str:
        origin = self._context.origin_of(request)
        return origin.user or origin.host


def _read_filter(request: Request) -> tuple[RequestFilter, int]:
    given = request.query_params
    if unknown := set(given) - _LISTED:
        raise HttpError(400, f"{min(unknown)[:80]!r} is no parameter: {', '.join(sorted(_LISTED))}")
    number, limit = given.get("request", "0"), given.get("limit", "50")
    if not number.isdecimal() or not limit.isdecimal() or not 0 < int(limit) <= _MOST:
        raise HttpError(400, f"request is a number, limit one from 1 to {_MOST}")
    states = tuple(filter(None, given.get("state", "").split(",")))
    wanted = RequestFilter(given.get("service", ""), given.get("study", ""), int(number), states)
    return wanted, int(limit)


async def _read_object(request: Request, known: set[str]) -> dict[str, Any]:
    try:
        found = json.loads(await read_body(request, 100_000))
    except ValueError as error:
        raise HttpError(400, f"the body is no JSON: {error}") from error
    if not isinstance(found, dict) or found.keys() - known:
        raise HttpError(400, f"the body is an object with {', '.join(sorted(known))}")
    return found


async def _take(found: AsyncIterator[T]) -> list[T]:
    return [each async for each in found]


async def _known(found: Awaitable[T]) -> T:
    try:
        return await found
    except KeyError:
        raise HttpError(404, "there is none with this number") from None
    except ValueError as error:
        raise HttpError(409, str(error)) from error
