"""``/metrics`` of the web server, for those who may do ``metrics.read``."""

from typing import TYPE_CHECKING

from pacs_web.api import WebContext, WebRoutesDescriptor

from pacs_metrics.exposition import expose

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute


def web_routes() -> list[WebRoutesDescriptor]:
    """Return the descriptor of the page."""
    return [WebRoutesDescriptor("metrics", _create, "/metrics", "Metrics")]


def _create(context: WebContext) -> "list[BaseRoute]":
    from starlette.responses import Response as Answer
    from starlette.routing import Route

    async def metrics(request: "Request") -> "Response":
        await context.require(request, "metrics.read")
        content, media_type = expose(context.node.meter, request.headers.get("accept", ""))
        headers = {"cache-control": "no-store", "content-type": media_type}
        return Answer(content, headers=headers)

    return [Route("/", metrics)]
