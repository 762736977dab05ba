"""Requests and results over HTTP and in the browser: API under ``/api/ai``, pages under ``/ui/ai``.

What needs Starlette is imported when the web server asks for the routes.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacs_web.api import NavigationEntry, PageFrame, WebContext, WebRoutesDescriptor

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def web_routes() -> list[WebRoutesDescriptor]:
    """Return the descriptors of API and pages."""
    page = NavigationEntry("AI", "/ui/ai/", "ai", 74, {"de": "KI"})
    titles = {"de": "KI-Dienst fragen"}
    of_study = NavigationEntry(
        "Ask an AI service", "", titles=titles, study_path="/ui/ai/studies/{study}", is_viewer=False
    )
    return [
        WebRoutesDescriptor("ai-api", _create_api, "/api/ai", "AI", openapi=_describe),
        WebRoutesDescriptor("ai-pages", _create_pages, "/ui/ai", "AI", (page, of_study)),
    ]


def _create_api(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_ai.web.asking import AskedInferences
    from pacs_ai.web.rest import api_routes

    return api_routes(AskedInferences(context))


def _create_pages(context: WebContext) -> "Sequence[BaseRoute]":
    if not context.node.capabilities.provides(PageFrame):
        return []
    from pacs_ai.web.asking import AskedInferences
    from pacs_ai.web.pages import page_routes

    return page_routes(AskedInferences(context))


def _describe(context: WebContext) -> Mapping[str, Any]:
    from pacs_ai.web.openapi import describe_api

    return describe_api()
