"""Health: whether the process answers (`live`), and whether it can do its work (`ready`).

Both may be asked by everybody, and so say nothing else. What is wrong is at ``/health/details``,
for those who may see how the node is (the action ``node.inspect``). The media type and its members
are those that monitors and balancers know as ``application/health+json``.

Theory of operation
-------------------
The checks of the node's parts (:class:`HealthChecks`) use these parts, so they are run at most once
a second, however many ask: everybody who asks meanwhile waits for the same answer.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import anyio
from attrs import define, field

from pacs_core.contracts import HealthResult, Level, Node
from pacs_web.api import WebContext, WebRoutesDescriptor

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_MEDIA_TYPE: Final = "application/health+json"
_DEADLINE: Final = 2.0
"""Seconds that checks have: balancers wait for some seconds at most."""
_FRESH: Final = 1.0
"""Seconds for which an answer holds."""


@define(eq=False)
class _Readiness:
    """What was found last, for all who ask at about the same time."""

    node: Node
    _found: Sequence[HealthResult] = ()
    _stale_at: float = 0.0
    _lock: anyio.Lock = field(factory=anyio.Lock)

    async def results(self) -> Sequence[HealthResult]:
        """Run the checks unless that was done just now."""
        async with self._lock:
            if anyio.current_time() >= self._stale_at:
                self._found = await self.node.health.run(_DEADLINE)
                self._stale_at = anyio.current_time() + _FRESH
        return self._found


def health_routes(is_draining: Callable[[], bool]) -> list[WebRoutesDescriptor]:
    """Return the descriptors of health.

    Parameters
    ----------
    is_draining : callable
        Tells whether the server is about to end.
    """

    def create(context: WebContext) -> "list[BaseRoute]":
        from starlette.responses import JSONResponse
        from starlette.routing import Route

        readiness = _Readiness(context.node)

        async def live(request: "Request") -> "Response":
            return JSONResponse({"status": "pass"}, media_type=_MEDIA_TYPE)

        async def ready(request: "Request") -> "Response":
            reason = "draining" if is_draining() else _missing(context)
            if not reason and any(each.problem for each in await readiness.results()):
                reason = "a part of the node does not work"
            content = {"status": "fail", "output": reason} if reason else {"status": "pass"}
            return JSONResponse(content, 503 if reason else 200, media_type=_MEDIA_TYPE)

        return [Route("/", ready), Route("/ready", ready), Route("/live", live)]

    def create_details(context: WebContext) -> "list[BaseRoute]":
        from starlette.responses import JSONResponse
        from starlette.routing import Route

        readiness = _Readiness(context.node)

        async def details(request: "Request") -> "Response":
            await context.require(request, "node.inspect")
            results = await readiness.results()
            fails = is_draining() or any(each.problem for each in results)
            content = {
                "status": "fail" if fails else "pass",
                "checks": {each.name: [_entry(each)] for each in results},
            }
            return JSONResponse(content, 503 if fails else 200, media_type=_MEDIA_TYPE)

        return [Route("/", details)]

    return [
        WebRoutesDescriptor("health", create, "/health", "Health", public=True),
        WebRoutesDescriptor(
            "health-details", create_details, "/health/details", "Health, check by check"
        ),
    ]


def _entry(result: HealthResult) -> dict[str, Any]:
    entry: dict[str, Any] = {"status": "fail" if result.problem else "pass"}
    entry |= {"observedValue": round(result.seconds, 6), "observedUnit": "s"}
    return entry | ({"output": result.problem} if result.problem else {})


def _missing(context: WebContext) -> str:
    """Return what keeps the node from answering; empty if nothing does."""
    try:
        context.node.archive.searchable_tags(Level.STUDY)
    except LookupError:
        return "no store and index"
    return ""
