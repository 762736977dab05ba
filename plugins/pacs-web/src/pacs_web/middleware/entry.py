"""The outermost layer: what a request is, as its client made it, and a line in the access log.

Everything further in sees scheme, host, address and base path of the client, whichever proxies
were between: the headers of trusted ones are applied here, and nowhere else looked at.
"""

import logging
from collections.abc import Callable
from http import HTTPMethod, HTTPStatus
from itertools import count
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pacs_core.contracts import Node, Origin, SpanKind, SpanValue, TlsInfo, correlated
from pacs_web.api.context import BASE_PATH_KEY, ORIGIN_KEY, TLS_KEY
from pacs_web.config import CurrentConfig
from pacs_web.correlation import REQUEST_ID, correlation_of
from pacs_web.proxies import Forwarded, Proxies

access_logger = logging.getLogger("pacs_web.access")

_METHODS: Final = frozenset(HTTPMethod)
_SCHEMES: Final = (b"http://", b"https://")
_NOTHING_SAID: Final = Forwarded()


class Entry:
    """Applies what proxies say, and logs each request once it is answered."""

    def __init__(self, app: ASGIApp, node: Node, current: CurrentConfig) -> None:
        self._app, self._current = app, current
        self._ae_title = node.settings.ae_title
        self._proxies = Proxies(current.config.trusted_proxies)
        worker = node.worker
        self._tracing, meter = node.tracing, node.meter
        self._requests = meter.counter(
            "web_requests", "HTTP requests that were answered", labels=("method", "status")
        )
        self._seconds = meter.histogram(
            "web_request_seconds", "From a request to the end of its response", unit="seconds"
        )
        prefix = f"W{worker.slot}H" if worker.count > 1 else "H"
        numbers = count(1)
        self._next_id: Callable[[], str] = lambda: f"{prefix}{next(numbers)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope.setdefault("method", "GET")  # That of a WebSocket's handshake (RFC 6455 §4.1).
        _accept_absolute_form(scope)
        if scope["path"] == "*":  # OPTIONS of the server as a whole (RFC 9110 §9.3.7)
            scope["path"], scope["raw_path"] = "/", b"/"
        self._apply_proxies(scope)
        correlation = correlation_of(scope["headers"])
        status = sent = 0

        async def count_bytes(message: Message) -> None:
            nonlocal status, sent
            if message["type"].endswith("http.response.start"):
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (REQUEST_ID, correlation.id.encode("ascii")),
                ]
            elif message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.close":
                status = status or 403
            else:
                sent += len(message.get("body", b"") or message.get("text") or b"")
            await send(message)

        began = perf_counter()
        described = _span_of(scope) if self._tracing else ("", SpanKind.SERVER, None)
        with correlated(correlation), self._tracing.span(*described) as span:
            try:
                await self._app(scope, receive, count_bytes)
            finally:
                span.set("http.response.status_code", status)
                if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    span.fail(f"status {status}")
                seconds = perf_counter() - began
                self._count(scope["method"], status, seconds)
                is_logged = self._current.config.access_log != "off"
                if is_logged and access_logger.isEnabledFor(logging.INFO):
                    self._log(scope, status, sent, seconds)

    def _count(self, method: str, status: int, seconds: float) -> None:
        # A client may invent methods; statuses are ours, and few.
        name = method if method in _METHODS else "other"
        self._requests.add(1, method=name, status=str(status or "none"))
        self._seconds.observe(seconds)

    def _apply_proxies(self, scope: Scope) -> None:
        host, port = scope.get("client") or ("", 0)
        said = _NOTHING_SAID
        tls: TlsInfo | None = scope.get("state", {}).get(TLS_KEY)
        if self._proxies.trusts(host):
            said, tls = self._proxies.read(scope["headers"]), None  # that is the proxy's
        scope["scheme"] = said.scheme or scope["scheme"]
        if said.host:
            others = [each for each in scope["headers"] if each[0] != b"host"]
            scope["headers"] = [(b"host", said.host.encode("ascii")), *others]
        base = said.prefix or self._current.config.base_path
        # Unless it is below the base, the proxy has stripped that.
        if base and not f"{scope['path']}/".startswith(f"{base}/"):
            scope["path"] = base + scope["path"]
            scope["raw_path"] = base.encode() + scope["raw_path"]
        scope["root_path"] = scope[BASE_PATH_KEY] = base
        if said.client:
            host, port = said.client, 0
            scope["client"] = (host, port)
        scope[ORIGIN_KEY] = Origin(
            "HTTP",
            called_ae_title=self._ae_title,
            host=host,
            port=port,
            association=self._next_id(),
            tls=tls,
        )

    def _log(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        # A target has no character but visible ASCII (RFC 9112 §3.2): the parser has seen to that.
        target = scope["raw_path"].decode("ascii", "replace")
        if self._current.config.access_log == "full" and scope["query_string"]:
            target += "?" + scope["query_string"].decode("ascii", "replace")
        origin: Origin = scope[ORIGIN_KEY]
        fields = {
            "request": origin.association,
            "host": origin.host,
            "user": origin.user,
            "method": scope["method"],
            "target": target,
            "status": status,
            "bytes": sent,
            "seconds": round(seconds, 6),
        }
        access_logger.info(
            '%s %s %s "%s %s" %s %d B %.0f ms',
            origin.association, origin.host or "-", ascii(origin.user)[1:-1] or "-",
            scope["method"], target, status or "gone", sent, 1000 * seconds, extra=fields,
        )  # fmt: skip


def _span_of(scope: Scope) -> tuple[str, SpanKind, dict[str, SpanValue]]:
    method = scope["method"] if scope["method"] in _METHODS else "HTTP"
    origin: Origin = scope[ORIGIN_KEY]
    attributes: dict[str, SpanValue] = {
        "http.request.method": method,
        "url.scheme": scope["scheme"],
        "client.address": origin.host,
        "pacs.request": origin.association,
    }
    return method, SpanKind.SERVER, attributes


def _accept_absolute_form(scope: Scope) -> None:
    """Take ``GET http://host/path``, whose host goes before the header (RFC 9112 §3.2.2)."""
    raw: bytes = scope["raw_path"]
    if not raw.lower().startswith(_SCHEMES):
        return
    authority, slash, path = raw.partition(b"://")[2].partition(b"/")
    others = [each for each in scope["headers"] if each[0] != b"host"]
    scope["headers"] = [(b"host", authority), *others]
    scope["raw_path"] = slash + path or b"/"
    scope["path"] = "/" + scope["path"].partition("://")[2].partition("/")[2]
