"""A private SOP class of pacs-core: checks that the objects of a study are whole."""

from pacs_core.contracts import ServiceProviderDescriptor, Setup, SopClassSupport
from pacs_core.plugins import hookimpl

from acme_integrity_check.config import Config
from acme_integrity_check.provider import CHECK_STUDY, CHECKER, INTEGRITY_CHECK, IntegrityCheck

__all__ = [
    "CHECKER",
    "CHECK_STUDY",
    "INTEGRITY_CHECK",
    "Config",
    "IntegrityCheck",
    "pacs_config",
    "pacs_service_providers",
]

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
    sop_classes = {INTEGRITY_CHECK: SopClassSupport()}
    return [
        ServiceProviderDescriptor(
            "acme-integrity-check", sop_classes, lambda node: IntegrityCheck(node, config)
        )
    ]
