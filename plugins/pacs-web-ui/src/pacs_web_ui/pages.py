"""The pages."""

import shutil
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qs, urlencode

from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, StreamResponse, read_body
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_core.contracts import (
    AccessAction,
    InstancePath,
    InvalidKeyError,
)
from pacs_core.dataset import MalformedDataset
from pacs_web_ui.attributes import Row, rows_of
from pacs_web_ui.auditing import SENT, VIEWED, record_search
from pacs_web_ui.changes import check_token, echo, find_peer, send_study
from pacs_web_ui.config import WebUiConfig
from pacs_web_ui.rendering import CSRF_COOKIE, POLICY, PageRenderer
from pacs_web_ui.studies import (
    find_study,
    list_instances,
    list_series,
    read_search,
    search_studies,
)
from pacs_web_ui.views import ArchiveViews


def page_routes(context: WebContext, config: WebUiConfig) -> list[BaseRoute]:
    """Return the routes of the pages."""
    pages = Pages(context, config)
    return [
        Route("/", pages.studies),
        Route("/node", pages.node),
        Route("/peers/{peer}/echo", pages.echo, methods=["POST"]),
        Route("/studies/{study}", pages.study),
        Route("/studies/{study}/delete", pages.ask_to_delete),
        Route("/studies/{study}/delete", pages.delete, methods=["POST"]),
        Route("/studies/{study}/send", pages.send, methods=["POST"]),
        Route("/studies/{study}/series/{series}", pages.series),
        Route("/studies/{study}/series/{series}/instances/{instance}", pages.instance),
    ]


class Pages(ArchiveViews):
    """The pages of a node."""

    def __init__(self, context: WebContext, config: WebUiConfig) -> None:
        super().__init__(context, config)
        self._renderer = PageRenderer(context, config)

    async def studies(self, request: Request) -> Response:
        """Show the studies that match; to HTMX, the table alone."""
        archive = self._archive(request)
        parameters = {k: v for k, v in request.query_params.items() if v}
        problem = ""
        try:
            search = read_search(parameters, self._config.page_size)
            found = await search_studies(archive, search)
            origin = self._context.origin_of(request)
            await record_search(self._context.node, origin, search, found.total)
        except (InvalidKeyError, HttpError) as error:
            if not isinstance(error, InvalidKeyError) and error.status != 400:
                raise
            problem = str(error)  # half a date, as long as it is being typed
            search, found = read_search({}, self._config.page_size), None
        is_part = request.headers.get("hx-target") == "results"
        return self._renderer.page(
            request,
            "_results.html" if is_part else "studies.html",
            found=found,
            search=search,
            problem=problem,
            given=parameters,
            link=lambda **changes: "?" + urlencode(_changed(parameters, changes)),
        )

    async def study(self, request: Request) -> Response:
        """Show a study and its series."""
        archive, uid = self._archive(request), request.path_params["study"]
        study = await find_study(archive, uid)
        series = await list_series(archive, uid)
        await self._record(request, VIEWED)
        return self._renderer.page(request, "study.html", study=study, series=series)

    async def series(self, request: Request) -> Response:
        """Show a series and its instances."""
        archive, uid = self._archive(request), request.path_params["study"]
        study = await find_study(archive, uid)
        number = request.path_params["series"]
        found = [s for s in await list_series(archive, uid) if s.series_instance_uid == number]
        if not found:
            raise HttpError(404, "there is no such series in this study")
        instances = await list_instances(archive, uid, number)
        await self._record(request, VIEWED, series=number)
        return self._renderer.page(
            request, "series.html", study=study, series=found[0], instances=instances
        )

    async def instance(self, request: Request) -> Response:
        """Show an instance and all its attributes."""
        archive, parameters = self._archive(request), request.path_params
        study = await find_study(archive, parameters["study"])
        path = InstancePath(parameters["study"], parameters["instance"])
        stored = await archive.locate(path)
        if stored is None or stored.identity.series_instance_uid != parameters["series"]:
            raise HttpError(404, "there is no such instance in this series")
        rows: list[Row] = []
        problem, has_pixels = "", False
        try:
            header = await archive.header(stored)
            rows, has_pixels = rows_of(header), header.pixel_data is not None
        except MalformedDataset as error:
            problem = str(error)
        await self._record(request, VIEWED, instance=parameters["instance"])
        return self._renderer.page(
            request, "instance.html", study=study, identity=stored.identity, rows=rows,
            problem=problem, has_pixels=has_pixels,
        )  # fmt: skip

    async def ask_to_delete(self, request: Request) -> Response:
        """Ask whether a study is to be deleted."""
        self._check_deletion()
        study = await find_study(self._archive(request), request.path_params["study"])
        return self._renderer.page(request, "delete.html", study=study)

    async def delete(self, request: Request) -> Response:
        """Delete a study."""
        self._check_deletion()
        await self._form(request)
        await self._delete_study(request)
        return RedirectResponse(f"{self._context.base_path(request)}/ui/", 303)

    async def send(self, request: Request) -> Response:
        """Send a study to a peer; the page grows while that goes on, and stops it when closed."""
        form = await self._form(request)
        node = self._context.node
        peer = find_peer(node, form.get("peer", ""))
        study = await find_study(self._archive(request), request.path_params["study"])
        archive = self._archive(request, AccessAction.MOVE)
        await self._record(request, SENT, peer=peer.name)

        async def page() -> AsyncIterator[bytes]:
            total = study.number_of_study_related_instances
            text = self._renderer.text(request, "send.html", study=study, peer=peer, csrf="")
            begin, _, end = text.partition("<!-- progress -->")
            yield begin.encode()
            async for each in send_study(node, archive, study.study_instance_uid, peer):
                part = self._renderer.text(request, "_sent.html", each=each, total=total)
                yield part.encode()
            yield end.encode()

        headers = {"content-security-policy": POLICY, "cache-control": "no-store"}
        return StreamResponse(page(), headers=headers, media_type="text/html; charset=utf-8")

    async def echo(self, request: Request) -> Response:
        """Say whether a peer answers."""
        await self._form(request)
        peer = find_peer(self._context.node, request.path_params["peer"])
        answer = await echo(self._context.node, peer)
        return await self._node_page(request, {peer.name: answer})

    async def node(self, request: Request) -> Response:
        """Show the node: its peers, its sections, its disk."""
        return await self._node_page(request, {})

    async def _node_page(self, request: Request, answers: Mapping[str, object]) -> Response:
        directory = self._context.node.settings.data_directory
        free = shutil.disk_usage(directory).free if directory.is_dir() else 0
        return self._renderer.page(
            request,
            "node.html",
            sections=self._context.site.sections,
            free=f"{free / 1e9:,.1f} GB",
            answers=answers,
        )

    async def _form(self, request: Request) -> Mapping[str, str]:
        """Return the fields of a form of ours."""
        text = (await read_body(request, 10_000)).decode("utf-8", "replace")
        fields = {name: values[0] for name, values in parse_qs(text, max_num_fields=20).items()}
        check_token(request, CSRF_COOKIE, fields.get("csrf", ""))
        return fields


def _changed(parameters: Mapping[str, str], changes: Mapping[str, object]) -> dict[str, str]:
    kept = {name: value for name, value in parameters.items() if name not in ("offset", "lang")}
    return kept | {name: str(value) for name, value in changes.items()}
