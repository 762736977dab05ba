"""Routes and deliveries as JSON, under ``/api/routes``."""

from pacs_web.api.http import json_response, read_body, read_parameters
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_routing.description import describe_delivery, describe_total
from pacs_routing.web.desk import MEANT, MOST, RouteDesk, read_filter, read_integer

LISTED = (*MEANT, "state", "before", "limit")


def api_routes(desk: RouteDesk) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = RoutesApi(desk)
    return [
        Route("/", api.totals),
        Route("/deliveries", api.list),
        Route("/retry", api.retry, methods=["POST"]),
        Route("/cancel", api.cancel, methods=["POST"]),
    ]


class RoutesApi:
    """The API of routes."""

    def __init__(self, desk: RouteDesk) -> None:
        self._desk = desk

    async def totals(self, request: Request) -> Response:
        """Tell the rules, and how many deliveries there are of each route and state."""
        totals = await self._desk.totals(request)
        await self._desk.record_view(request)
        rules = [
            {"rule": rule.name, "on": rule.config.on, "to": list(rule.config.to)}
            for rule in self._desk.routes.rules
        ]
        return json_response({"rules": rules, "totals": [describe_total(each) for each in totals]})

    async def list(self, request: Request) -> Response:
        """List deliveries, latest first."""
        given = read_parameters(request, LISTED)
        limit = read_integer(given, "limit", 50, 1, MOST)
        page = await self._desk.list(request, read_filter(given), limit)
        await self._desk.record_view(request)
        found = [describe_delivery(each) for each in page.deliveries]
        return json_response({"deliveries": found, "has_more": page.has_more})

    async def retry(self, request: Request) -> Response:
        """Let what failed or was cancelled wait again, and what waits be due now."""
        await read_body(request, 10_000)
        wanted = read_filter(read_parameters(request, MEANT))
        return json_response({"deliveries": await self._desk.retry(request, wanted)})

    async def cancel(self, request: Request) -> Response:
        """Let what waits not be sent any more."""
        await read_body(request, 10_000)
        wanted = read_filter(read_parameters(request, MEANT))
        return json_response({"deliveries": await self._desk.cancel(request, wanted)})
