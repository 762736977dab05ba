"""Requests and responses for routes: bodies with limits, streams that stop, problems as answers."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Collection, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final

import anyio.lowlevel
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from pacs_web.inflating import ENCODINGS, BodyInflater, InflateError

__all__ = [
    "ClientDisconnect",
    "HttpError",
    "StreamResponse",
    "json_response",
    "problem_response",
    "read_body",
    "read_parameters",
    "stream_body",
]

_UNINTERRUPTED: Final = 64 * 1024
PROBLEM_JSON: Final = "application/problem+json"


class HttpError(Exception):
    """A request that is answered with a problem (RFC 9457). Nothing is logged as an error of ours.

    What the kernel raises need not be turned into one: its table says which status it becomes.

    Parameters
    ----------
    status : int
    detail : str
        What was wrong, where, and what to do. For people.
    headers : mapping of str to str
        Of the response.
    **members
        Further members of the problem.
    """

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers, self.members = dict(headers or {}), members


def json_response(content: object, status: int = 200) -> Response:
    """Return an answer of REST, which nobody keeps.

    Parameters
    ----------
    content
        What :func:`json.dumps` takes.
    status : int
    """
    return JSONResponse(content, status, headers={"cache-control": "no-store"})


def read_parameters(request: Request, known: Collection[str]) -> dict[str, str]:
    """Return the query parameters of a request; one that is misspelt must not mean all there is.

    Parameters
    ----------
    request : Request
    known : collection of str
        Which there may be.

    Raises
    ------
    HttpError
        400: there is another.
    """
    if unknown := [name for name in request.query_params if name not in known]:
        raise HttpError(400, f"{unknown[0][:80]!r} is no parameter: {', '.join(known)}")
    return dict(request.query_params)


def problem_response(problem: HttpError, request_id: str = "") -> Response:
    """Return the response about a problem, as ``application/problem+json``.

    Parameters
    ----------
    problem : HttpError
    request_id : str
        By which it is found in the log.
    """
    try:
        title = HTTPStatus(problem.status).phrase
    except ValueError:
        title = "Error"
    content = {"type": "about:blank", "title": title, "status": problem.status}
    content |= {"detail": problem.detail} if problem.detail else {}
    content |= {"request": request_id} if request_id else {}
    headers = {"cache-control": "no-store"} | problem.headers
    return JSONResponse(
        content | problem.members, problem.status, headers=headers, media_type=PROBLEM_JSON
    )


async def stream_body(request: Request, limit: int | None = None) -> AsyncIterator[bytes]:
    """Iterate over the body of a request, inflated if it says that it is compressed.

    Pieces have at most 64 KiB. gzip, deflate and zstd are inflated, and nothing that expands
    without reason: see :class:`BodyInflater`.

    Parameters
    ----------
    request : Request
    limit : int, optional
        Bytes that the body may have, inflated.

    Raises
    ------
    HttpError
        413 if it is larger, 415 if it is encoded otherwise, 400 if it cannot be inflated.
    ClientDisconnect
        The client left before the end.
    """
    total = 0
    async with aclosing(_pieces(request)) as pieces:
        async for piece in pieces:
            total += len(piece)
            if limit is not None and total > limit:
                raise _too_large(limit)
            yield piece


def _too_large(limit: int) -> HttpError:
    return HttpError(413, f"the body of the request has more than {limit} bytes")


async def _pieces(request: Request) -> AsyncGenerator[bytes, None]:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                yield chunk
        return
    if encoding not in ENCODINGS:
        accepted = {"accept-encoding": ", ".join(ENCODINGS)}  # RFC 9110 §12.5.3
        raise HttpError(415, f"Content-Encoding {encoding!r:.60} is not supported", accepted)
    inflater = BodyInflater(encoding)
    try:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                for piece in inflater.feed(chunk):
                    yield piece
                    await anyio.lowlevel.checkpoint()
        inflater.finish()
    except InflateError as error:
        raise HttpError(413 if error.is_bomb else 400, str(error)) from error


async def read_body(request: Request, limit: int = 1 << 20) -> bytes:
    """Return the body of a request, inflated if it says that it is compressed.

    Raises
    ------
    HttpError, ClientDisconnect
        As of :func:`stream_body`.
    """
    if "content-encoding" in request.headers:
        return b"".join([piece async for piece in stream_body(request, limit)])
    pieces, total = [], 0
    async for piece in request.stream():
        total += len(piece)
        if total > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


class StreamResponse(Response):
    """A response that is made while it is sent.

    - The first piece is made before anything is sent: what fails until then becomes a problem
      with a status of its own. What fails later cuts the response off, so that the client does
      not take it for whole.
    - When the client leaves, or takes nothing for too long, the generator is closed.
    - After each 64 KiB others have their turn, even if the generator never waits.

    Parameters
    ----------
    content : async iterable of bytes-like
    status_code, headers, media_type
        As of any Starlette response.
    """

    def __init__(
        self,
        content: AsyncIterable[bytes | memoryview],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self.content = content
        self.status_code = status_code
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set the headers; no length, unless it is given."""
        self.body = b""
        super().init_headers(headers)
        if "content-length" not in Headers(headers=headers):
            self.raw_headers = [each for each in self.raw_headers if each[0] != b"content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, until its end or until the client leaves."""
        failure: Exception | None = None
        gone = False
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                nonlocal gone
                while (await receive())["type"] != "http.disconnect":
                    pass
                gone = True
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            try:
                await self._send(scope, send)
            except Exception as error:
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if gone:
            raise ClientDisconnect

    async def _send(self, scope: Scope, send: Send) -> None:
        iterator = aiter(self.content)
        try:
            first = await anext(iterator, b"")
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            if scope["method"] != "HEAD":
                await send({"type": "http.response.body", "body": first, "more_body": True})
                without_pause = len(first)
                async for piece in iterator:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    without_pause += len(piece)
                    if without_pause > _UNINTERRUPTED:
                        without_pause = 0
                        await anyio.lowlevel.checkpoint()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if isinstance(iterator, AsyncGenerator):
                with anyio.CancelScope(shield=True):
                    await iterator.aclose()
