"""Performed steps over HTTP and in the browser: API at ``/api/mpps``, pages at ``/ui/mpps``.

What needs Starlette is imported when the web server asks for the routes.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacs_web.api import NavigationEntry, PageFrame, WebContext, WebRoutesDescriptor

from pacs_sop_mpps.interface import PerformedProcedureSteps

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from pacs_sop_mpps.web.desk import StepDesk


def web_routes() -> list[WebRoutesDescriptor]:
    """Return the descriptors of API and pages."""
    title, german = "Performed steps", {"de": "Durchgeführte Schritte"}
    page = NavigationEntry(title, "/ui/mpps/", "mpps", 25, german)
    return [
        WebRoutesDescriptor("mpps-api", _create_api, "/api/mpps", title, openapi=_describe),
        WebRoutesDescriptor("mpps-pages", _create_pages, "/ui/mpps", title, (page,)),
    ]


def _create_api(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_sop_mpps.web.rest import api_routes

    return api_routes(_desk(context))


def _create_pages(context: WebContext) -> "Sequence[BaseRoute]":
    if not context.node.capabilities.provides(PageFrame):
        return []
    from pacs_sop_mpps.web.pages import page_routes

    return page_routes(_desk(context))


def _desk(context: WebContext) -> "StepDesk":
    from pacs_sop_mpps.web.desk import StepDesk

    return StepDesk(context, context.node.find(PerformedProcedureSteps))


def _describe(context: WebContext) -> Mapping[str, Any]:
    from pacs_sop_mpps.web.openapi import describe_api

    return describe_api()
