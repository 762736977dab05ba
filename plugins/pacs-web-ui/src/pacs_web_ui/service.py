"""Parts that pages and API share: the archive for whoever asks, peers, permissions, audit."""

from collections.abc import Mapping

from attrs import frozen
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request

from pacs_core.contracts import (
    AccessAction,
    AccessTarget,
    Archive,
    AuditValue,
    Node,
    Origin,
    Peer,
    PluginAuditKind,
)
from pacs_core.dimse import is_valid_uid
from pacs_web_ui.auditing import record_access
from pacs_web_ui.changes import delete_study
from pacs_web_ui.config import WebUiConfig, WebUiSettings

INSPECT_NODE = "node.inspect"
READ_AUDIT = "audit.read"
QUERY_PEER = "peers.query"
RETRIEVE_FROM_PEER = "peers.retrieve"


@frozen
class WebUi:
    """The user interface of a node.

    Attributes
    ----------
    context : WebContext
    settings : WebUiSettings
    """

    context: WebContext
    settings: WebUiSettings

    @property
    def config(self) -> WebUiConfig:
        """The settings as they are by now."""
        return self.settings.config

    @property
    def node(self) -> Node:
        """The node."""
        return self.context.node

    def origin(self, request: Request) -> Origin:
        """Return who asks."""
        return self.context.origin_of(request)

    def archive(
        self, request: Request, reading: str = AccessAction.RETRIEVE, peer: Peer | None = None
    ) -> Archive:
        """Return the archive for whoever asks, to read for some purpose."""
        what = AccessTarget(destination=peer.ae_title) if peer else None
        return self.node.archive.on_behalf_of(self.origin(request), reading=reading, what=what)

    async def require(self, request: Request, action: str, peer: Peer | None = None) -> None:
        """Check that whoever asks may do something; see :meth:`WebContext.require`."""
        what = AccessTarget(destination=peer.ae_title if peer else "")
        await self.context.require(request, action, what)

    def peer(self, name: str) -> Peer:
        """Return a configured peer by the name of its table.

        Raises
        ------
        HttpError
            404
        """
        peers = self.node.settings.peers
        if name not in peers:
            raise HttpError(404, "there is no such peer: name it in [peers.NAME]")
        return peers[name]

    def check_deletion(self) -> None:
        """Check that studies may be deleted here. HttpError 403 if not."""
        if not self.config.deletion:
            raise HttpError(403, "deletion is off: set deletion = true in [plugin.web-ui]")

    async def delete_study(self, request: Request) -> None:
        """Delete the study of the path; see :func:`~pacs_web_ui.changes.delete_study`."""
        self.check_deletion()
        uid = request.path_params["study"]
        await delete_study(self.archive(request), uid, self.origin(request))

    async def record(
        self, request: Request, kind: PluginAuditKind, study: str = "", **details: AuditValue
    ) -> None:
        """Record what whoever asks does, with a study or without; see :func:`record_access`."""
        study = study or request.path_params.get("study", "")
        await record_access(self.node, self.origin(request), kind, study, details)


def read_uid(values: Mapping[str, str], name: str, *, required: bool = True) -> str:
    """Return a UID of a form or of a query string.

    Raises
    ------
    HttpError
        400: it is none.
    """
    uid = values.get(name, "").strip()
    if (uid or required) and not is_valid_uid(uid):
        raise HttpError(400, f"{name}: a UID (PS3.5 §9.1)")
    return uid
