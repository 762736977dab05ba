"""A way of asking AI services of pacs-core: one instance in each HTTP request."""

from pacs_ai.api import InferenceAdapter, InferenceAdapterDescriptor, ServiceConfig
from pacs_core.contracts import Node, Setup
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config

__all__ = ["Config", "pacs_config", "pacs_inference_adapters"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl(optionalhook=True)
def pacs_inference_adapters(setup: Setup) -> list[InferenceAdapterDescriptor]:
    """Return the way of asking; without pacs-ai nobody asks for it."""
    config = setup.config(Config)

    def create(node: Node, name: str, service: ServiceConfig) -> InferenceAdapter:
        from {{ cookiecutter.__package }}.adapter import OneByOne

        return OneByOne(node, name, service, config)

    return [InferenceAdapterDescriptor("{{ cookiecutter.name }}", create)]
