"""The routes of the notice board."""

import json
from html import escape

from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, read_body
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_core.contracts import (
    AccessDeniedError,
    InstanceNotFoundError,
    Level,
    OutOfResourcesError,
    Query,
    StorageFullError,
    TranscodingError,
)

FAILURES = {
    "denied": AccessDeniedError("you may not"),
    "missing": InstanceNotFoundError("no such instance"),
    "full": StorageFullError("no space"),
    "busy": OutOfResourcesError("no memory"),
    "transcoding": TranscodingError("cannot be converted"),
    "teapot": HttpError(418, "short and stout", {"x-spout": "yes"}, handle="one"),
    "exit": SystemExit(3),
    "bug": ZeroDivisionError("a secret of the server"),
}


def board_routes(context: WebContext) -> list[BaseRoute]:
    """Return the page, and what it shows."""
    notices: list[str] = []

    async def page(request: Request) -> Response:
        base = context.base_path(request)
        items = "".join(f"<li>{escape(each)}</li>" for each in notices)
        return HTMLResponse(f'<a href="{base}/bulletin/">Notices</a><ul>{items}</ul>')

    async def read(request: Request) -> Response:
        return JSONResponse(notices)

    async def write(request: Request) -> Response:
        try:
            notices.append(str(json.loads(await read_body(request, 1000))["text"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise HttpError(400, 'send {"text": "..."}') from None
        where = f"{context.base_url(request)}/bulletin/notices/{len(notices)}"
        return JSONResponse({"at": where}, 201, headers={"location": where})

    async def one(request: Request) -> Response:
        number = request.path_params["number"]
        if not 1 <= number <= len(notices):
            raise HttpError(404, f"there are {len(notices)} notices")
        return JSONResponse(notices[number - 1])

    async def who(request: Request) -> Response:
        origin = context.origin_of(request)
        studies = await context.node.archive.on_behalf_of(origin).count(Query(Level.STUDY))
        return JSONResponse(
            {
                "interface": origin.interface,
                "host": origin.host,
                "user": origin.user,
                "url": context.base_url(request),
                "route": str(request.url_for("bulletin:one", number=1)),
                "navigation": [entry.title for entry in context.site.navigation],
                "studies": studies,
                "worker": context.node.worker.slot,
            }
        )

    async def fail(request: Request) -> Response:
        raise FAILURES.get(request.path_params["how"], HttpError(404, "no such failure"))

    return [
        Route("/", page),
        Route("/notices", read),
        Route("/notices", write, methods=["POST"]),
        Route("/notices/{number:int}", one, name="one"),
        Route("/who", who),
        Route("/fail/{how}", fail),
    ]
