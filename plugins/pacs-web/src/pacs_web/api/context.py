"""Context of routes: the node, and what the server knows of a request."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from attrs import define, field, frozen

from pacs_core.contracts import (
    Access,
    AccessDeniedError,
    AccessTarget,
    AuditEvent,
    AuditValue,
    EventAction,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
)
from pacs_web.api.routes import NavigationEntry, WebRoutesDescriptor

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

ORIGIN_KEY: Final = "pacs_web.origin"
BASE_PATH_KEY: Final = "pacs_web.base_path"
TLS_KEY: Final = "pacs_web.tls"
"""Of the state of a connection: its :class:`TlsInfo`."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


@define
class WebSite:
    """Everything that plugins have added to the server.

    Attributes
    ----------
    sections : list of WebRoutesDescriptor
        In plugin order. Complete before the first routes are created; one whose routes cannot be
        created is taken out again, and so is one that has none.
    """

    sections: list[WebRoutesDescriptor] = field(factory=list)

    @property
    def navigation(self) -> Sequence[NavigationEntry]:
        """Entries of all plugins, in the order in which to show them."""
        entries = (entry for section in self.sections for entry in section.navigation)
        return sorted(entries, key=lambda entry: entry.order)


@frozen
class WebContext:
    """What the routes of a plugin are created for.

    Attributes
    ----------
    node : Node
    site : WebSite
        What the other plugins have added: navigation, sections.
    """

    node: Node
    site: WebSite = field(factory=WebSite)

    def origin_of(self, request: "HTTPConnection") -> Origin:
        """Return who makes a request, and from where.

        Give it to :meth:`Archive.on_behalf_of`, and to audit events. Behind a trusted proxy the
        address is the client's. :attr:`Origin.association` identifies the request in the log.
        """
        return cast(Origin, request.scope[ORIGIN_KEY])

    async def require(
        self, request: "HTTPConnection", action: str, what: AccessTarget | None = None
    ) -> None:
        """Check that whoever asks may do something that is no use of the archive.

        Parameters
        ----------
        request : HTTPConnection
        action : str
            Of a plugin's own, with a dot in it, such as ``"jobs.steer"``.
        what : AccessTarget, optional

        Raises
        ------
        AccessDeniedError
            An authorizer denies it, or restricts it to some instances: which part of it that is
            nobody can tell.
        """
        access = Access(action, self.origin_of(request), what or AccessTarget())
        if await self.node.access.require(access):
            raise AccessDeniedError(f"{action} is only for who may see all instances")

    async def record(
        self,
        request: "HTTPConnection",
        kind: PluginAuditKind,
        action: EventAction = EventAction.READ,
        **details: AuditValue,
    ) -> None:
        """Record what whoever asks is about to see or do.

        Raises
        ------
        AuditFailedError
            It must not be shown or done.
        """
        origin = self.origin_of(request)
        event = AuditEvent(kind, Outcome.SUCCESS, origin, details, action=action)
        await self.node.audit.record(event)

    def base_url(self, request: "HTTPConnection") -> str:
        """Return the absolute URL of the root of the site, as the client sees it, without a slash.

        Scheme, host and base path are those that a trusted proxy says it was asked under:
        ``f"{context.base_url(request)}/dicom-web/studies"`` is right behind it.
        """
        scope = request.scope
        return f"{scope['scheme']}://{_host_of(request)}{scope[BASE_PATH_KEY]}"

    def base_path(self, request: "HTTPConnection") -> str:
        """Return the path of the root of the site, as the client sees it, without a slash.

        For links within pages: ``f"{context.base_path(request)}/viewer/"``. Empty at the root.
        """
        return cast(str, request.scope[BASE_PATH_KEY])


def _host_of(request: "HTTPConnection") -> str:
    """Return the host that a request names, with the port of the server where that is missing.

    Some clients, dicomweb-client among them, leave out the port of a server that they ask by its
    address. A proxy that leaves it out names the site, which is not this address.
    """
    host = request.headers["host"]
    server: tuple[str, int | None] | None = request.scope.get("server")
    if server is None or server[1] in {None, 80, 443}:
        return host
    names = {server[0], f"[{server[0]}]"}
    names |= {"localhost"} if server[0] in _LOOPBACK else set()
    return f"{host}:{server[1]}" if host in names else host
