"""Identities at both doors: users, API tokens, certificates, and AE titles bound to addresses.

What other plugins import is :mod:`pacs_auth_local.api`.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pacs_web.api import (
    NavigationEntry,
    WebAuthenticator,
    WebAuthenticatorDescriptor,
    WebContext,
    WebRoutesDescriptor,
)

from pacs_auth_local import hooks
from pacs_auth_local.api import Sessions
from pacs_auth_local.config import AuthLocalConfig
from pacs_auth_local.identities import LocalIdentities
from pacs_core.contracts import (
    AccessDescriptor,
    Authenticator,
    CapabilityDescriptor,
    CliCommandDescriptor,
    Hooks,
    Node,
    SecurityFinding,
    SecurityStatement,
    Setup,
)
from pacs_core.plugins import hookimpl

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["AuthLocalConfig"]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.auth-local]``."""
    return AuthLocalConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return what is wrong with the table beyond its types."""
    return list(setup.config(AuthLocalConfig).problems())


@hookimpl
def pacs_security_findings(setup: Setup, hooks: Hooks) -> list[SecurityFinding]:
    """Return what lets somebody in as somebody else, or as nobody."""
    from pacs_auth_local.weaknesses import find_weaknesses

    return list(find_weaknesses(setup.config(AuthLocalConfig)))


@hookimpl
def pacs_hookspecs() -> object:
    """Publish the hook by which plugins add ways to sign in."""
    return hooks


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return the identities, which all parts share, and the sessions for other plugins."""
    config, directory = setup.config(AuthLocalConfig), setup.directory

    def create_sessions(node: Node) -> Sessions:
        from pacs_auth_local.local_sessions import LocalSessions

        return LocalSessions(node.find(LocalIdentities))

    return [
        CapabilityDescriptor(
            "auth-local",
            LocalIdentities,
            lambda node: LocalIdentities(directory, config, node.audit),
            always=True,
        ),
        CapabilityDescriptor(
            "auth-local-sessions", Sessions, create_sessions, (LocalIdentities,), always=True
        ),
    ]


@hookimpl
def pacs_access(setup: Setup) -> list[AccessDescriptor]:
    """Return who knows peers."""

    def create(node: Node) -> Authenticator:
        from pacs_auth_local.dimse import PeerAuthenticator

        return PeerAuthenticator(node)

    return [AccessDescriptor("auth-local", authenticator=create)]


@hookimpl(optionalhook=True)
def pacs_web_authenticators(setup: Setup) -> list[WebAuthenticatorDescriptor]:
    """Return who knows requests."""

    def create(node: Node) -> WebAuthenticator:
        from pacs_auth_local.web import RequestAuthenticator

        return RequestAuthenticator(node)

    return [WebAuthenticatorDescriptor("auth-local", create)]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return the pages to sign in, and of whoever has."""
    entry = NavigationEntry(
        "Account", "/auth/", order=1000, titles={"de": "Konto"}, is_account=True
    )
    return [
        WebRoutesDescriptor(
            "auth-local", _create_pages, "/auth", "Account", navigation=(entry,), public=True
        )
    ]


@hookimpl
def pacs_conformance(setup: Setup) -> list[SecurityStatement]:
    """Return what the conformance statement says of security."""
    from pacs_auth_local.conformance import state_security

    return list(state_security(setup.config(AuthLocalConfig)))


def _create_pages(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_auth_local.pages import page_routes

    return page_routes(context)


def _load(module: str, name: str) -> Callable[[], Callable[..., int | None]]:
    def load() -> Callable[..., int | None]:
        from importlib import import_module

        command: Callable[..., int | None] = getattr(
            import_module(f"pacs_auth_local.{module}"), name
        )
        return command

    return load


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the commands."""
    rows = (
        ("users add", "Add somebody with a password.", "user_commands", "add"),
        ("users list", "List users.", "user_commands", "list_users"),
        ("users disable", "Keep somebody out.", "user_commands", "disable"),
        ("users enable", "Let somebody in again.", "user_commands", "enable"),
        ("users password", "Give somebody another password.", "user_commands", "password"),
        ("users remove", "Forget somebody.", "user_commands", "remove"),
        ("tokens create", "Make an API token, and print it.", "token_commands", "create"),
        ("tokens list", "List API tokens.", "token_commands", "list_tokens"),
        ("tokens revoke", "Make an API token worthless.", "token_commands", "revoke"),
    )
    return [CliCommandDescriptor(name, text, _load(module, at)) for name, text, module, at in rows]
