"""WebSockets pass the layers of the server, and are held open (RFC 6455)."""

from contextlib import AsyncExitStack

import anyio
import pytest
from pacs_web.api import WebRoutesDescriptor
from pacs_web.config import WebConfig, WebTimeouts
from pacs_web.testing import serve_routes
from pacs_web.websocket_client import open_websocket
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

pytestmark = pytest.mark.anyio


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        if text == "fail":
            raise ValueError("as it was told")
        await websocket.send_text(f"{text} {websocket.path_params['name']}")


ECHO = WebRoutesDescriptor("echo", lambda _: [WebSocketRoute("/{name}", echo)], prefix="/echo")


async def test_a_websocket_is_answered_as_long_as_it_lasts() -> None:
    """No deadline of a request ends it."""
    config = WebConfig(timeouts=WebTimeouts(head=0.2, idle=0.2, body=0.2))
    async with serve_routes(ECHO, config=config) as server:
        async with open_websocket(server.port, "/echo/Jane") as client:
            assert client.status == 101
            for _ in range(2):
                await client.send("hello")
                assert await client.receive() == "hello Jane"
                await anyio.sleep(0.5)
            await client.send("x" * (2 << 20))
            with pytest.raises(EOFError):
                await client.receive()
        async with open_websocket(server.port, "/echo/Jane") as client:
            await client.send("fail")
            with pytest.raises(EOFError):
                await client.receive()


async def test_who_may_not_have_one_is_told_why() -> None:
    async with serve_routes(ECHO, config=WebConfig(max_target=256)) as server:
        for path, headers, status in (
            ("/echo/Jane", {"origin": "https://evil.example.org"}, 403),
            ("/echo/Jane", {"sec-fetch-site": "cross-site"}, 403),
            ("/echo/" + "x" * 400, {}, 414),
            ("/nothing", {}, 403),
        ):
            async with open_websocket(server.port, path, headers) as client:
                assert client.status == status, path
        own = {"origin": "http://127.0.0.1"}
        async with open_websocket(server.port, "/echo/Jane", own) as client:
            assert client.status == 101
        assert (await server.client.get("/echo/Jane")).status_code == 404


async def test_the_end_of_the_server_ends_it() -> None:
    async with AsyncExitStack() as stack:
        async with serve_routes(ECHO) as server:
            client = await stack.enter_async_context(open_websocket(server.port, "/echo/Jane"))
            assert client.status == 101
        with pytest.raises(EOFError):
            await client.receive()
