"""Requests that are refused for what they are, before anything is made of them."""

import re
import socket
from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from pacs_web.api.context import ORIGIN_KEY
from pacs_web.api.http import HttpError
from pacs_web.config import CurrentConfig
from pacs_web.refusals import Refusals

_CLOSE: Final = {"connection": "close"}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MOST_KNOWN: Final = 64
_ADDRESS: Final = re.compile(r"(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])")


class Gate:
    """Refuses what no route should see.

    - A body whose length is said in two ways, which two servers in a row may cut differently
      (RFC 9112 §6.1, request smuggling).
    - A target that is too long, or has control characters once it is decoded.
    - A host that is not ours: a web page whose name was made to lead here could read everything
      (DNS rebinding).
    - A change that a page of another origin asks for, which a browser would make with the rights,
      or from the network, of whoever visits the page (cross-site request forgery). Browsers say
      where a request comes from; others do not, and may do as they like.
    """

    def __init__(self, app: ASGIApp, current: CurrentConfig, refusals: Refusals) -> None:
        self._app, self._current, self._refusals = app, current, refusals
        config = current.config
        own = {"localhost", socket.gethostname().lower(), config.host.lower()}
        named = {each.lower() for each in config.allowed_hosts}
        self._names = own | {each for each in named if not each.startswith("*.")}
        self._suffixes = tuple(each[1:] for each in named if each.startswith("*."))
        self._known: set[bytes] = set()  # Host headers that have been looked at, and are ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        # Of several with one name the first counts, as in Headers.
        headers = dict(reversed(scope["headers"]))
        try:
            self._check(scope, headers)
        except HttpError as problem:
            self._refusals.note(scope[ORIGIN_KEY], f"{problem.status} {problem.detail}")
            raise
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        config = self._current.config
        if b"transfer-encoding" in headers and (
            b"content-length" in headers or scope["http_version"] == "1.0"
        ):
            raise HttpError(
                400, "Transfer-Encoding with Content-Length, or in HTTP/1.0, is refused", _CLOSE
            )
        if scope["http_version"] not in ("1.0", "1.1"):
            raise HttpError(505, "this server speaks HTTP/1.1", _CLOSE)
        if len(scope["raw_path"]) + len(scope["query_string"]) > config.max_target:
            raise HttpError(
                414,
                f"the path and the query have more than {config.max_target} bytes",
            )
        # The parser counts only what has not come in one piece.
        if sum(len(name) + len(value) for name, value in scope["headers"]) > config.max_head:
            raise HttpError(431, f"the head has more than {config.max_head} bytes", _CLOSE)
        if _CONTROL.search(scope["path"]):
            raise HttpError(400, "the path has control characters")
        host = headers.get(b"host", b"")
        if not host:  # only HTTP/1.0 may come without one
            scope["headers"] = [(b"host", _listening_address(scope)), *scope["headers"]]
        elif host not in self._known:
            self._check_host(host.decode("latin-1").lower())
            if len(self._known) < _MOST_KNOWN:
                self._known.add(host)
        # Browsers let any page open a WebSocket anywhere.
        is_safe = scope["method"] in _SAFE and scope["type"] == "http"
        if not is_safe and not self._is_of_our_pages(scope, headers):
            raise HttpError(
                403,
                "a page of another origin may not make changes here, or open a WebSocket: if it "
                "shall, add its origin to cors_origins in [plugin.web]",
            )

    def _check_host(self, host: str) -> None:
        name = host if host.endswith("]") else re.sub(r":\d*$", "", host)
        is_ours = (
            "*" in self._names
            or name in self._names
            or _ADDRESS.fullmatch(name) is not None
            or name.endswith(self._suffixes)
        )
        if not is_ours:
            raise HttpError(
                421,
                f"this server is not {host[:253]!a}: if it shall be, add the name to "
                "allowed_hosts in [plugin.web]",
                _CLOSE,
            )

    def _is_of_our_pages(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        origin, site = (_text(headers, name) for name in (b"origin", b"sec-fetch-site"))
        allowed = self._current.config.cors_origins
        if origin is not None and (origin in allowed or "*" in allowed):
            return True
        if site is not None:
            return site in ("same-origin", "none")
        return origin is None or origin.partition("://")[2].lower() == _text(headers, b"host")


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _listening_address(scope: Scope) -> bytes:
    host, port = scope.get("server") or ("localhost", None)
    host = f"[{host}]" if ":" in host else host
    return (f"{host}:{port}" if port else host).encode("ascii")
