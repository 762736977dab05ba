"""A node with the web server and the notice board, and clients that are no good."""

import socket
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from attrs import define
from importlib_metadata import entry_points

from pacs_core.testing.node import NodeProcess, node_process

BULLETIN = Path(__file__).parents[2] / "distributions" / "pacs-bulletin"
ARCHIVE = ("store-filesystem", "index-sqlite", "audit-json", "sop-storage", "sop-verification")
ADDED = {"bulletin", "bulletin-guard", "bulletin-broken", "bulletin-sleeper", "chores"}
PATIENCE = 60.0

SHORT = {"head": 0.7, "body": 0.7, "write": 1.0, "idle": 5.0}


@define
class Web:
    """A node, and where its web server is."""

    node: NodeProcess
    port: int
    base: str

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.base}"

    def client(self, **arguments):
        return httpx.Client(base_url=self.url, timeout=PATIENCE, **arguments)

    def get(self, path, **arguments):
        return httpx.get(self.url + path, timeout=PATIENCE, **arguments)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def exchange(self, *pieces, pause=0.0):
        """Send bytes, and return everything that comes until the server ends the connection."""
        with self.connect() as connection:
            try:
                for number, piece in enumerate(pieces):
                    if number:
                        time.sleep(pause)
                    connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return read_all(connection)

    @property
    def log(self):
        return self.node.log.read_text()

    def is_healthy(self):
        return self.get("/health/ready").status_code == 200


def read_all(connection):
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return result


def without(*plugins):
    """Return all plugins but the web server, an archive and those that are named."""
    return sorted(
        (entry_points(group="pacs_core.plugins").names | ADDED) - {"web", *ARCHIVE, *plugins}
    )


@contextmanager
def run_web(folder, config=None, plugins=("bulletin",), **tables):
    """Run a node with the web server on a free port."""
    tables = {
        "log": {"level": "info"},
        "plugin": {"web": {"port": 0, **(config or {})}},
        "plugins": {"disabled": without(*plugins)},
        **tables,
    }
    with node_process(folder, tables) as node:
        line = node.process.stdout.readline()
        assert line.startswith(("web: http://", "web: https://")), (line, node.log.read_text())
        url = httpx.URL(line.split()[1])
        yield Web(node, url.port, url.path.rstrip("/"))


@pytest.fixture(scope="module")
def bulletin(site):
    """Install the notice board."""
    site.link(BULLETIN)


@pytest.fixture(scope="module")
def web(bulletin, tmp_path_factory):
    """A node with short deadlines, for all tests of a module."""
    with run_web(tmp_path_factory.mktemp("web"), {"timeouts": SHORT}) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    """A browser, whose pages tests open in contexts of their own."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        program = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield program
        program.close()
