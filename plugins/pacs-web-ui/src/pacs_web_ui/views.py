"""Views of the archive on behalf of whoever asks: what pages and API have in common."""

from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request

from pacs_core.contracts import AccessAction, Archive, PluginAuditKind
from pacs_web_ui.auditing import record_access
from pacs_web_ui.changes import delete_study
from pacs_web_ui.config import WebUiConfig


class ArchiveViews:
    """Base of pages and API.

    Parameters
    ----------
    context : WebContext
    config : WebUiConfig
    """

    def __init__(self, context: WebContext, config: WebUiConfig) -> None:
        self._context, self._config = context, config

    def _archive(self, request: Request, reading: str = AccessAction.RETRIEVE) -> Archive:
        """Return the archive as whoever asks may use it."""
        origin = self._context.origin_of(request)
        return self._context.node.archive.on_behalf_of(origin, reading=reading)

    def _check_deletion(self) -> None:
        if not self._config.deletion:
            raise HttpError(403, "deletion is off: set deletion = true in [plugin.web-ui]")

    async def _delete_study(self, request: Request) -> None:
        """Delete the study that the path names."""
        self._check_deletion()
        uid, origin = request.path_params["study"], self._context.origin_of(request)
        await delete_study(self._archive(request), uid, origin)

    async def _record(self, request: Request, kind: PluginAuditKind, **details: str) -> None:
        """Record that somebody has used the study that the path names."""
        node, origin = self._context.node, self._context.origin_of(request)
        await record_access(node, origin, kind, request.path_params["study"], details)
