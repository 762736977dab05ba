"""An index of pacs-core: everything in memory."""

from pacs_core.contracts import IndexDescriptor, Setup
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.catalog import Catalog
from {{ cookiecutter.__package }}.config import Config
from {{ cookiecutter.__package }}.index import MemoryIndex

__all__ = ["Catalog", "Config", "MemoryIndex", "pacs_config", "pacs_indexes"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_indexes(setup: Setup) -> list[IndexDescriptor]:
    """Return the index."""
    return [IndexDescriptor("{{ cookiecutter.name }}", _create)]


def _create(setup: Setup) -> MemoryIndex:
    return MemoryIndex(Catalog(setup.config(Config).keep))
