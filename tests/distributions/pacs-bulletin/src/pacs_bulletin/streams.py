"""Routes that stream, in either direction."""

from collections.abc import AsyncIterator

import anyio
from pacs_web.api.http import StreamResponse, stream_body
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_core.contracts import DamagedObjectError

PIECE = 16384


def stream_routes() -> list[BaseRoute]:
    """Return routes that send, receive, and tell how many of them are at work."""
    at_work: list[str] = []

    async def count(request: Request) -> Response:
        at_work.append("receiving")
        try:
            total = 0
            async for piece in stream_body(request):
                total += len(piece)
        finally:
            at_work.remove("receiving")
        return JSONResponse({"bytes": total})

    async def ignore(request: Request) -> Response:
        return JSONResponse({"bytes": 0})

    async def send(request: Request) -> Response:
        query = request.query_params
        pieces = make(int(query.get("pieces", "10")), float(query.get("pause", "0")),
                      int(query.get("fails", "-1")))  # fmt: skip
        return StreamResponse(pieces, media_type="application/octet-stream")

    async def make(pieces: int, pause: float, fails: int) -> AsyncIterator[bytes]:
        at_work.append("sending")
        try:
            for number in range(pieces):
                if number == fails:
                    raise DamagedObjectError("the object is damaged")
                if pause:
                    await anyio.sleep(pause)
                yield bytes([number % 256]) * PIECE
        finally:
            at_work.remove("sending")

    async def work(request: Request) -> Response:
        return JSONResponse(at_work)

    return [
        Route("/count", count, methods=["POST"]),
        Route("/ignore", ignore, methods=["POST"]),
        Route("/send", send),
        Route("/work", work),
    ]
