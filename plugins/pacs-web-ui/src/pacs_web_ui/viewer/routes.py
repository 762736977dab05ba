"""Routes of the viewer: its page, pages of what is no image, and its modules.

The modules are served under a digest of them all: a browser keeps them for ever, and never mixes
those of two versions.
"""

import hashlib
import re
from functools import partial
from pathlib import Path
from typing import Any, Final

from anyio import Semaphore, to_thread
from attrs import evolve
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_core.api.sr import POLICY as REPORT_PAGE_POLICY
from pacs_core.api.threads import without_collection
from pacs_core.contracts import Archive, InstancePath, StoredInstance
from pacs_core.dataset import ElementSet, MalformedDataset
from pacs_web_ui.auditing import VIEWED, record_access
from pacs_web_ui.config import WebUiSettings
from pacs_web_ui.rendering import HEADERS, TemplateRenderer
from pacs_web_ui.studies import find_study, list_series
from pacs_web_ui.viewer.display_sets import list_display_sets
from pacs_web_ui.viewer.overview import LIMITS as OVERVIEW_LIMITS, find_referred, read_overview
from pacs_web_ui.viewer.report import LIMITS, write_report

PREFIX: Final = "/ui/viewer"
FILES: Final = "/ui/viewer/files"
_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript"}
_TEXT: Final = re.compile(r'\bt\("([^"]+)"\)')
"""How the modules ask for a text in the language of the page."""
_FOREVER: Final = "public, max-age=31536000, immutable"

# Documents are shown in frames: reports are pages of ours, PDF files come as blobs.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; media-src 'self'; frame-src 'self' blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
OVERVIEW_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
REPORT_POLICY: Final = f"{REPORT_PAGE_POLICY}; frame-ancestors 'self'"


def _digest(files: dict[str, bytes]) -> str:
    content = b"".join(name.encode() + files[name] for name in sorted(files))
    return hashlib.sha256(content).hexdigest()[:16]


def _read_files() -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in _FOLDER.iterdir() if each.suffix in _TYPES}


def file_routes() -> list[BaseRoute]:
    """Return the route of the modules."""
    files = _read_files()
    current = _digest(files)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise HttpError(404, "there is no such file")
        # A page that is older than the server gets what there is now, but does not keep it.
        is_current = request.path_params["digest"] == current
        headers = {"cache-control": _FOREVER if is_current else "no-store"}
        return Response(files[name], media_type=_TYPES[Path(name).suffix], headers=headers)

    return [Route("/{digest}/{name}", file)]


def viewer_routes(context: WebContext, settings: WebUiSettings) -> list[BaseRoute]:
    """Return the routes of the pages."""
    pages = ViewerPages(context, settings)
    instance = "/{study}/series/{series}/instances/{instance}"
    return [
        Route("/{study}", pages.viewer),
        Route(f"{instance}/report", pages.report),
        Route(f"{instance}/overview", pages.overview),
    ]


class ViewerPages:
    """The pages of the viewer."""

    def __init__(self, context: WebContext, settings: WebUiSettings) -> None:
        self._context = context
        self._renderer = TemplateRenderer(context, settings)
        # A large report takes hundreds of megabytes while it is read and written.
        self._reading = Semaphore(1)
        files = _read_files()
        self._files = f"{FILES}/{_digest(files)}"
        scripts = "".join(files[name].decode() for name in sorted(files) if name.endswith(".js"))
        self._scripted = sorted(set(_TEXT.findall(scripts)))

        self.viewer = self._renderer.with_problems(self._viewer)
        self.overview = self._renderer.with_problems(self._overview)

    async def _viewer(self, request: Request) -> Response:
        """Show a study."""
        origin = self._context.origin_of(request)
        archive = self._context.node.archive.on_behalf_of(origin)
        study = await find_study(archive, request.path_params["study"])
        series = await list_series(archive, study.study_instance_uid)
        sets = await list_display_sets(archive, study.study_instance_uid, series)
        await record_access(self._context.node, origin, VIEWED, study.study_instance_uid)
        return self._page(
            request, "viewer/viewer.html", POLICY, study=study, sets=sets, scripted=self._scripted
        )

    async def report(self, request: Request) -> Response:
        """Show an SR document."""
        archive, stored = await self._find(request)
        language, translate = self._renderer.language(request)
        base = f"{self._context.base_path(request)}{PREFIX}"
        async with self._reading:
            with without_collection(stored.size):
                try:
                    elements = (await archive.header(stored, LIMITS)).elements
                except MalformedDataset as error:
                    raise HttpError(406, f"the dataset cannot be read: {error}") from error
                study = stored.identity.study_instance_uid
                write = partial(write_report, elements, base, study, language, translate)
                page = HTMLResponse(await to_thread.run_sync(write), headers=HEADERS)
                del elements, write
        page.headers["content-security-policy"] = REPORT_POLICY
        return page

    async def _overview(self, request: Request) -> Response:
        """Show what an instance is that has no other form."""
        archive, stored = await self._find(request)
        study, problem = stored.identity.study_instance_uid, ""
        async with self._reading:
            with without_collection(stored.size):
                try:
                    elements = (await archive.header(stored, OVERVIEW_LIMITS)).elements
                except MalformedDataset as error:
                    elements, problem = ElementSet({}), str(error)
                read = partial(read_overview, stored, elements)
                overview, references = await to_thread.run_sync(read)
                del elements, read
        if references:
            series = await list_series(archive, study)
            found = await find_referred(archive, study, series, references)
            overview = evolve(overview, series=found)
        values = {"overview": overview, "identity": stored.identity, "size": stored.size}
        template = "viewer/overview.html"
        return self._page(request, template, OVERVIEW_POLICY, problem=problem, **values)

    async def _find(self, request: Request) -> tuple[Archive, StoredInstance]:
        """Return the instance that a path names, and the archive; that it is seen is recorded."""
        origin, parameters = self._context.origin_of(request), request.path_params
        archive = self._context.node.archive.on_behalf_of(origin)
        stored = await archive.locate(InstancePath(parameters["study"], parameters["instance"]))
        if stored is None or stored.identity.series_instance_uid != parameters["series"]:
            raise HttpError(404, "there is no such instance in this series")
        details = {"instance": parameters["instance"]}
        await record_access(self._context.node, origin, VIEWED, parameters["study"], details)
        return archive, stored

    def _page(self, request: Request, template: str, policy: str, **values: Any) -> Response:
        files = self._context.base_path(request) + self._files
        page = self._renderer.page(request, template, files=files, **values)
        page.headers["content-security-policy"] = policy
        return page
