"""Page of routes: what was sent, waits and failed, and single deliveries."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from pacs_web.api import PageFrame
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_routing.description import moment
from pacs_routing.interface import DeliveryState
from pacs_routing.web.desk import MEANT, DeliveryPage, RouteDesk, read_filter

_SIZE = 50
_GIVEN = (*MEANT, "state", "before")
STATES = {
    DeliveryState.WAITING: "Waiting",
    DeliveryState.SENT: "Sent",
    DeliveryState.COMMITTED: "Committed",
    DeliveryState.FAILED: "Failed",
    DeliveryState.CANCELLED: "Cancelled",
    DeliveryState.GONE: "Gone",
}
"""What states are called, in English."""


def page_routes(desk: RouteDesk) -> list[BaseRoute]:
    """Return the routes of the pages."""
    pages = RoutePages(desk)
    routes = [
        Route("/", pages.list),
        Route("/retry", pages.retry, methods=["POST"]),
        Route("/cancel", pages.cancel, methods=["POST"]),
    ]
    shown = pages.renderer.with_problems
    return [Route(each.path, shown(each.endpoint), methods=each.methods) for each in routes]


class RoutePages:
    """The page of routes."""

    def __init__(self, desk: RouteDesk) -> None:
        self._desk = desk
        frame = desk.context.node.find(PageFrame)
        self.renderer = frame.renderer(desk.context, Path(__file__).parent)

    async def list(self, request: Request) -> Response:
        """Show routes and deliveries; to HTMX, which asks again and again, the tables alone."""
        given = {n: request.query_params[n] for n in _GIVEN if request.query_params.get(n)}
        problem, page = "", DeliveryPage()
        try:
            page = await self._desk.list(request, read_filter(given), _SIZE)
        except HttpError as error:
            if error.status != 400:
                raise
            problem = str(error)
        is_part = request.headers.get("hx-target") == "routes"
        if not is_part:
            await self._desk.record_view(request)
        older = {**given, "before": str(page.deliveries[-1].number)} if page.has_more else {}
        return self.renderer.page(
            request,
            "_routes.html" if is_part else "routes.html",
            totals=await self._desk.totals(request),
            found=page.deliveries,
            given=given,
            problem=problem,
            states=STATES,
            moment=moment,
            here=f"?{urlencode(given)}" if given else "",
            older=f"?{urlencode(older)}" if older else "",
        )

    async def retry(self, request: Request) -> Response:
        """Try deliveries again."""
        form = await self.renderer.form(request)
        await self._desk.retry(request, read_filter({n: form.get(n, "") for n in MEANT}))
        return self._to_list(request, form)

    async def cancel(self, request: Request) -> Response:
        """Let deliveries not be made."""
        form = await self.renderer.form(request)
        await self._desk.cancel(request, read_filter({n: form.get(n, "") for n in MEANT}))
        return self._to_list(request, form)

    def _to_list(self, request: Request, form: Mapping[str, str]) -> Response:
        base = self._desk.context.base_path(request)
        shown = {name: form[name] for name in ("peer", "rule", "study") if form.get(name)}
        return RedirectResponse(f"{base}/ui/routes/?{urlencode(shown)}", 303)
