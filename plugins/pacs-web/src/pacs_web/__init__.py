"""HTTP server of pacs-core: routes, pages and API sections come from other plugins.

What other plugins import is :mod:`pacs_web.api`, and :mod:`pacs_web.testing` in their tests.
"""

from pacs_core.contracts import (
    Hooks,
    Node,
    SecurityFinding,
    SecurityStatement,
    Service,
    ServiceDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_web import hooks
from pacs_web.config import WebConfig

__all__ = [
    "WebConfig",
    "pacs_check",
    "pacs_config",
    "pacs_conformance",
    "pacs_hookspecs",
    "pacs_security_findings",
    "pacs_services",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.web]``."""
    return WebConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return what is wrong with the table beyond its types."""
    return list(setup.config(WebConfig).problems())


@hookimpl
def pacs_security_findings(setup: Setup, hooks: Hooks) -> list[SecurityFinding]:
    """Return what is weak in the table, and whether anybody asks who is there."""
    from pacs_web.weaknesses import find_weaknesses

    signs_in = any(each.result for each in hooks.call("pacs_web_authenticators"))
    return list(find_weaknesses(setup.config(WebConfig), signs_in=signs_in))


@hookimpl
def pacs_hookspecs() -> object:
    """Publish the hooks by which plugins add routes and authenticators."""
    return hooks


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return the server, one for each worker on the same socket."""
    config = setup.config(WebConfig)

    def create(node: Node) -> Service:
        from pacs_web.service import WebService

        return WebService(node, config)

    return [
        ServiceDescriptor(
            "web", create, bind=(config.host, config.port), describe_address=config.describe
        )
    ]


@hookimpl
def pacs_conformance(setup: Setup) -> list[SecurityStatement]:
    """Return what the conformance statement says of security."""
    from pacs_web.conformance import state_security

    return list(state_security(setup.config(WebConfig)))
