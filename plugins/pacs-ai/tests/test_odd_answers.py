"""Answers of services over HTTP that are written otherwise than ours, or never end."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import pytest
from attrs import define
from pacs_ai_example.multipart import read_parts
from pacs_ai_example.results import infer

MOST = 3
"""Results that a request may have."""


@define
class Place:
    site: Any
    tools: Any
    sent: dict[str, int]
    """Parts of endless answers that were sent."""

    def ask(self, name: str) -> tuple[Any, list[Any], int]:
        """Have a service asked; return the request, its results, and the instances of the study."""
        images = self.tools.make_series()
        study = str(images[0].StudyInstanceUID)
        self.site.store(images)
        request = self.site.finish(self.site.ask(name, study).number)
        found = len(self.site.instances(study)) - len(images)
        return request, self.site.results(request=request.number), found


def respond(handler: BaseHTTPRequestHandler, kind: str, body: bytes, **headers: str) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def write_oddly(files: list[bytes]) -> bytes:
    """Return parts behind a preamble, with few headers, oddly written, and blanks at delimiters."""
    first, second = files
    return (
        b"This is a multi-part message in MIME format.\r\n--b  \r\ncontent-TYPE:application/dicom"
        b"\r\n\r\n" + first + b"\r\n--b\r\n\r\n" + second + b"\r\n--b--\r\nepilogue"
    )


@pytest.fixture(scope="module")
def place(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    sent: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body, name = self.rfile.read(int(self.headers["Content-Length"])), self.path.strip("/")
            files = infer(list(read_parts(self.headers["Content-Type"], body)))
            odd = write_oddly(files)
            if name == "oddly":
                respond(self, "Multipart/Related; boundary=b", odd)
            elif name == "packed":
                packed = gzip.compress(odd)
                respond(self, 'multipart/related; boundary="b"', packed, Content_Encoding="gzip")
            elif name == "single":
                respond(self, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1", files[0])
            elif name == "nothing":
                respond(self, "multipart/related; boundary=b", b"--b--\r\n")
            elif name == "cut":
                respond(self, "multipart/related; boundary=b", odd[: -len(files[1]) // 2])
            elif name == "error":
                respond(self, "application/json", b'{"error": "no GPU"}')
            elif name == "elsewhere":
                self.send_response(307)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif name == "endless":
                self.send_response(200)
                self.send_header("Content-Type", "multipart/related; boundary=b")
                self.end_headers()
                for sent[name] in count():
                    self.wfile.write(b"--b\r\n\r\n" + b"x" * 5000 + b"\r\n")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                sent["closed"] = 1

    names = ("oddly", "packed", "single", "nothing", "cut", "error", "elsewhere", "endless")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        own = {"adapter": "rest-push", "attempts": 2, "breaker": 1000, "max_results": MOST}
        services = {name: {**own, "url": f"{base}/{name}"} for name in names}
        with tools.open_site(tmp_path_factory.mktemp("site"), services) as site:
            yield Place(site, tools, sent)
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "results"), [("oddly", 2), ("packed", 2), ("single", 1), ("nothing", 0)]
)
def test_however_an_answer_is_written_it_is_taken(place: Place, name: str, results: int) -> None:
    request, taken, found = place.ask(name)
    assert request.state == "answered", request.reason
    assert [str(each.state) for each in taken] == ["archived"] * results
    assert found == results


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cut", "is not whole"), ("error", "application/json"), ("elsewhere", "answered 307")],
)
def test_what_is_no_answer_fails_and_archives_nothing(place: Place, name: str, reason: str) -> None:
    """Of one that broke off the first result was whole; asked again, it would come again."""
    request, taken, found = place.ask(name)
    assert (request.state, request.attempts) == ("failed", 2)
    assert reason in request.reason
    assert (taken, found) == ([], 0)


def test_an_answer_that_never_ends_is_taken_as_far_as_there_may_be_results(place: Place) -> None:
    request, taken, found = place.ask("endless")
    assert request.state == "answered"
    # All alike, they are one result, which is no DICOM.
    assert [str(each.state) for each in taken] == ["quarantined"]
    assert found == 0
    assert place.sent["endless"] < 1_000_000
