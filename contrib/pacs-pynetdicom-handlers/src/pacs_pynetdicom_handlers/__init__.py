"""A plugin of pacs-core: handlers that were written for pynetdicom answer its associations."""

from collections.abc import Sequence

from pacs_core.contracts import ServiceProviderDescriptor, Setup
from pacs_core.plugins import hookimpl

from pacs_pynetdicom_handlers.config import HandlersConfig

__all__ = ["HandlersConfig", "pacs_check", "pacs_config", "pacs_service_providers"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return HandlersConfig


@hookimpl
def pacs_check(setup: Setup) -> Sequence[str]:
    """Return what is wrong with the table beyond its types."""
    return setup.config(HandlersConfig).problems()


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Return one provider for all SOP classes that the handlers answer for."""
    config = setup.config(HandlersConfig)
    if not config.is_set:
        return []
    # Only who has handlers waits for pynetdicom to be imported.
    from pacs_pynetdicom_handlers.loading import load_handlers
    from pacs_pynetdicom_handlers.provider import HandlerProvider
    from pacs_pynetdicom_handlers.sop_classes import supported_sop_classes

    loaded = load_handlers(config)
    return [
        ServiceProviderDescriptor(
            "pynetdicom-handlers",
            supported_sop_classes(config, loaded),
            lambda node: HandlerProvider(node, config, loaded),
        )
    ]
