"""Delivery to collectors that are there, away, back, or refuse; the spool between."""

import asyncio
import base64
import http.server
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import cattrs
import pytest
import trustme
from anyio import to_thread
from lxml import etree
from pacs_audit_atna import pacs_audit_sinks, pacs_config
from pacs_audit_atna.config import AuditAtnaConfig
from pacs_audit_atna.sink import CollectorSink
from pacs_audit_atna.spool import Spool, SpoolFullError
from pacs_audit_atna.transports import StreamTransport, _wait_until_acknowledged

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    ClientTls,
    NodeSettings,
    Origin,
    Outcome,
    Secret,
    Setup,
)
from pacs_core.testing.peer_programs import find_free_port

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def listen(caplog: pytest.LogCaptureFixture) -> None:
    """Hear what the plugin says, however quiet a command of another test wanted the log to be."""
    caplog.set_level(logging.INFO, "pacs_audit_atna")


class Collector:
    """Takes syslog over TCP, with TLS or without: keeps what arrives, frame by frame."""

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.messages: list[bytes] = []
        self.errors: list[str] = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", port))
        self._connections: list[socket.socket] = []
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            self._connections.append(connection)
            with connection, connection.makefile("rb") as stream:
                while head := stream.read(1):
                    while not head.endswith(b" "):
                        head += stream.read(1)
                    self.messages.append(stream.read(int(head)))
        except (OSError, ValueError) as error:
            self.errors.append(str(error))

    def close(self) -> None:
        """Be away: end listening, and all connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def wait_for(what: Any, seconds: float = 60.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


class FhirServer(http.server.ThreadingHTTPServer):
    """Takes resources, and answers as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        self.resources: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.answers: list[int] = []
        super().__init__(("127.0.0.1", 0), _FhirHandler)


class _FhirHandler(http.server.BaseHTTPRequestHandler):
    server: FhirServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(
            (self.path, self.headers["Content-Type"], self.headers["Authorization"])
        )
        status = self.server.answers.pop(0) if self.server.answers else 201
        if status == 201:
            self.server.resources.append(json.loads(body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fhir() -> Iterator[FhirServer]:
    with FhirServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def event(number: int) -> AuditEvent:
    origin = Origin("DIMSE", f"N{number}", "PACS", "192.0.2.7")
    return AuditEvent(
        AuditKind.C_STORE, Outcome.SUCCESS, origin, {"n": number}, datetime(2024, 2, 29, tzinfo=UTC)
    )


def numbers(messages: list[bytes]) -> list[int]:
    roots = [etree.fromstring(message.split(b"\xef\xbb\xbf", 1)[1]) for message in messages]
    return [int(root.find("ActiveParticipant").get("UserID")[1:]) for root in roots]


@asynccontextmanager
async def running(data: Path, **fields: Any) -> AsyncIterator[CollectorSink]:
    sink = CollectorSink(AuditAtnaConfig(**fields), NodeSettings(data_directory=data))
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


async def until(what: Callable[[], bool]) -> None:
    await to_thread.run_sync(wait_for, what)


async def test_tcp(tmp_path: Path, collector: Collector) -> None:
    async with running(tmp_path, collector=f"tcp://127.0.0.1:{collector.port}") as sink:
        for start in range(0, 30, 10):
            await sink.write([event(number) for number in range(start, start + 10)])
        await until(lambda: len(collector.messages) == 30)
    assert numbers(collector.messages) == list(range(30))
    assert collector.messages[0].startswith(b"<85>1 2024-02-29T00:00:00.000000Z ")


async def test_a_node_that_stops_delivers_what_waits(tmp_path: Path, collector: Collector) -> None:
    async with running(tmp_path, collector=f"tcp://127.0.0.1:{collector.port}") as sink:
        await sink.write([event(number) for number in range(300)])
    await until(lambda: len(collector.messages) == 300)
    assert numbers(collector.messages) == list(range(300))


def server_context(authority: trustme.CA, *, client: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    if client is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        client.configure_trust(context)
    return context


def client_tls(directory: Path, authority: trustme.CA, own: trustme.CA) -> ClientTls:
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    own.issue_cert("node").private_key_and_cert_chain_pem.write_to_path(str(directory / "node.pem"))
    return ClientTls(ca=directory / "ca.pem", certificate=directory / "node.pem")


async def test_tls_of_both_sides(tmp_path: Path) -> None:
    """RFC 5425: the collector's certificate is checked, and ours by the collector."""
    authority = trustme.CA()
    collector = Collector(server_context(authority, client=authority))
    tls = client_tls(tmp_path, authority, authority)
    async with running(tmp_path, collector=f"tls://localhost:{collector.port}", tls=tls) as sink:
        await sink.write([event(1), event(2)])
        await until(lambda: len(collector.messages) == 2)
    collector.close()
    assert numbers(collector.messages) == [1, 2]


@pytest.mark.parametrize("side", ["collector", "node"])
async def test_strangers_get_and_are_believed_nothing(
    tmp_path: Path, side: str, caplog: pytest.LogCaptureFixture
) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    trusted_by_collector = stranger if side == "collector" else authority
    collector = Collector(server_context(authority, client=trusted_by_collector))
    trusted_by_node = authority if side == "collector" else stranger
    tls = client_tls(tmp_path, trusted_by_node, authority)
    async with running(tmp_path, collector=f"tls://localhost:{collector.port}", tls=tls) as sink:
        await sink.write([event(1)])
        await until(lambda: "cannot be reached" in caplog.text)
        assert len(await sink._spooled(10)) == 1
    collector.close()
    assert collector.messages == []


async def test_udp(tmp_path: Path) -> None:
    """RFC 5426: one message each datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20)
        port = receiver.getsockname()[1]
        async with running(tmp_path, collector=f"udp://127.0.0.1:{port}") as sink:
            await sink.write([event(number) for number in range(5)])
            received = [await to_thread.run_sync(receiver.recv, 65536) for _ in range(5)]
    assert numbers(received) == list(range(5))


async def test_udp_to_a_machine_without_a_collector(tmp_path: Path) -> None:
    port = find_free_port()
    async with running(tmp_path, collector=f"udp://127.0.0.1:{port}") as sink:
        await sink.write([event(1)])
        await anyio.sleep(0.3)
        assert len(await sink._spooled(10)) == 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", port))
            receiver.settimeout(20)
            assert numbers([await to_thread.run_sync(receiver.recv, 65536)]) == [1]


async def test_a_collector_that_is_away_gets_all_later_in_order(tmp_path: Path) -> None:
    port = find_free_port()
    address = f"tcp://127.0.0.1:{port}"
    async with running(tmp_path, collector=address) as sink:
        await sink.write([event(number) for number in range(5)])
    async with running(tmp_path, collector=address) as sink:
        await sink.write([event(number) for number in range(5, 9)])
        collector = Collector(port=port)
        await until(lambda: len(collector.messages) == 9)
        collector.close()
        for number in range(9, 20):
            await sink.write([event(number)])
            await anyio.sleep(0.01)
        again = Collector(port=port)
        await until(lambda: 19 in numbers(again.messages))
        again.close()
    assert numbers(collector.messages) == list(range(9))
    found = numbers(again.messages)
    assert found[-11:] == list(range(9, 20)), "in order, from the first that may not have arrived"


async def test_a_full_spool_refuses(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{find_free_port()}"
    async with running(tmp_path, collector=address, spool_bytes=1024**2) as sink:
        batch = [event(number) for number in range(100)]
        with pytest.raises(SpoolFullError, match="raise spool_bytes"):  # noqa: PT012 some batch
            for _ in range(50):
                await sink.write(batch)


async def test_a_full_spool_drops_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = find_free_port()
    async with running(
        tmp_path, collector=f"tcp://127.0.0.1:{port}", spool_bytes=1024**2, when_full="drop"
    ) as sink:
        for start in range(0, 2000, 100):
            await sink.write([event(number) for number in range(start, start + 100)])
        assert caplog.text.count("events are dropped") == 1
        collector = Collector(port=port)
        await until(lambda: bool(collector.messages) and b"110133" in collector.messages[-1])
        collector.close()
    kept = len(collector.messages) - 1
    assert numbers(collector.messages[:-1]) == list(range(kept))
    [detail] = [
        each
        for each in etree.fromstring(collector.messages[-1].split(b"\xef\xbb\xbf")[1]).iter(
            "ParticipantObjectDetail"
        )
        if each.get("type") == "dropped"
    ]
    assert int(base64.b64decode(detail.get("value"))) == 2000 - kept


async def test_of_several_processes_one_delivers(tmp_path: Path, collector: Collector) -> None:
    address = f"tcp://127.0.0.1:{collector.port}"
    async with running(tmp_path, collector=address) as first:
        async with running(tmp_path, collector=address) as second:
            for number in range(0, 40, 2):
                await first.write([event(number)])
                await second.write([event(number + 1)])
            await until(lambda: len(collector.messages) >= 40)
        assert numbers(collector.messages) == list(range(40))
        await first.write([event(40)])
        await until(lambda: len(collector.messages) == 41)


async def test_who_delivers_is_replaced(tmp_path: Path, collector: Collector) -> None:
    address = f"tcp://127.0.0.1:{collector.port}"
    async with running(tmp_path, collector=address):
        second = CollectorSink(
            AuditAtnaConfig(collector=address), NodeSettings(data_directory=tmp_path)
        )
        await second.start()
    await second.write([event(7)])
    await until(lambda: bool(collector.messages))
    await second.stop()
    assert numbers(collector.messages) == [7]


async def test_fhir(tmp_path: Path, fhir: FhirServer) -> None:
    (tmp_path / "token").write_text("secret\n")
    async with running(
        tmp_path,
        collector=f"http://127.0.0.1:{fhir.server_port}/fhir",
        token=Secret(file=str(tmp_path / "token")),
    ) as sink:
        await sink.write([event(number) for number in range(5)])
        await until(lambda: len(fhir.resources) == 5)
    assert [each["agent"][0]["altId"] for each in fhir.resources] == [
        f"AETITLES=N{number}" for number in range(5)
    ]
    assert set(fhir.requests) == {("/fhir/AuditEvent", "application/fhir+json", "Bearer secret")}


async def test_fhir_that_is_refused(
    tmp_path: Path, fhir: FhirServer, caplog: pytest.LogCaptureFixture
) -> None:
    """For good: it is set aside. For now: it is tried again."""
    fhir.answers = [201, 422, 201, 503]
    async with running(tmp_path, collector=f"http://127.0.0.1:{fhir.server_port}") as sink:
        await sink.write([event(number) for number in range(5)])
        await until(lambda: len(fhir.resources) == 4)
    names = [each["agent"][0]["altId"] for each in fhir.resources]
    assert names == ["AETITLES=N0", "AETITLES=N2", "AETITLES=N3", "AETITLES=N4"]
    assert "refuses a message" in caplog.text
    assert "503" in caplog.text


def test_the_spool_is_the_nodes_own(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "spool"
    spool = Spool(path, 1000, fsync=False)
    spool.open()
    spool.add([b"x" * 600], drop=False)
    with pytest.raises(SpoolFullError):
        spool.add([b"y" * 300, b"z" * 300], drop=False)
    assert spool.add([b"y" * 300, b"z" * 300], drop=True) == 1
    assert [each.body[:1] for each in spool.peek(10)] == [b"x", b"y"]
    assert {each.stat().st_mode & 0o077 for each in path.parent.iterdir()} == {0}
    assert path.parent.stat().st_mode & 0o077 == 0
    spool.remove(spool.peek(1))
    assert spool.take_dropped() == 1
    assert spool.take_dropped() == 0
    spool.close()
    spool.close()
    with pytest.raises(OSError, match="closed"):
        spool.peek(1)


@pytest.mark.parametrize(
    "address",
    ["audit", "ftp://a", "tls://", "tls://a:70000", "udp://a/path", "https://u:p@a/", "tcp://a:0"],
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ValueError):
        AuditAtnaConfig(collector=address)


def test_registration(tmp_path: Path) -> None:
    assert pacs_config() is AuditAtnaConfig
    settings = NodeSettings(data_directory=tmp_path)
    assert list(pacs_audit_sinks(Setup(settings, {AuditAtnaConfig: AuditAtnaConfig()}))) == []
    config = cattrs.structure({"collector": "tls://a", "required": True}, AuditAtnaConfig)
    [descriptor] = pacs_audit_sinks(Setup(settings, {AuditAtnaConfig: config}))
    assert (descriptor.name, descriptor.required) == ("atna", True)


async def test_the_wait_for_a_collector_that_is_away_holds_nothing_up(tmp_path: Path) -> None:
    async with running(tmp_path, collector=f"tcp://127.0.0.1:{find_free_port()}") as sink:
        await sink.write([event(1)])
        await asyncio.sleep(0.3)
        started = time.monotonic()
    assert time.monotonic() - started < 4.0, "who stops does not wait for who is away"


async def test_what_closes_while_a_batch_is_under_way_is_a_failure_like_others() -> None:
    """The collector's alert closes the connection between two looks at it."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        transport = StreamTransport("127.0.0.1", port, None, 10.0)
        _, writer, _ = await transport._connect()
        writer.transport.abort()
        await anyio.lowlevel.checkpoint()
        with pytest.raises(ConnectionResetError, match="closed the connection"):
            await _wait_until_acknowledged(writer)
        await transport.close()
