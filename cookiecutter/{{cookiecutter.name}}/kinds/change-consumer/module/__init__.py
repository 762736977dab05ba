"""A change consumer of pacs-core: an inventory of the archive in a database of its own."""

from pacs_core.contracts import ChangeConsumerDescriptor, Setup
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config
from {{ cookiecutter.__package }}.inventory import Inventory

__all__ = ["Config", "Inventory", "pacs_change_consumers", "pacs_config"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return the consumer, which is told first of what is there already."""
    path = setup.config(Config).path or setup.plugin.directory / "inventory.sqlite"
    name = "{{ cookiecutter.name }}"
    return [ChangeConsumerDescriptor(name, lambda node: Inventory(path), begin="all")]
