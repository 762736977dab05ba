"""The API: what the pages show and do, as JSON."""

from typing import Any

from cattrs import unstructure
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, read_body
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_core.contracts import AccessAction
from pacs_web_ui.auditing import SENT, VIEWED, record_search
from pacs_web_ui.changes import echo, find_peer, send_study
from pacs_web_ui.config import WebUiConfig
from pacs_web_ui.models import NodeSummary, PeerStatus, SectionStatus, SendReport
from pacs_web_ui.studies import (
    PARAMETERS,
    find_study,
    list_instances,
    list_series,
    read_search,
    search_studies,
)
from pacs_web_ui.views import ArchiveViews


def api_routes(context: WebContext, config: WebUiConfig) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = Api(context, config)
    return [
        Route("/node", api.node),
        Route("/peers", api.peers),
        Route("/peers/{peer}/echo", api.echo, methods=["POST"]),
        Route("/studies", api.studies),
        Route("/studies/{study}", api.study),
        Route("/studies/{study}", api.delete, methods=["DELETE"]),
        Route("/studies/{study}/send", api.send, methods=["POST"]),
        Route("/studies/{study}/series", api.series),
        Route("/studies/{study}/series/{series}/instances", api.instances),
    ]


class Api(ArchiveViews):
    """The API of a node."""

    async def node(self, request: Request) -> Response:
        """Say what the node is."""
        settings, site = self._context.node.settings, self._context.site
        sections = tuple(SectionStatus(s.name, s.title, s.prefix or "/") for s in site.sections)
        return _json(NodeSummary(settings.ae_title, settings.host, settings.port, sections))

    async def peers(self, request: Request) -> Response:
        """List the configured peers."""
        peers = self._context.node.settings.peers.items()
        return _json([PeerStatus(name, p.ae_title, p.host, p.port) for name, p in peers])

    async def echo(self, request: Request) -> Response:
        """Ask a peer whether it is there."""
        peer = find_peer(self._context.node, request.path_params["peer"])
        return _json(await echo(self._context.node, peer))

    async def studies(self, request: Request) -> Response:
        """Search studies; a name that is misspelt must not find all of them."""
        if unknown := [name for name in request.query_params if name not in PARAMETERS]:
            known = ", ".join(PARAMETERS)
            raise HttpError(400, f"{unknown[0][:80]!r} is no parameter of the search: {known}")
        search = read_search(request.query_params, self._config.page_size)
        found = await search_studies(self._archive(request), search)
        origin = self._context.origin_of(request)
        await record_search(self._context.node, origin, search, found.total)
        return _json(found)

    async def study(self, request: Request) -> Response:
        """Return a study."""
        found = await find_study(self._archive(request), request.path_params["study"])
        await self._record(request, VIEWED)
        return _json(found)

    async def delete(self, request: Request) -> Response:
        """Delete a study."""
        await self._delete_study(request)
        return Response(status_code=204)

    async def send(self, request: Request) -> Response:
        """Send a study to a peer."""
        await read_body(request, 10_000)
        node, uid = self._context.node, request.path_params["study"]
        peer = find_peer(node, request.query_params.get("peer", ""))
        await find_study(self._archive(request), uid)
        report = SendReport(0, 0)
        reasons: dict[str, None] = {}
        archive = self._archive(request, AccessAction.MOVE)
        await self._record(request, SENT, peer=peer.name)
        async for each in send_study(node, archive, uid, peer):
            reasons |= {each.failure: None} if each.failure else {}
            report = SendReport(each.sent, each.failed, tuple(reasons)[:20])
        return _json(report)

    async def series(self, request: Request) -> Response:
        """List the series of a study."""
        archive, uid = self._archive(request), request.path_params["study"]
        await find_study(archive, uid)
        found = await list_series(archive, uid)
        await self._record(request, VIEWED)
        return _json(found)

    async def instances(self, request: Request) -> Response:
        """List the instances of a series."""
        archive, uids = self._archive(request), request.path_params
        await find_study(archive, uids["study"])
        found = await list_instances(archive, uids["study"], uids["series"])
        await self._record(request, VIEWED, series=uids["series"])
        return _json(found)


def _json(model: Any) -> Response:
    return JSONResponse(unstructure(model), headers={"cache-control": "no-store"})
