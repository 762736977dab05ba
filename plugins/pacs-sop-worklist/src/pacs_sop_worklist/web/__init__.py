"""The worklist over HTTP and in the browser: API at ``/api/worklist``, pages at ``/ui/worklist``.

What needs Starlette is imported when the web server asks for the routes.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacs_web.api import NavigationEntry, PageFrame, WebContext, WebRoutesDescriptor

from pacs_sop_worklist.interface import Worklist

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def web_routes() -> list[WebRoutesDescriptor]:
    """Return the descriptors of API and pages."""
    page = NavigationEntry("Worklist", "/ui/worklist/", "worklist", 20, {"de": "Arbeitsliste"})
    return [
        WebRoutesDescriptor(
            "worklist-api", _create_api, "/api/worklist", "Worklist", openapi=_describe
        ),
        WebRoutesDescriptor("worklist-pages", _create_pages, "/ui/worklist", "Worklist", (page,)),
    ]


def _create_api(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_sop_worklist.web.desk import WorklistDesk
    from pacs_sop_worklist.web.rest import api_routes

    return api_routes(WorklistDesk(context, context.node.find(Worklist)))


def _create_pages(context: WebContext) -> "Sequence[BaseRoute]":
    if not context.node.capabilities.provides(PageFrame):
        return []
    from pacs_sop_worklist.web.desk import WorklistDesk
    from pacs_sop_worklist.web.pages import page_routes

    return page_routes(WorklistDesk(context, context.node.find(Worklist)))


def _describe(context: WebContext) -> Mapping[str, Any]:
    from pacs_sop_worklist.web.openapi import describe_api

    return describe_api()
