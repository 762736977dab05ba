"""An ingest filter of pacs-core: patient IDs with an issuer, and only from who is known."""

from pacs_core.contracts import IngestFilterDescriptor, Node, Setup
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config
from {{ cookiecutter.__package }}.filter import Issuer

__all__ = ["Config", "Issuer", "pacs_config", "pacs_ingest_filters"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_ingest_filters(setup: Setup) -> list[IngestFilterDescriptor]:
    """Return the filter."""
    config = setup.config(Config)

    def create(node: Node) -> Issuer:
        return Issuer(config)

    return [IngestFilterDescriptor("{{ cookiecutter.name }}", create)]
