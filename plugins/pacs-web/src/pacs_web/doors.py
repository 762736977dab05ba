"""Routes of the server itself: health, the API document, and a page that links to the others."""

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

from pacs_web.api import WebContext, WebRoutesDescriptor
from pacs_web.health import health_routes

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;margin:3rem auto;max-width:40rem;padding:0 1rem}"
)


def own_routes(is_draining: Callable[[], bool]) -> list[WebRoutesDescriptor]:
    """Return the descriptors of the server's own routes.

    Parameters
    ----------
    is_draining : callable
        Tells whether the server is about to end.
    """
    return [*health_routes(is_draining), WebRoutesDescriptor("site", _create_site, "", "Site")]


def _create_site(context: WebContext) -> "Sequence[BaseRoute]":
    import hashlib
    from base64 import b64encode

    from starlette.responses import HTMLResponse, JSONResponse
    from starlette.routing import Route

    digest = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = {
        "content-security-policy": f"default-src 'none'; style-src 'sha256-{digest}'; "
        "frame-ancestors 'none'"
    }

    async def index(request: "Request") -> "Response":
        base = context.base_path(request)
        links = "".join(
            f'<li><a href="{escape(base + entry.path)}">{escape(entry.title)}</a></li>'
            for entry in context.site.navigation
            if entry.path
        )
        title = escape(context.node.settings.ae_title)
        body = f"<ul>{links}</ul>" if links else "<p>No plugin has added a page.</p>"
        return HTMLResponse(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            f"<style>{_STYLE}</style><h1>{title}</h1>{body}",
            headers=policy,
        )

    async def openapi(request: "Request") -> "Response":
        return JSONResponse(openapi_document(context, context.base_url(request)))

    return [Route("/", index), Route("/openapi.json", openapi)]


def openapi_document(context: WebContext, url: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of all sections.

    Parameters
    ----------
    context : WebContext
    url : str
        Of the root of the site.
    """
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {}
    tags = []
    for section in context.site.sections:
        if section.openapi is None:
            continue
        fragment = section.openapi(context)
        paths |= {section.prefix + path: item for path, item in fragment["paths"].items()}
        for kind, named in fragment.get("components", {}).items():
            components.setdefault(kind, {}).update(named)
        tags += fragment.get("tags", [])
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": context.node.settings.ae_title, "version": "1"},
        "servers": [{"url": url}],
        "paths": paths,
    }
    document |= {"components": components} if components else {}
    return document | ({"tags": tags} if tags else {})
