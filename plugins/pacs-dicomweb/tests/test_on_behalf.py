"""A DICOMweb server that is asked on behalf of a request is told of which (W3C Trace Context)."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pacs_dicomweb.client.web_client import open_client

from pacs_core.contracts import Correlation, DicomWebPeer, NoTlsContexts, correlated

pytestmark = pytest.mark.anyio

PARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"


@pytest.fixture
def server():
    """One that keeps the headers that it gets."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.seen.append(dict(self.headers))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        running.seen = []
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


async def test_the_headers_are_those_of_the_correlation(server):
    peer = DicomWebPeer(f"http://127.0.0.1:{server.server_port}")
    async with open_client(peer, NoTlsContexts()) as client:
        for correlation in (Correlation("r-1", PARENT), Correlation("r-2"), Correlation("")):
            with correlated(correlation):
                await client.http.get(peer.url)
    found = [(each.get("x-request-id"), each.get("traceparent")) for each in server.seen]
    assert found == [("r-1", PARENT), ("r-2", None), (None, None)]
