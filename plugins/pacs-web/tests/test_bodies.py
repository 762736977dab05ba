"""Bodies on one connection, in whatever pieces they come (RFC 9112 §6)."""

import asyncio
from random import Random

import anyio
import h11
import pytest
from pacs_web.api.http import HttpError
from pacs_web.config import WebConfig, WebTimeouts
from pacs_web.middleware.bodies import limit_body
from pacs_web.protocol import GuardedProtocol
from uvicorn.config import Config
from uvicorn.server import ServerState

BODY = bytes(Random(1).randbytes(300_000))
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
LENGTH = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = (
    HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in (BODY[:9], BODY[9:70_000]))
    + b"0\r\n\r\n"
)
LAST = HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\nab"


@pytest.fixture
def parsed(monkeypatch):
    """Return how many bytes h11 was given, in a list."""
    found, receive = [], h11.Connection.receive_data

    def count(self, data):
        found.append(len(data))
        return receive(self, data)

    monkeypatch.setattr(h11.Connection, "receive_data", count)
    return found


def exchange(pieces):
    """Send pieces on one connection; return the bodies that the application read."""
    bodies = []

    async def application(scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            body, more = body + message["body"], message["more_body"]
        bodies.append(body)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def run():
        config = Config(application, http="h11", ws="none", lifespan="off", log_config=None)
        config.load()
        make = lambda: GuardedProtocol(config, ServerState(), WebTimeouts(), print)  # noqa: E731
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1")
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return answer

    answer = asyncio.run(run())
    assert answer.count(b"HTTP/1.1 204 ") == len(bodies)
    return bodies


@pytest.mark.parametrize("seed", range(8))
def test_bodies_are_whole_however_they_are_cut(seed):
    """Requests follow each other in one stream, which is cut anywhere."""
    random, stream = Random(seed), LENGTH + BODY + CHUNKED + LENGTH + BODY + LAST
    cuts = sorted(random.sample(range(1, len(stream)), random.randint(1, 60)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert exchange(pieces) == [BODY, BODY[:70_000], BODY, b"ab"]


def test_the_middle_of_a_body_is_not_parsed(parsed):
    """Its bytes are those that came; h11 parses what is before and behind."""
    large = 20 * BODY
    length = HEAD + b"Content-Length: %d\r\n\r\n" % len(large)
    assert exchange([length, large, LAST]) == [large, b"ab"]
    assert sum(parsed) < len(large) / 4


async def _never():
    await asyncio.Event().wait()


def limited(receive, seconds):
    """Return what receives a body of some bytes within a time."""
    scope = {"headers": [(b"content-length", b"9")]}
    return limit_body(scope, receive, WebConfig(timeouts=WebTimeouts(body=seconds)), None)


def test_a_body_that_does_not_come():
    """It is 408 (RFC 9110 §15.5.9), and nothing else is cancelled by that."""

    async def run():
        with pytest.raises(HttpError, match="too slowly") as raised:
            await limited(_never, 0.01)()
        assert raised.value.status == 408
        assert asyncio.current_task().cancelling() == 0
        await asyncio.sleep(0)

    asyncio.run(run())


def test_who_is_cancelled_while_a_body_is_awaited_stays_so():
    async def run():
        with anyio.move_on_after(0) as scope:
            await limited(_never, 600)()
        assert scope.cancelled_caught
        task = asyncio.create_task(limited(_never, 600)())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    anyio.run(run)


def test_who_is_cancelled_when_a_body_is_late_stays_so():
    """Both at one moment: the request has ended, and is not answered."""

    async def run():
        outcome = []

        async def read():
            try:
                await limited(_never, 1e-9)()
            except BaseException as error:
                outcome.append(type(error))
                raise

        task = asyncio.create_task(read())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert outcome == [asyncio.CancelledError]

    asyncio.run(run())
