"""DICOMweb for pacs-core (PS3.18), on the server of pacs-web."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pacs_core.contracts import (
    CapabilityDescriptor,
    CliCommandDescriptor,
    Setup,
    WebServicesStatement,
)
from pacs_core.plugins import hookimpl
from pacs_dicomweb.config import DicomWebConfig, DicomWebSettings

if TYPE_CHECKING:
    from pacs_web.api import WebContext, WebRoutesDescriptor
    from starlette.routing import BaseRoute

__all__ = [
    "DicomWebConfig",
    "pacs_capabilities",
    "pacs_check",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_conformance",
    "pacs_web_routes",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.dicomweb]``."""
    return DicomWebConfig


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return what has the settings as they are by now."""
    settings = DicomWebSettings(setup.config(DicomWebConfig))
    return [
        CapabilityDescriptor("dicomweb-settings", DicomWebSettings, lambda _: settings, always=True)
    ]


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return what is wrong with the table beyond its types."""
    return setup.config(DicomWebConfig).problems()


@hookimpl
def pacs_conformance(setup: Setup) -> list[WebServicesStatement]:
    """Return the service, for the conformance statement."""
    from pacs_dicomweb.conformance import web_services

    return [web_services(setup.config(DicomWebConfig))]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> "list[WebRoutesDescriptor]":
    """Return the routes."""
    from pacs_web.api import WebRoutesDescriptor

    config = setup.config(DicomWebConfig)

    def create(context: "WebContext") -> "Sequence[BaseRoute]":
        from pacs_dicomweb.routes import routes

        found = context.node.capabilities.provides(DicomWebSettings)
        settings = context.node.find(DicomWebSettings) if found else DicomWebSettings(config)
        return routes(context, settings)

    return [
        WebRoutesDescriptor("dicomweb", create, prefix=config.root, title="DICOMweb", max_body=None)
    ]


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs web``."""
    summaries = {
        "find": "Query a DICOMweb server.",
        "get": "Retrieve from a DICOMweb server.",
        "store": "Send files to a DICOMweb server.",
        "import": "Take all that a DICOMweb server has into this machine's archive.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_dicomweb.client import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"web {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
