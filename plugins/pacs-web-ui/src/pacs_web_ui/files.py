"""Files that pages load, and the way to the first page."""

from pathlib import Path
from typing import Final

from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def static_routes() -> list[BaseRoute]:
    """Return the route of the files; what is not in the folder is not there."""
    names = {path.name for path in _FOLDER.iterdir()}

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in names:
            raise HttpError(404, "there is no such file")
        path = _FOLDER / name
        headers = {"cache-control": "max-age=300"}
        return FileResponse(path, media_type=_TYPES[path.suffix], headers=headers)

    return [Route("/{name}", static)]


def home_routes(context: WebContext) -> list[BaseRoute]:
    """Return the route that leads from the root of the site to the study list."""

    async def home(request: Request) -> Response:
        return RedirectResponse(f"{context.base_path(request)}/ui/", 303)

    return [Route("/", home)]
