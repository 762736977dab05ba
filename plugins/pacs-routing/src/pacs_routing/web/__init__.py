"""Routes over HTTP and in the browser: API under ``/api/routes``, pages under ``/ui/routes``.

What needs Starlette is imported when the web server asks for the routes.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacs_web.api import NavigationEntry, PageFrame, WebContext, WebRoutesDescriptor

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def web_routes() -> list[WebRoutesDescriptor]:
    """Return the descriptors of API and pages."""
    page = NavigationEntry("Routes", "/ui/routes/", "routes", 72, {"de": "Wege"})
    return [
        WebRoutesDescriptor("routes-api", _create_api, "/api/routes", "Routes", openapi=_describe),
        WebRoutesDescriptor("routes-pages", _create_pages, "/ui/routes", "Routes", (page,)),
    ]


def _create_api(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_routing.web.desk import RouteDesk
    from pacs_routing.web.rest import api_routes

    return api_routes(RouteDesk(context))


def _create_pages(context: WebContext) -> "Sequence[BaseRoute]":
    if not context.node.capabilities.provides(PageFrame):
        return []
    from pacs_routing.web.desk import RouteDesk
    from pacs_routing.web.pages import page_routes

    return page_routes(RouteDesk(context))


def _describe(context: WebContext) -> Mapping[str, Any]:
    from pacs_routing.web.openapi import describe_api

    return describe_api()
