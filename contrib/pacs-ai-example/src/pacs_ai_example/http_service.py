"""The service over HTTP: images come in a request, or are read from where it says.

- ``POST /infer`` takes DICOM files as ``multipart/related``, or metadata in DICOM JSON and frames
  as parts behind them, and answers with the results as DICOM files likewise.
- ``POST /pull`` takes a JSON object with ``dicomweb``, ``token``, ``study`` and ``series``: the
  images are read by WADO-RS from there, and the results stored by STOW-RS (PS3.18 §10).
- ``GET /health`` answers with how many requests are worked on: ``{"working": 1}``.
- ``POST /hurry`` ends the delay of whatever the program does, over DIMSE as well.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

from pacs_ai_example.delay import Delay
from pacs_ai_example.multipart import read_parts, write_parts

_DICOM = 'multipart/related; type="application/dicom"'


def make_server(
    address: tuple[str, int], *, delay: Delay | None = None, model_url: str = ""
) -> ThreadingHTTPServer:
    """Return a server.

    Parameters
    ----------
    address : (str, int)
    delay : Delay, optional
    model_url : str
        Of a model behind KServe v2 that ``/infer`` asks; empty for our own.
    """

    class Handler(_Handler):
        takes = delay or Delay()
        model = model_url
        working = _Count()

    return ThreadingHTTPServer(address, Handler)


class _Count:
    """How many are at something: entered by each of them for a ``with`` block."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.value += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.value -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    takes = Delay()
    model = ""
    working = _Count()

    def do_GET(self) -> None:
        if self.path == "/health":
            body = json.dumps({"working": self.working.value}).encode()
            self._answer(200, "application/json", body)
        else:
            self._answer(404, "text/plain", b"")

    def do_POST(self) -> None:
        body = self._read_body()
        if self.path == "/hurry":
            self.takes.end()
            self._answer(204, "text/plain", b"")
            return
        with self.working:
            self._work(body)

    def _work(self, body: bytes) -> None:
        self.takes.wait()
        # When first needed, for these take seconds, and the service is to be there at once.
        from pacs_ai_example.frames import read_frames
        from pacs_ai_example.kserve import ModelAwayError
        from pacs_ai_example.model import NothingToSeeError
        from pacs_ai_example.results import infer

        try:
            if self.path == "/infer":
                kind = self.headers.get("Content-Type", "")
                read = read_frames if "application/dicom+json" in kind else read_parts
                found = infer(list(read(kind, body)), model_url=self.model)
                self._answer(200, *write_parts(found))
            elif self.path == "/pull":
                pull(json.loads(body))
                self._answer(204, "text/plain", b"")
            else:
                self._answer(404, "text/plain", b"")
        except NothingToSeeError:
            self._answer(204, "text/plain", b"")
        except ModelAwayError as error:
            self._answer(503, "text/plain", str(error).encode())
        except Exception as error:
            self.log_error("%s", error)
            self._answer(422, "text/plain", f"{type(error).__name__}: {error}".encode())

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return body

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        print(format % args, flush=True)


def pull(asked: dict[str, Any]) -> None:
    """Read the images of a study over DICOMweb, and store the results."""
    from pacs_ai_example.results import infer

    base, headers = asked["dicomweb"], {"Authorization": f"Bearer {asked['token']}"}
    files: list[bytes] = []
    for series in asked["series"]:
        url = f"{base}/studies/{asked['study']}/series/{series}"
        accept = {**headers, "Accept": f"{_DICOM}; transfer-syntax=*"}
        with urlopen(Request(url, headers=accept), timeout=60) as answer:  # noqa: S310
            files += read_parts(answer.headers["Content-Type"], answer.read())
    kind, body = write_parts(infer(files))
    more = {**headers, "Content-Type": kind, "Accept": "application/dicom+json"}
    request = Request(f"{base}/studies", body, more, method="POST")  # noqa: S310
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        answer.read()
