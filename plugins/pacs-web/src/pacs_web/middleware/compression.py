"""Compression of texts, by zstd or gzip, as the client prefers (RFC 9110 §12.5.3).

Images are compressed already, and multipart responses may be gigabytes of them: only texts are,
DICOM JSON and XML among them. A stream is compressed piece by piece, so that its beginning need not
wait for its end.
"""

import re
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final

import anyio.to_thread
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pacs_web.remembered import remembered

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_TEXT: Final = re.compile(
    rb"text/(?!event-stream)|application/([\w.-]+\+)?(json|xml|javascript)|image/svg\+xml"
)
_NEVER: Final = frozenset({204, 206, 304})
"""Statuses of responses that are nothing, a part of something, or what the client has already."""
_ACCEPT_ENCODING: Final = b"accept-encoding"
_LEAST: Final = 1024  # bytes below which it is not worth the while
_FLUSH: Final = 32 * 1024  # bytes of a stream that are held back at most, but for its first piece
_IN_A_THREAD: Final = 256 * 1024  # bytes that would keep the event loop busy for too long


class _Gzip:
    def __init__(self) -> None:
        self._encoder = zlib.compressobj(level=3, wbits=31)

    def compress(self, data: bytes) -> bytes:
        return self._encoder.compress(data)

    def flush(self) -> bytes:
        return self._encoder.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._encoder.flush()


class _Zstd:
    def __init__(self) -> None:
        self._encoder = zstd.ZstdCompressor(level=3)

    def compress(self, data: bytes) -> bytes:
        return self._encoder.compress(data)

    def flush(self) -> bytes:
        return self._encoder.flush(zstd.ZstdCompressor.FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._encoder.flush(zstd.ZstdCompressor.FLUSH_FRAME)


_ENCODERS: Final[dict[str, Callable[[], Any]]] = {"zstd": _Zstd, "gzip": _Gzip}
"""By content coding, what we prefer first."""


@remembered
def choose_encoding(accept: str) -> str:
    """Return the content coding for an Accept-Encoding header; empty for none."""
    if not accept:
        return ""
    weights: dict[str, float] = {}
    for element in accept.lower().split(","):
        name, _, parameter = element.partition(";")
        try:
            weight = float(parameter.partition("=")[2]) if "q=" in parameter else 1.0
        except ValueError:
            weight = 0.0
        weights[name.strip()] = weight
    others = weights.get("*", 0.0)
    identity = weights.get("identity", 0.0)
    best = max(_ENCODERS, key=lambda name: weights.get(name, others))
    weight = weights.get(best, others)
    return best if weight > 0 and weight >= identity else ""


class ResponseCompression:
    """Compresses responses that are texts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _ACCEPT_ENCODING), b"")
        encoding = choose_encoding(given.decode("latin-1"))
        responder = _Responder(send, encoding, is_head=scope["method"] == "HEAD")
        await self._app(scope, receive, responder.send)


class _Responder:
    """Sends one response."""

    def __init__(self, send: Send, encoding: str, *, is_head: bool) -> None:
        self._send, self._encoding, self._is_head = send, encoding, is_head
        self._start: Message | None = None
        self._encoder: Any = None
        self._held = _FLUSH  # the first piece leaves at once

    async def send(self, message: Message) -> None:
        """Pass a message on, compressed."""
        if message["type"] == "http.response.start":
            if _is_text(message):
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Accept-Encoding")
                self._start = message if self._encoding and not self._is_head else None
                if self._encoding and self._is_head:
                    del headers["content-length"]  # that of GET would be another (RFC 9110 §8.6)
            if self._start is None:
                await self._send(message)
            return
        if self._start is not None:
            await self._begin(self._start, message)
            self._start = None
        if self._encoder is not None:
            message = await self._compress(message)
            if not message["body"] and message["more_body"]:
                return
        await self._send(message)

    async def _begin(self, start: Message, first: Message) -> None:
        """Send the head, which depends on how much there is to compress."""
        if len(first.get("body", b"")) >= _LEAST or first.get("more_body", False):
            headers = MutableHeaders(scope=start)
            headers["content-encoding"] = self._encoding
            del headers["content-length"]
            if (tag := headers.get("etag")) and not tag.startswith("W/"):
                headers["etag"] = f"W/{tag}"  # other bytes than those that it names
            self._encoder = _ENCODERS[self._encoding]()
        await self._send(start)

    async def _compress(self, message: Message) -> Message:
        body = bytes(message.get("body", b""))
        more = message.get("more_body", False)
        if len(body) > _IN_A_THREAD:
            data = await anyio.to_thread.run_sync(self._encoder.compress, body)
        else:
            data = self._encoder.compress(body)
        self._held += len(body)
        if not more:
            data += self._encoder.finish()
        elif body and self._held >= _FLUSH:
            data += self._encoder.flush()
            self._held = 0
        return {"type": "http.response.body", "body": data, "more_body": more}


def _is_text(start: Message) -> bool:
    headers = dict(start.get("headers", ()))
    return (
        start["status"] not in _NEVER
        and _TEXT.match(headers.get(b"content-type", b"")) is not None
        and b"content-encoding" not in headers
        and b"no-transform" not in headers.get(b"cache-control", b"")
    )
