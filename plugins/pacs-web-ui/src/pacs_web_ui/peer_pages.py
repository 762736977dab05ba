"""Pages of peers: a search there, and transfers from and to them."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pacs_core.api.streams import closing
from pacs_core.contracts import AccessAction, InvalidKeyError, Peer
from pacs_core.dataset import tag_of
from pacs_web_ui.auditing import PEER_QUERIED, RETRIEVED, SENT
from pacs_web_ui.remote import count_held, find_remote_studies, retrieve
from pacs_web_ui.rendering import TemplateRenderer
from pacs_web_ui.service import QUERY_PEER, RETRIEVE_FROM_PEER, WebUi, read_uid
from pacs_web_ui.studies import FILTERS, Study, find_study, read_search
from pacs_web_ui.transfers import TransferReport, pace, send_study

_STUDY: Final = tag_of("StudyInstanceUID")


def peer_routes(ui: WebUi, renderer: TemplateRenderer) -> list[Route]:
    """Return the routes of these pages."""
    pages = PeerPages(ui, renderer)
    return [
        Route("/query", pages.query),
        Route("/peers/{peer}/retrieve", pages.retrieve, methods=["POST"]),
        Route("/studies/{study}/send", pages.send, methods=["POST"]),
    ]


def read_remote_keys(parameters: Mapping[str, str]) -> dict[int, str]:
    """Return the keys of a query at a peer, by tag. HttpError 400 if one cannot be meant."""
    search = read_search({**parameters, "sort": "", "limit": "", "offset": "", "q": ""}, 1)
    try:
        search.query()  # a peer would only say that something is wrong
    except InvalidKeyError as error:
        raise HttpError(400, str(error)) from error
    return {FILTERS[name]: value for name, value in search.filters.items()}


class PeerPages:
    """Pages of what peers have."""

    def __init__(self, ui: WebUi, renderer: TemplateRenderer) -> None:
        self._ui, self._renderer = ui, renderer

    async def query(self, request: Request) -> Response:
        """Show the studies that match at a peer, once one is chosen."""
        await self._ui.require(request, QUERY_PEER)  # the form names the peers
        given = {name: value for name, value in request.query_params.items() if value}
        values: dict[str, Any] = {"given": given, "peer": None, "found": None, "held": {}}
        problem = ""
        if name := given.get("peer", ""):
            try:
                values |= await self._search(request, name, given)
            except HttpError as error:
                problem = str(error)
        return self._renderer.page(request, "query.html", problem=problem, **values)

    async def _search(
        self, request: Request, name: str, given: Mapping[str, str]
    ) -> dict[str, object]:
        peer = self._ui.peer(name)
        keys = read_remote_keys(given)
        await self._ui.require(request, QUERY_PEER, peer)
        asked = {name: given[name] for name in (*FILTERS, "from", "to") if name in given}
        await self._ui.record(request, PEER_QUERIED, peer=peer.name, **asked)
        found = await find_remote_studies(self._ui.node, peer, keys)
        held = await count_held(self._ui.archive(request), found)
        return {"peer": peer, "found": found, "held": held}

    async def retrieve(self, request: Request) -> Response:
        """Retrieve a study from a peer; the page grows while that goes on."""
        form = await self._renderer.form(request)
        peer = self._ui.peer(request.path_params["peer"])
        uid = read_uid(form, "study")
        await self._ui.require(request, RETRIEVE_FROM_PEER, peer)
        there = await find_remote_studies(self._ui.node, peer, {_STUDY: uid}, 1)
        if not there.studies:
            raise HttpError(404, f"{peer} has no such study")
        await self._ui.record(request, RETRIEVED, uid, peer=peer.name)
        reports = retrieve(self._ui.node, peer, uid)
        return self._show(request, reports, there.studies[0], peer, is_sending=False)

    async def send(self, request: Request) -> Response:
        """Send a study to a peer; the page grows while that goes on."""
        form = await self._renderer.form(request)
        peer = self._ui.peer(form.get("peer", ""))
        uid = request.path_params["study"]
        study = await find_study(self._ui.archive(request), uid)
        archive = self._ui.archive(request, AccessAction.MOVE, peer)
        await self._ui.record(request, SENT, peer=peer.name)
        total = study.number_of_study_related_instances
        reports = send_study(self._ui.node, archive, uid, peer, total)
        return self._show(request, reports, study, peer, is_sending=True)

    def _show(
        self,
        request: Request,
        reports: AsyncIterator[TransferReport],
        study: Study,
        peer: Peer,
        *,
        is_sending: bool,
    ) -> Response:
        """Show how a transfer goes; whoever leaves the page ends it."""
        values: dict[str, Any] = {"study": study, "peer": peer, "is_sending": is_sending}

        async def parts() -> AsyncIterator[str]:
            report = TransferReport()
            async with closing(pace(reports)) as paced:
                async for report in paced:
                    yield self._renderer.text(request, "_progress.html", report=report, **values)
            yield self._renderer.text(request, "_transferred.html", report=report, **values)

        return self._renderer.stream(request, "transfer.html", parts(), **values)
