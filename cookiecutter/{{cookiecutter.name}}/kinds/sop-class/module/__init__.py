"""A private SOP class of pacs-core: where instances are available."""

from pacs_core.contracts import ServiceProviderDescriptor, Setup, SopClassSupport
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config
from {{ cookiecutter.__package }}.provider import AVAILABILITY, Availability

__all__ = ["AVAILABILITY", "Availability", "Config", "pacs_config", "pacs_service_providers"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Return the provider of the private SOP class."""
    config = setup.config(Config)
    return [
        ServiceProviderDescriptor(
            "{{ cookiecutter.name }}",
            {AVAILABILITY: SopClassSupport()},
            lambda node: Availability(node, config),
        )
    ]
