"""Browser UI of pacs-core, and its REST administration under ``/api``."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pacs_web.api import NavigationEntry, WebContext, WebRoutesDescriptor

from pacs_core.contracts import Setup
from pacs_core.plugins import hookimpl
from pacs_web_ui.config import WebUiConfig

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["WebUiConfig", "pacs_config", "pacs_web_routes"]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.web-ui]``."""
    return WebUiConfig


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return the pages, their files, and the API."""
    config = setup.config(WebUiConfig)
    pages = (
        NavigationEntry("Studies", "/ui/", "studies", 10, {"de": "Studien"}),
        NavigationEntry("Node", "/ui/node", "node", 90, {"de": "Knoten"}),
    )
    return [
        WebRoutesDescriptor("home", _create_home, "", "Start page", public=True),
        WebRoutesDescriptor("ui", partial(_create_pages, config), "/ui", "Pages", pages),
        WebRoutesDescriptor("ui-static", _create_static, "/ui/static", "Files", public=True),
        WebRoutesDescriptor(
            "api", partial(_create_api, config), "/api", "Administration", openapi=_describe
        ),
    ]


def _create_home(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.files import home_routes

    return home_routes(context)


def _create_static(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.files import static_routes

    return static_routes()


def _create_pages(config: WebUiConfig, context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.pages import page_routes

    return page_routes(context, config)


def _create_api(config: WebUiConfig, context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.rest import api_routes

    return api_routes(context, config)


def _describe(context: WebContext) -> dict[str, Any]:
    from pacs_web_ui.openapi import describe_api

    return describe_api()
