"""A service of pacs-core: how much the archive holds, for a monitor to ask."""

from pacs_core.contracts import ServiceDescriptor, Setup
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config
from {{ cookiecutter.__package }}.service import StatusService

__all__ = ["Config", "StatusService", "pacs_config", "pacs_services"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""

NAME = "{{ cookiecutter.name }}"


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return the service; the kernel binds its port."""
    config = setup.config(Config)
    return [
        ServiceDescriptor(
            NAME,
            lambda node: StatusService(node, config),
            bind=(config.host, config.port),
            describe_address=lambda host, port: f"{NAME}: {host}:{port}",
        )
    ]
