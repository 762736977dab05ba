"""Pages of studies, series and instances."""

from collections.abc import Mapping
from functools import partial
from urllib.parse import urlencode

from anyio import to_thread
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_core.api.threads import without_collection
from pacs_core.contracts import InstancePath, InvalidKeyError
from pacs_core.dataset import MalformedDataset
from pacs_web_ui.attributes import Row, rows_of
from pacs_web_ui.auditing import VIEWED, record_search
from pacs_web_ui.changes import find_holds
from pacs_web_ui.config import WebUiSettings
from pacs_web_ui.history_page import history_routes
from pacs_web_ui.node_page import node_routes
from pacs_web_ui.peer_pages import peer_routes
from pacs_web_ui.rendering import TemplateRenderer
from pacs_web_ui.service import WebUi
from pacs_web_ui.studies import (
    find_study,
    list_instances,
    list_series,
    read_search,
    search_studies,
)
from pacs_web_ui.viewer.display_sets import DOCUMENTS


def page_routes(context: WebContext, settings: WebUiSettings) -> list[BaseRoute]:
    """Return the routes of the pages."""
    ui, renderer = WebUi(context, settings), TemplateRenderer(context, settings)
    pages = Pages(ui, renderer)
    routes = [
        Route("/", pages.studies),
        Route("/studies/{study}", pages.study),
        Route("/studies/{study}/delete", pages.ask_to_delete),
        Route("/studies/{study}/delete", pages.delete, methods=["POST"]),
        Route("/studies/{study}/series/{series}", pages.series),
        Route("/studies/{study}/series/{series}/instances/{instance}", pages.instance),
        *history_routes(ui, renderer),
        *node_routes(ui, renderer),
        *peer_routes(ui, renderer),
    ]
    return [
        Route(each.path, renderer.with_problems(each.endpoint), methods=each.methods)
        for each in routes
    ]


class Pages:
    """Pages of what the archive has."""

    def __init__(self, ui: WebUi, renderer: TemplateRenderer) -> None:
        self._ui, self._renderer = ui, renderer

    async def studies(self, request: Request) -> Response:
        """Show the studies that match; to HTMX, the table alone."""
        archive = self._ui.archive(request)
        parameters = {k: v for k, v in request.query_params.items() if v}
        problem = ""
        try:
            search = read_search(parameters, self._ui.config.page_size)
            found = await search_studies(archive, search)
            await record_search(self._ui.node, self._ui.origin(request), search, found.total)
        except (InvalidKeyError, HttpError) as error:
            if not isinstance(error, InvalidKeyError) and error.status != 400:
                raise
            problem = str(error)  # half a date, as long as it is being typed
            search, found = read_search({}, self._ui.config.page_size), None
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
        archive, uid = self._ui.archive(request), request.path_params["study"]
        study = await find_study(archive, uid)
        series = await list_series(archive, uid)
        await self._ui.record(request, VIEWED)
        return self._renderer.page(request, "study.html", study=study, series=series)

    async def series(self, request: Request) -> Response:
        """Show a series and its instances."""
        archive, uid = self._ui.archive(request), request.path_params["study"]
        study = await find_study(archive, uid)
        number = request.path_params["series"]
        found = [s for s in await list_series(archive, uid) if s.series_instance_uid == number]
        if not found:
            raise HttpError(404, "there is no such series in this study")
        instances = await list_instances(archive, uid, number)
        await self._ui.record(request, VIEWED, series=number)
        return self._renderer.page(
            request, "series.html", study=study, series=found[0], instances=instances
        )

    async def instance(self, request: Request) -> Response:
        """Show an instance and all its attributes."""
        archive, parameters = self._ui.archive(request), request.path_params
        study = await find_study(archive, parameters["study"])
        path = InstancePath(parameters["study"], parameters["instance"])
        stored = await archive.locate(path)
        if stored is None or stored.identity.series_instance_uid != parameters["series"]:
            raise HttpError(404, "there is no such instance in this series")
        rows: list[Row] = []
        problem, has_pixels, is_whole = "", False, True
        with without_collection(stored.size):
            try:
                header = await archive.header(stored)
                has_pixels = header.pixel_data is not None
                rows, is_whole = rows_of(header)
                del header
            except MalformedDataset as error:
                problem = str(error)
        await self._ui.record(request, VIEWED, instance=parameters["instance"])
        write = partial(
            self._renderer.page, request, "instance.html", study=study, identity=stored.identity,
            rows=rows, is_whole=is_whole, problem=problem, has_pixels=has_pixels,
            is_document=stored.identity.sop_class_uid in DOCUMENTS,
        )  # fmt: skip
        # Thousands of rows, of a report or of an image with as many frames, take a second.
        return await to_thread.run_sync(write)

    async def ask_to_delete(self, request: Request) -> Response:
        """Ask whether a study is to be deleted."""
        self._ui.check_deletion()
        archive, uid = self._ui.archive(request), request.path_params["study"]
        study = await find_study(archive, uid)
        held = await find_holds(archive, uid, self._ui.origin(request))
        return self._renderer.page(request, "delete.html", study=study, held=held)

    async def delete(self, request: Request) -> Response:
        """Delete a study."""
        self._ui.check_deletion()
        await self._renderer.form(request)
        await self._ui.delete_study(request)
        return RedirectResponse(f"{self._ui.context.base_path(request)}/ui/", 303)


def _changed(parameters: Mapping[str, str], changes: Mapping[str, object]) -> dict[str, str]:
    kept = {name: value for name, value in parameters.items() if name not in ("offset", "lang")}
    return kept | {name: str(value) for name, value in changes.items()}
