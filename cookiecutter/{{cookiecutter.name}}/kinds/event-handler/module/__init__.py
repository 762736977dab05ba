"""An event handler of pacs-core: a list of arrivals."""

from pacs_core.contracts import EventHandlerDescriptor, Node, Setup
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config
from {{ cookiecutter.__package }}.handler import Arrivals

__all__ = ["Arrivals", "Config", "pacs_config", "pacs_event_handlers"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_event_handlers(setup: Setup) -> list[EventHandlerDescriptor]:
    """Return the event handler."""
    config = setup.config(Config)

    def create(node: Node) -> Arrivals:
        folder = node.settings.data_directory / "{{ cookiecutter.name }}"
        return Arrivals(folder / "arrivals.jsonl", config)

    return [EventHandlerDescriptor("{{ cookiecutter.name }}", create)]
