"""Sign-in by OpenID Connect: people by code flow, machines and DIMSE peers by JSON web tokens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pacs_auth_local.api import SignInMethod
from pacs_web.api import (
    WebAuthenticator,
    WebAuthenticatorDescriptor,
    WebContext,
    WebRoutesDescriptor,
)

from pacs_auth_oidc.config import OidcConfig
from pacs_auth_oidc.provider import IdentityProvider
from pacs_core.contracts import (
    AccessDescriptor,
    Authenticator,
    CapabilityDescriptor,
    Node,
    SecurityStatement,
    Setup,
)
from pacs_core.plugins import hookimpl

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["OidcConfig"]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.auth-oidc]``."""
    return OidcConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return what is wrong with the table beyond its types."""
    return list(setup.config(OidcConfig).problems())


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return the provider, whose keys all parts share."""
    config = setup.config(OidcConfig)
    if not config.issuer:
        return []
    return [
        CapabilityDescriptor(
            "auth-oidc", IdentityProvider, lambda node: IdentityProvider(config), always=True
        )
    ]


@hookimpl
def pacs_access(setup: Setup) -> list[AccessDescriptor]:
    """Return who knows peers."""

    def create(node: Node) -> Authenticator:
        from pacs_auth_oidc.doors import TokenAuthenticator

        return TokenAuthenticator(node)

    if not setup.config(OidcConfig).issuer:
        return []
    return [AccessDescriptor("auth-oidc", authenticator=create)]


@hookimpl(optionalhook=True)
def pacs_web_authenticators(setup: Setup) -> list[WebAuthenticatorDescriptor]:
    """Return who knows requests."""

    def create(node: Node) -> WebAuthenticator:
        from pacs_auth_oidc.doors import BearerAuthenticator

        return BearerAuthenticator(node)

    if not setup.config(OidcConfig).issuer:
        return []
    return [WebAuthenticatorDescriptor("auth-oidc", create)]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return the pages of the code flow."""
    if not setup.config(OidcConfig).issuer:
        return []
    return [
        WebRoutesDescriptor("auth-oidc", _create_flow, "/auth/oidc", "OpenID Connect", public=True)
    ]


@hookimpl
def pacs_conformance(setup: Setup) -> list[SecurityStatement]:
    """Return what the conformance statement says of security."""
    from pacs_auth_oidc.conformance import state_security

    return list(state_security(setup.config(OidcConfig)))


def _create_flow(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_auth_oidc.flow import flow_routes

    return flow_routes(context)


@hookimpl(optionalhook=True)
def pacs_sign_in_methods(setup: Setup) -> list[SignInMethod]:
    """Return the link on the page to sign in."""
    config = setup.config(OidcConfig)
    return [SignInMethod(config.title, "/auth/oidc/login")] if config.issuer else []
