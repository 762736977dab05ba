"""A collector that takes OTLP over HTTP, as the protocol has it, and keeps what it is told."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from attrs import define, field, frozen
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@frozen
class Told:
    """A span that the collector was told."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    began: int
    ended: int
    attributes: dict[str, Any]
    links: list[str]
    failed: bool
    resource: dict[str, Any]


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@define(eq=False)
class Collector:
    """What was told."""

    url: str
    spans: list[Told] = field(factory=list)
    headers: list[dict[str, str]] = field(factory=list)

    def take(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _plain(group.resource.attributes)
            for scope in group.scope_spans:
                for each in scope.spans:
                    self.spans.append(
                        Told(
                            each.name,
                            each.trace_id.hex(),
                            each.span_id.hex(),
                            each.parent_span_id.hex(),
                            each.kind,
                            each.start_time_unix_nano,
                            each.end_time_unix_nano,
                            _plain(each.attributes),
                            [f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in each.links],
                            each.status.code == 2,
                            resource,
                        )
                    )

    def named(self, name: str) -> list[Told]:
        return [each for each in tuple(self.spans) if each.name == name]

    def children(self, span: Told) -> list[Told]:
        return [each for each in tuple(self.spans) if each.parent == span.id]


@contextmanager
def _run_collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            assert self.headers["content-type"] == "application/x-protobuf"
            collector.headers.append({k.lower(): v for k, v in self.headers.items()})
            collector.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}/v1/traces")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def run_collector() -> Callable[[], AbstractContextManager[Collector]]:
    """Run a collector for the length of a ``with`` block."""
    return _run_collector
