"""A server that speaks the XML API of Google Cloud Storage, made of an S3 server.

The two protocols are the same but for names of headers and conditions: what is to be created only
if it is not there says so by ``x-goog-if-generation-match: 0``, also where it is copied.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_CONDITION = "x-goog-if-generation-match"
_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=testing/20261128/us-east-1/s3/aws4_request, SignedHeaders=host, "
    "Signature=0"
)
_EXISTS = b"<Error><Code>PreconditionFailed</Code></Error>"


@contextmanager
def run_google(s3_url: str) -> Iterator[str]:
    """Run it before an S3 server that takes any credentials; give its URL."""
    target = urlsplit(s3_url)
    deciding = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {"authorization": _SIGNED}
            for name, value in self.headers.items():
                name = name.lower()
                if name not in ("authorization", "connection", _CONDITION):
                    headers[name.replace("x-goog-", "x-amz-")] = value
            # One at a time: a service decides at once who was first.
            with deciding:
                if (
                    self.headers.get(_CONDITION) == "0"
                    and self.ask("HEAD", {"authorization": _SIGNED}, b"")[0] == 200
                ):
                    return self.respond(412, {}, _EXISTS)
                answer = self.ask(self.command, headers, body)
            return self.respond(*answer)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

        def ask(
            self, method: str, headers: dict[str, str], body: bytes
        ) -> tuple[int, dict[str, str], bytes]:
            path = self.path if method == self.command else self.path.partition("?")[0]
            connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=30)
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                return response.status, dict(response.getheaders()), response.read()
            finally:
                connection.close()

        def respond(self, status: int, headers: dict[str, str], data: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name.lower().replace("x-amz-", "x-goog-"), value)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else len(data)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of clients that have gone."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def service_account(url: str) -> str:
    """Return the JSON of a service account that asks nobody for a token."""
    keys = dict.fromkeys(("private_key", "private_key_id", "client_email"), "")
    return json.dumps({**keys, "gcs_base_url": url, "disable_oauth": True})
