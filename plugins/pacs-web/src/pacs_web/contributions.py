"""Contributions of plugins to the server, checked: who gives nonsense is quarantined, alone."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, cast

from attrs import frozen

from pacs_core.contracts import Contribution, Node
from pacs_web.api import (
    WebAuthenticator,
    WebAuthenticatorDescriptor,
    WebContext,
    WebRoutesDescriptor,
    WebSite,
)

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@frozen
class Section:
    """A descriptor and the routes that it has created."""

    descriptor: WebRoutesDescriptor
    routes: "tuple[BaseRoute, ...]"


def collect_sections(
    node: Node, own: Iterable[WebRoutesDescriptor]
) -> tuple[WebContext, list[Section]]:
    """Return the routes of all plugins, and then `own` ones, with the context they share."""
    site = WebSite()
    accepted = []
    for contribution in node.hooks.call("pacs_web_routes"):
        given = cast("Sequence[WebRoutesDescriptor]", contribution.result)
        if reason := _what_is_wrong(given, site):
            node.hooks.refuse(contribution, f"pacs_web_routes: {reason}")
            continue
        site.sections += given
        accepted.append((contribution, given))
    context = WebContext(node, site)
    sections = []
    for contribution, given in accepted:
        sections += _create(context, contribution, given)
    own = tuple(own)
    site.sections += own
    sections += [Section(each, tuple(each.create(context))) for each in own]
    return context, sections


def _what_is_wrong(given: object, site: WebSite) -> str:
    """Return why descriptors cannot be used; empty if they can."""
    if not isinstance(given, Sequence) or not all(
        isinstance(each, WebRoutesDescriptor) for each in given
    ):
        return "return a list of WebRoutesDescriptor"
    names = {each.name for each in site.sections}
    prefixes = {each.prefix: each.name for each in site.sections if each.prefix}
    for each in given:
        if not each.name or each.name in names:
            return f"the name {each.name!r} is taken: choose another"
        if not _PREFIX.fullmatch(each.prefix):
            return f"{each.prefix!r} is no prefix: it begins with a slash and ends without"
        if each.prefix in prefixes:
            return f"the prefix {each.prefix} belongs to {prefixes[each.prefix]}: choose another"
        names.add(each.name)
        prefixes |= {each.prefix: each.name} if each.prefix else {}
    return ""


def _create(
    context: WebContext, contribution: Contribution, given: Sequence[WebRoutesDescriptor]
) -> list[Section]:
    sections = []
    try:
        for each in given:
            routes = tuple(each.create(context))
            _check_routes(routes)
            if routes:
                sections.append(Section(each, routes))
            else:
                context.site.sections.remove(each)
    except Exception as error:
        reason = f"pacs_web_routes: {each.name}: {type(error).__name__}: {error}"
        context.node.hooks.refuse(contribution, reason)
        context.site.sections[:] = [d for d in context.site.sections if d not in given]
        return []
    return sections


def _check_routes(routes: tuple[object, ...]) -> None:
    from starlette.routing import BaseRoute

    for route in routes:
        if not isinstance(route, BaseRoute):
            raise TypeError(f"this is no route: {route!r:.100}")


def create_authenticators(node: Node) -> list[tuple[str, WebAuthenticator]]:
    """Return the authenticators of all plugins, by name.

    Raises
    ------
    RuntimeError
        One cannot be created: the server must not answer as if there were none.
    """
    created: list[tuple[str, WebAuthenticator]] = []
    for contribution in node.hooks.call("pacs_web_authenticators"):
        given = contribution.result
        try:
            created += [_create_authenticator(each, node) for each in given]  # type: ignore[attr-defined]
        except Exception as error:
            reason = f"pacs_web_authenticators: {type(error).__name__}: {error}"
            node.hooks.refuse(contribution, reason)
            raise RuntimeError(
                f"the plugin {contribution.plugin} guards the web server, but cannot: {error}"
            ) from error
    return created


def _create_authenticator(descriptor: object, node: Node) -> tuple[str, WebAuthenticator]:
    if not isinstance(descriptor, WebAuthenticatorDescriptor):
        raise TypeError(f"return WebAuthenticatorDescriptors, not {descriptor!r:.100}")
    authenticator = descriptor.create(node)
    if not isinstance(authenticator, WebAuthenticator):
        raise TypeError(f"this is no WebAuthenticator: {authenticator!r:.100}")
    return descriptor.name, authenticator
