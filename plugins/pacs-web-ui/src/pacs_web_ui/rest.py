"""The API: what the pages show and do, as JSON."""

from typing import Any

from cattrs import unstructure
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, json_response, read_body
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_core.contracts import AccessAction
from pacs_web_ui.auditing import (
    NODE_VIEWED,
    PEER_QUERIED,
    RETRIEVED,
    SENT,
    VIEWED,
    record_search,
)
from pacs_web_ui.changes import echo
from pacs_web_ui.config import WebUiSettings
from pacs_web_ui.models import NodeSummary, PeerSummary, SectionSummary
from pacs_web_ui.node_status import read_configuration, read_status
from pacs_web_ui.peer_pages import read_remote_keys
from pacs_web_ui.remote import find_remote_studies, retrieve
from pacs_web_ui.service import (
    INSPECT_NODE,
    QUERY_PEER,
    RETRIEVE_FROM_PEER,
    WebUi,
    read_uid,
)
from pacs_web_ui.studies import (
    FILTERS,
    PARAMETERS,
    find_study,
    list_instances,
    list_series,
    read_search,
    search_studies,
)
from pacs_web_ui.transfers import answer_progress, send_study


def api_routes(context: WebContext, settings: WebUiSettings) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = Api(WebUi(context, settings))
    return [
        Route("/node", api.node),
        Route("/node/status", api.status),
        Route("/node/configuration", api.configuration),
        Route("/peers", api.peers),
        Route("/peers/{peer}/echo", api.echo, methods=["POST"]),
        Route("/peers/{peer}/studies", api.remote_studies),
        Route("/peers/{peer}/retrieve", api.retrieve, methods=["POST"]),
        Route("/studies", api.studies),
        Route("/studies/{study}", api.study),
        Route("/studies/{study}", api.delete, methods=["DELETE"]),
        Route("/studies/{study}/send", api.send, methods=["POST"]),
        Route("/studies/{study}/series", api.series),
        Route("/studies/{study}/series/{series}/instances", api.instances),
    ]


class Api:
    """The API of a node."""

    def __init__(self, ui: WebUi) -> None:
        self._ui = ui

    async def node(self, request: Request) -> Response:
        """Say what the node is."""
        await self._ui.require(request, INSPECT_NODE)
        settings, site = self._ui.node.settings, self._ui.context.site
        sections = tuple(SectionSummary(s.name, s.title, s.prefix or "/") for s in site.sections)
        return _json(NodeSummary(settings.ae_title, settings.host, settings.port, sections))

    async def status(self, request: Request) -> Response:
        """Say how the node is doing."""
        await self._ui.require(request, INSPECT_NODE)
        await self._ui.record(request, NODE_VIEWED)
        return _json(await read_status(self._ui.node, self._ui.archive(request)))

    async def configuration(self, request: Request) -> Response:
        """Return every key of the configuration, and where its value comes from."""
        await self._ui.require(request, INSPECT_NODE)
        await self._ui.record(request, NODE_VIEWED, page="configuration")
        return _json(read_configuration(self._ui.node))

    async def peers(self, request: Request) -> Response:
        """List the configured peers."""
        await self._ui.require(request, INSPECT_NODE)
        peers = self._ui.node.settings.peers.items()
        return _json([PeerSummary(name, p.ae_title, p.host, p.port) for name, p in peers])

    async def echo(self, request: Request) -> Response:
        """Ask a peer whether it is there."""
        peer = self._ui.peer(request.path_params["peer"])
        await self._ui.require(request, QUERY_PEER, peer)
        return _json(await echo(self._ui.node, peer))

    async def remote_studies(self, request: Request) -> Response:
        """Search studies at a peer."""
        _refuse_unknown(request, (*FILTERS, "from", "to"))
        peer, keys = self._ui.peer(request.path_params["peer"]), dict(request.query_params)
        remote = read_remote_keys(keys)
        await self._ui.require(request, QUERY_PEER, peer)
        await self._ui.record(request, PEER_QUERIED, peer=peer.name, **keys)
        return _json(await find_remote_studies(self._ui.node, peer, remote))

    async def retrieve(self, request: Request) -> Response:
        """Retrieve a study, or a series, from a peer."""
        await read_body(request, 10_000)
        peer = self._ui.peer(request.path_params["peer"])
        study = read_uid(request.query_params, "study")
        series = read_uid(request.query_params, "series", required=False)
        await self._ui.require(request, RETRIEVE_FROM_PEER, peer)
        await self._ui.record(request, RETRIEVED, study, peer=peer.name)
        return answer_progress(request, retrieve(self._ui.node, peer, study, series))

    async def studies(self, request: Request) -> Response:
        """Search studies; a name that is misspelt must not find all of them."""
        _refuse_unknown(request, PARAMETERS)
        search = read_search(request.query_params, self._ui.config.page_size)
        found = await search_studies(self._ui.archive(request), search)
        await record_search(self._ui.node, self._ui.origin(request), search, found.total)
        return _json(found)

    async def study(self, request: Request) -> Response:
        """Return a study."""
        found = await find_study(self._ui.archive(request), request.path_params["study"])
        await self._ui.record(request, VIEWED)
        return _json(found)

    async def delete(self, request: Request) -> Response:
        """Delete a study."""
        await self._ui.delete_study(request)
        return Response(status_code=204)

    async def send(self, request: Request) -> Response:
        """Send a study to a peer."""
        await read_body(request, 10_000)
        uid = request.path_params["study"]
        peer = self._ui.peer(request.query_params.get("peer", ""))
        study = await find_study(self._ui.archive(request), uid)
        archive = self._ui.archive(request, AccessAction.MOVE, peer)
        await self._ui.record(request, SENT, peer=peer.name)
        total = study.number_of_study_related_instances
        return answer_progress(request, send_study(self._ui.node, archive, uid, peer, total))

    async def series(self, request: Request) -> Response:
        """List the series of a study."""
        archive, uid = self._ui.archive(request), request.path_params["study"]
        await find_study(archive, uid)
        found = await list_series(archive, uid)
        await self._ui.record(request, VIEWED)
        return _json(found)

    async def instances(self, request: Request) -> Response:
        """List the instances of a series."""
        archive, uids = self._ui.archive(request), request.path_params
        await find_study(archive, uids["study"])
        found = await list_instances(archive, uids["study"], uids["series"])
        await self._ui.record(request, VIEWED, series=uids["series"])
        return _json(found)


def _refuse_unknown(request: Request, known: tuple[str, ...]) -> None:
    if unknown := [name for name in request.query_params if name not in known]:
        names = ", ".join(known)
        raise HttpError(400, f"{unknown[0][:80]!r} is no parameter of the search: {names}")


def _json(model: Any) -> Response:
    return json_response(unstructure(model))
