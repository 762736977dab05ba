"""Requests and results over HTTP, under ``/api/ai``.

What needs Starlette is imported when the web server asks for the routes.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacs_web.api import WebContext, WebRoutesDescriptor

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def web_routes() -> list[WebRoutesDescriptor]:
    """Return the descriptor of the API."""
    return [WebRoutesDescriptor("ai-api", _create, "/api/ai", "AI", openapi=_describe)]


def _create(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_ai.web.rest import api_routes

    return api_routes(context)


def _describe(context: WebContext) -> Mapping[str, Any]:
    from pacs_ai.web.openapi import describe_api

    return describe_api()
