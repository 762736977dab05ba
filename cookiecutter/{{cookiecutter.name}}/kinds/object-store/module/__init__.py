"""An object store of pacs-core: files in one directory."""

from pacs_core.contracts import ObjectStoreDescriptor, Setup
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config
from {{ cookiecutter.__package }}.store import DirectoryStore

__all__ = ["Config", "DirectoryStore", "pacs_config", "pacs_object_stores"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_object_stores(setup: Setup) -> list[ObjectStoreDescriptor]:
    """Return the object store."""
    return [ObjectStoreDescriptor("{{ cookiecutter.name }}", _create, Config)]


def _create(setup: Setup) -> DirectoryStore:
    return DirectoryStore(setup.config(Config).directory or setup.directory)
