"""A notice board on the web: a page, an API, and downloads of any length."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pacs_web.api import NavigationEntry, WebContext, WebRoutesDescriptor

from pacs_core.contracts import Setup
from pacs_core.plugins import hookimpl

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return the notice board, and what is streamed."""
    return [
        WebRoutesDescriptor(
            "bulletin",
            create_board,
            "/bulletin",
            title="Notice board",
            navigation=(NavigationEntry("Notices", "/bulletin/", titles={"de": "Aushang"}),),
            openapi=describe,
            max_body=1000,
        ),
        WebRoutesDescriptor("streams", create_streams, "/streams", max_body=None),
    ]


def create_board(context: WebContext) -> "Sequence[BaseRoute]":
    """Return the routes of the notice board."""
    from pacs_bulletin.board import board_routes

    return board_routes(context)


def create_streams(context: WebContext) -> "Sequence[BaseRoute]":
    """Return the routes of what is streamed."""
    from pacs_bulletin.streams import stream_routes

    return stream_routes()


def describe(context: WebContext) -> dict[str, Any]:
    """Return the section of the OpenAPI document."""
    return {
        "paths": {
            "/notices": {
                "get": {"summary": "All notices"},
                "post": {"summary": "One more notice"},
            },
        },
        "tags": [{"name": "bulletin"}],
    }
