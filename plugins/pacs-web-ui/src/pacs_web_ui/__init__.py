"""Browser UI of pacs-core, and its REST administration under ``/api``."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pacs_web.api import NavigationEntry, PageFrame, WebContext, WebRoutesDescriptor

from pacs_core.contracts import CapabilityDescriptor, ServiceDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_web_ui.config import WebUiConfig, WebUiSettings
from pacs_web_ui.frame import TemplateFrame
from pacs_web_ui.load import LoadHistory, MeteredLoad, Sampler

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["WebUiConfig", "pacs_capabilities", "pacs_config", "pacs_services", "pacs_web_routes"]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.web-ui]``."""
    return WebUiConfig


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return what counts operations for the charts, and the layout, for pages of other plugins."""
    settings = WebUiSettings(setup.config(WebUiConfig))

    return [
        CapabilityDescriptor("web-ui-settings", WebUiSettings, lambda _: settings),
        CapabilityDescriptor("web-ui-load", LoadHistory, MeteredLoad),
        CapabilityDescriptor(
            "web-ui-pages",
            PageFrame,
            lambda node: TemplateFrame(node.find(WebUiSettings)),
            requires=(WebUiSettings,),
            always=True,
        ),
    ]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return what takes samples for the charts."""
    return [ServiceDescriptor("web-ui-sampler", Sampler, requires=(LoadHistory,))]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return the pages, their files, and the API."""
    config = setup.config(WebUiConfig)
    pages = (
        NavigationEntry("Studies", "/ui/", "studies", 10, {"de": "Studien"}),
        NavigationEntry("Query", "/ui/query", "query", 50, {"de": "Abfrage"}),
        NavigationEntry("Node", "/ui/node", "node", 90, {"de": "Knoten"}),
    )
    viewer = NavigationEntry("Viewer", "", order=40, study_path="/ui/viewer/{study}")
    return [
        WebRoutesDescriptor("home", _create_home, "", "Start page", public=True),
        WebRoutesDescriptor("ui", partial(_create_pages, config), "/ui", "Pages", pages),
        WebRoutesDescriptor("ui-static", _create_static, "/ui/static", "Files", public=True),
        WebRoutesDescriptor(
            "api", partial(_create_api, config), "/api", "Administration", openapi=_describe
        ),
        WebRoutesDescriptor(
            "viewer", partial(_create_viewer, config), "/ui/viewer", "Viewer", (viewer,)
        ),
        WebRoutesDescriptor(
            "viewer-files", _create_viewer_files, "/ui/viewer/files", "Files", public=True
        ),
        WebRoutesDescriptor(
            "upload",
            partial(_create_upload, config),
            "/api/upload",
            "Upload of zip files",
            openapi=_describe_upload,
            max_body=None,
        ),
    ]


def _settings(config: WebUiConfig, context: WebContext) -> WebUiSettings:
    found = context.node.capabilities.provides(WebUiSettings)
    return context.node.find(WebUiSettings) if found else WebUiSettings(config)


def _create_home(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.files import home_routes

    return home_routes(context)


def _create_static(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.files import static_routes

    return static_routes()


def _create_pages(config: WebUiConfig, context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.pages import page_routes

    return page_routes(context, _settings(config, context))


def _create_viewer(config: WebUiConfig, context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.viewer.routes import viewer_routes

    return viewer_routes(context, _settings(config, context))


def _create_viewer_files(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.viewer.routes import file_routes

    return file_routes()


def _create_api(config: WebUiConfig, context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.rest import api_routes

    return api_routes(context, _settings(config, context))


def _create_upload(config: WebUiConfig, context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_web_ui.uploading import upload_routes

    return upload_routes(context, _settings(config, context))


def _describe_upload(context: WebContext) -> dict[str, Any]:
    from pacs_web_ui.openapi import describe_upload

    return describe_upload()


def _describe(context: WebContext) -> dict[str, Any]:
    from pacs_web_ui.openapi import describe_api

    return describe_api()
