"""The routes: a page, and what it shows as JSON."""

from collections import Counter
from html import escape

from pacs_core.contracts import Level, Origin, Query
from pacs_core.dataset import tag_of
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from {{ cookiecutter.__package }}.config import Config

MODALITY = tag_of("Modality")


def modality_routes(context: WebContext, config: Config) -> list[BaseRoute]:
    """Return the routes below the prefix.

    Parameters
    ----------
    context : WebContext
        The node, and what the server knows of requests.
    config : Config
    """

    async def count_series(origin: Origin) -> Counter[str]:
        # As whoever asks may use it: what is not permitted is not counted.
        archive = context.node.archive.on_behalf_of(origin)
        counts: Counter[str] = Counter()
        query = Query(Level.SERIES, returning=frozenset({MODALITY}))
        async for series in archive.search(query):
            if counts.total() == config.limit:
                raise HttpError(503, f"there are more than {config.limit} series")
            counts[str((series.get(MODALITY) or ("",))[0])] += 1
        return counts

    async def page(request: Request) -> Response:
        counts = await count_series(context.origin_of(request))
        rows = "".join(f"<tr><td>{escape(m)}<td>{n}" for m, n in sorted(counts.items()))
        home = f'<a href="{context.base_path(request)}/">Home</a>'
        return HTMLResponse(
            '<!doctype html><html lang="en"><title>Modalities</title>'
            f"<h1>Modalities</h1><table>{rows}</table><p>{home}"
        )

    async def series(request: Request) -> Response:
        return JSONResponse(await count_series(context.origin_of(request)))

    return [Route("/", page), Route("/series", series)]
