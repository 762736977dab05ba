"""Web routes of pacs-core: how many series there are of each modality, as a page and as JSON."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pacs_core.contracts import Setup
from pacs_core.plugins import hookimpl
from pacs_web.api import NavigationEntry, WebContext, WebRoutesDescriptor
from pacs_web.api.openapi import Operation, describe_section

from {{ cookiecutter.__package }}.config import Config

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["Config", "pacs_config", "pacs_web_routes"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""

NAME = "{{ cookiecutter.name }}"


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return the routes; without pacs-web nobody asks for them."""
    config = setup.config(Config)
    return [
        WebRoutesDescriptor(
            NAME,
            partial(create, config),
            config.prefix,
            title="Modalities",
            navigation=(NavigationEntry("Modalities", f"{config.prefix}/"),),
            openapi=describe,
        )
    ]


def create(config: Config, context: WebContext) -> "Sequence[BaseRoute]":
    """Return the routes; imported here, they do not delay the node's start."""
    from {{ cookiecutter.__package }}.routes import modality_routes

    return modality_routes(context, config)


def describe(context: WebContext) -> dict[str, Any]:
    """Return the section of the OpenAPI document."""
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    operation = Operation("get", "/series", "How many series there are", counts)
    return describe_section(NAME, "Series by modality", [operation])
