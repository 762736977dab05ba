"""The ASGI application of the server: the layers, and below them the routes of plugins.

::

    Entry         who asks, from where, under which name and ID; access log
    CORS          headers for pages of other origins, on errors as well
    Errors        what is raised becomes a problem, or a page; headers that keep browsers from harm
    Gate          what is refused before anything is made of it
    ResponseCompression  texts
    Dispatcher    which plugin's routes; who asks; limits of the body
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from attrs import evolve
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from pacs_core.contracts import Node, Origin, Principal
from pacs_web.api import WebAuthenticator, WebRefusal
from pacs_web.api.context import BASE_PATH_KEY, ORIGIN_KEY
from pacs_web.api.http import HttpError
from pacs_web.config import CurrentConfig
from pacs_web.contributions import Section
from pacs_web.middleware.bodies import limit_body
from pacs_web.middleware.compression import ResponseCompression
from pacs_web.middleware.entry import Entry
from pacs_web.middleware.errors import Errors
from pacs_web.middleware.gate import Gate
from pacs_web.refusals import Refusals

_EXPOSED: Final = (
    "Content-Disposition",
    "Content-Encoding",
    "Content-Location",
    "Content-Range",
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "Warning",
    "X-Request-ID",
    "X-Total-Count",
)
"""Headers of responses that pages of other origins may read, besides those that all may."""

Authenticators = Sequence[tuple[str, WebAuthenticator]]
_Judge = Callable[[HTTPConnection, Origin], Awaitable[Principal | WebRefusal | None]]


def build_application(
    node: Node,
    current: CurrentConfig,
    sections: Sequence[Section],
    authenticators: Authenticators,
    refusals: Refusals,
) -> ASGIApp:
    """Return the application that answers requests."""
    config = current.config
    app: ASGIApp = Dispatcher(current, sections, authenticators, refusals)
    if config.compression:
        app = ResponseCompression(app)
    app = Errors(Gate(app, current, refusals), node.settings.ae_title)
    if config.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=config.cors_origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
            allow_headers=("*",),
            allow_credentials=config.cors_credentials,
            expose_headers=_EXPOSED,
        )
    return Entry(app, node, current)


class Dispatcher:
    """Hands requests to the routes with the longest prefix of their path."""

    def __init__(
        self,
        current: CurrentConfig,
        sections: Sequence[Section],
        authenticators: Authenticators,
        refusals: Refusals,
    ) -> None:
        self._current, self._authenticators, self._refusals = current, authenticators, refusals
        ordered = sorted(sections, key=lambda each: len(each.descriptor.prefix), reverse=True)
        self._mounted = [each for each in ordered if each.descriptor.prefix]
        # What is at the root has one table, whichever plugins add to it.
        at_root = [route for each in ordered if not each.descriptor.prefix for route in each.routes]
        self._owners = {
            id(route): each
            for each in ordered
            if not each.descriptor.prefix
            for route in each.routes
        }
        mounts: list[BaseRoute] = [
            Mount(each.descriptor.prefix, routes=each.routes, name=each.descriptor.name)
            for each in ordered
            if each.descriptor.prefix
        ]
        self._router = Router([*mounts, *at_root])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope["app"] = scope["router"] = self._router
        path = scope["path"][len(scope[BASE_PATH_KEY]) :]
        section = self._section(path, scope)
        descriptor = section.descriptor if section else None
        if not path or (descriptor and path == descriptor.prefix):  # "/viewer" is "/viewer/"
            scope["path"] += "/"
        if descriptor is None or not descriptor.public:
            await self._authenticate(scope)
        max_body = descriptor.max_body if descriptor else 0
        methods = self._methods(scope) if scope["method"] == "OPTIONS" else set()
        if methods and "OPTIONS" not in methods:
            allow = {"allow": ", ".join(sorted(methods | {"OPTIONS"}))}
            await Response(status_code=204, headers=allow)(scope, receive, send)
            return
        receive = limit_body(scope, receive, self._current.config, max_body)
        asked = dict(scope)  # routers change it
        try:
            route = _find_route(section, scope) if section and section.descriptor.prefix else None
            await (route.handle if route else self._router)(scope, receive, send)
        except HTTPException as error:
            if error.status_code == 405:  # that of the first route that has the path
                methods = self._methods(asked) | {"OPTIONS"}
                detail = f"{scope['method']} is not among the methods of this resource"
                raise HttpError(405, detail, {"allow": ", ".join(sorted(methods))}) from None
            if error.status_code == 404 and error.detail == "Not Found":
                raise HttpError(404, "there is nothing at this path") from None
            raise

    def _section(self, path: str, scope: Scope) -> Section | None:
        for each in self._mounted:
            prefix = each.descriptor.prefix
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
                return each
        for route in self._router.routes:
            if id(route) in self._owners and route.matches(scope)[0] is not Match.NONE:
                return self._owners[id(route)]
        return None

    def _methods(self, scope: Scope) -> set[str]:
        return _methods(self._router.routes, scope)

    async def _authenticate(self, scope: Scope) -> None:
        if scope["method"] == "OPTIONS":  # says nothing of what is held
            return
        origin: Origin = scope[ORIGIN_KEY]
        request = HTTPConnection(scope)
        for name, each in self._authenticators:
            answer = await self._ask(name, each.authenticate, request, origin)
            if isinstance(answer, Principal):
                scope[ORIGIN_KEY] = evolve(origin, principal=answer)
                return
        for name, each in self._authenticators:
            await self._ask(name, each.refuse_anonymous, request, origin)

    async def _ask(
        self, name: str, judge: _Judge, request: HTTPConnection, origin: Origin
    ) -> Principal | None:
        try:
            answer = await judge(request, origin)
        except Exception as error:
            self._refusals.note(origin, f"the authenticator {name} failed: {error!r}")
            raise
        if isinstance(answer, WebRefusal):
            if answer.status >= 400:  # else it only leads to where one signs in
                self._refusals.note(origin, f"{answer.status} {answer.reason}")
            raise HttpError(answer.status, answer.reason, answer.headers)
        return answer


def _find_route(section: Section, scope: Scope) -> BaseRoute | None:
    """Return the route of a section that answers a request, whose scope becomes that of its mount.

    The router would hold the path against the prefixes of all sections once more.
    """
    root = scope["root_path"]
    scope["app_root_path"], scope["root_path"] = root, root + section.descriptor.prefix
    for route in section.routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            scope["route"] = route
            scope.update(child)
            return route
    scope["root_path"] = scope.pop("app_root_path")
    return None


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """Return the methods of all routes that have the path of a request."""
    methods: set[str] = set()
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.NONE:
            continue
        if isinstance(route, Mount):
            return methods | _methods(route.routes, {**scope, **child})
        if isinstance(route, Route):
            methods |= route.methods or set()
    return methods
