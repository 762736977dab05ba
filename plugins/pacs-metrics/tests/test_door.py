"""The port of its own: what it answers, and whom it does not wait for."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import anyio
import pytest
from pacs_metrics import door
from pacs_metrics.door import MetricsDoor

from pacs_core.association import bind_sockets
from pacs_core.metering import NodeMeter

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serving():
    node = SimpleNamespace(meter=NodeMeter())
    node.meter.counter("metrics_operations", "Ended").add(3)
    service = MetricsDoor(node)
    service.sockets = tuple(bind_sockets("127.0.0.1", 0))
    started = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.run, started.set)
        await started.wait()
        yield service.sockets[0].getsockname()[1]
        while service._open:  # noqa: ASYNC110 - it tells nobody
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    for each in service.sockets:
        each.close()


async def exchange(port, *pieces):
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        for piece in pieces:
            await stream.send(piece)
        found = b""
        try:
            while True:
                found += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return found


def get(target="/metrics", method="GET", *headers):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: h", *headers, "", ""]).encode()


async def test_a_scraper_gets_what_it_prefers():
    async with serving() as port:
        text = await exchange(port, get())
        open_metrics = await exchange(
            port, get("/metrics?x=1", "GET", "Accept: application/openmetrics-text;version=1.0.0")
        )
        head = await exchange(port, get(method="HEAD"))
    assert text.startswith(b"HTTP/1.1 200 ")
    assert b"\npacs_operations_total 3.0\n" in text
    assert b"application/openmetrics-text" in open_metrics
    assert open_metrics.endswith(b"# EOF\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (get("/"), b"404"),
        (get("/metrics/../secret"), b"404"),
        (get(method="POST"), b"405"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (get("/metrics", "GET", "X: " + "y" * 200_000), b"431"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"400"),  # no Host
    ],
)
async def test_what_makes_no_sense_is_refused(asked, status):
    async with serving() as port:
        assert (await exchange(port, asked)).split()[1] == status
        assert b" 200 " in await exchange(port, get())


async def test_a_request_may_come_in_pieces():
    async with serving() as port:
        whole = get()
        assert b" 200 " in await exchange(port, whole[:9], whole[9:])


async def test_who_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(door, "_DEADLINE", 0.5)
    async with serving() as port:
        silent = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(20)]
        with anyio.fail_after(30):
            while b" 200 " not in await exchange(port, get()):
                pass
        for each in silent:
            await each.aclose()
