"""A proxy before a service, which does to requests what networks and services do."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from attrs import define, field

SLOW_DOWN = (
    503,
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
)
NOT_FOUND = (404, "<Error><Code>NoSuchKey</Code></Error>")
Answer = tuple[int, str]


@define
class Fault:
    """What happens to a request.

    Attributes
    ----------
    answer : Answer or None
        Given in place of the service's; the service sees nothing of the request.
    latency : float
        Seconds before anything happens.
    damage_request, damage_response : bool
        Whether a bit of the body changes on the way.
    truncate : bool
        Whether the connection ends within the answer's body.
    unconditional : bool
        Whether the service is not told of the condition.
    lose_answer : bool
        Whether it is reset in place of the answer, after the service has done what it was asked.
    """

    answer: Answer | None = None
    latency: float = 0.0
    damage_request: bool = False
    damage_response: bool = False
    truncate: bool = False
    unconditional: bool = False
    lose_answer: bool = False


Choose = Callable[[str, str], Fault | None]
"""Returns what happens to a request, by its method and path."""


@define
class FaultProxy:
    """The proxy.

    Attributes
    ----------
    url : str
    faults : list of (method, part of the path, Fault)
        Each is for the first request that fits.
    always : callable or None
        Asked when no fault of the list fits.
    seen : list of str
        Methods and paths.
    """

    url: str
    faults: list[tuple[str, str, Fault]] = field(factory=list)
    always: Choose | None = None
    seen: list[str] = field(factory=list)
    lock: threading.Lock = field(factory=threading.Lock)
    writing: threading.Lock = field(factory=threading.Lock)

    def next_fault(self, method: str, path: str) -> Fault:
        with self.lock:
            self.seen.append(f"{method} {path}")
            for number, (wanted, part, fault) in enumerate(self.faults):
                if wanted == method and part in path:
                    del self.faults[number]
                    return fault
            return (self.always and self.always(method, path)) or Fault()


@contextmanager
def run_fault_proxy(target: str) -> Iterator[FaultProxy]:
    """Run a proxy before a service."""
    host, port = urlsplit(target).hostname, urlsplit(target).port

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = proxy.next_fault(self.command, self.path)
            time.sleep(fault.latency)
            if fault.answer is not None:
                status, text = fault.answer
                self.respond(status, {"Content-Type": "application/xml"}, text.encode())
                return
            if fault.damage_request:
                body = damaged(body)
            connection = http.client.HTTPConnection(str(host), port, timeout=30)
            try:
                headers = dict(self.headers.items())
                if fault.unconditional:
                    headers.pop("if-none-match", None)
                # A service decides at once who was first; the one of the tests looks, and then
                # writes, so that two at the same moment would both be.
                with proxy.writing if self.command in {"PUT", "POST"} else nullcontext():
                    connection.request(self.command, self.path, body, headers)
                    response = connection.getresponse()
                    data = response.read()
            finally:
                connection.close()
            if fault.lose_answer:
                self.reset()
                return
            if fault.damage_response:
                data = damaged(data)
            self.respond(response.status, dict(response.getheaders()), data, fault.truncate)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

        def respond(
            self, status: int, headers: dict[str, str], data: bytes, truncate: bool = False
        ) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = headers.get("Content-Length") if self.command == "HEAD" else len(data)
            self.send_header("Content-Length", str(length or 0))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[: len(data) // 2] if truncate else data)
            if truncate:
                self.wfile.flush()
                self.reset()

        def reset(self) -> None:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of clients that have gone."""

    server = Server(("127.0.0.1", 0), Handler)
    proxy = FaultProxy(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def damaged(data: bytes) -> bytes:
    """Change a bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :] if data else data
