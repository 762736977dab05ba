"""Lifecycle over HTTP: the API under ``/api/lifecycle``.

What needs Starlette is imported when the web server asks for the routes.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacs_web.api import WebContext, WebRoutesDescriptor

from pacs_lifecycle.config import LifecycleConfig

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def web_routes(config: LifecycleConfig) -> list[WebRoutesDescriptor]:
    """Return the descriptor of the API."""

    def create(context: WebContext) -> "Sequence[BaseRoute]":
        from pacs_lifecycle.web.rest import api_routes

        return api_routes(context, config)

    prefix = "/api/lifecycle"
    return [WebRoutesDescriptor("lifecycle-api", create, prefix, "Lifecycle", openapi=_describe)]


def _describe(context: WebContext) -> Mapping[str, Any]:
    from pacs_lifecycle.web.openapi import describe_api

    return describe_api()
