"""A node that HL7 messages reach, and senders of messages, as they should be or not."""

import socket
import time
from contextlib import contextmanager

import pytest

from pacs_core.testing.node import node_thread

from .site import PLUGINS as SITE, Destination

PATIENCE = 60.0
PLUGINS = (
    "hl7", "database", "jobs", "sop-storage", "sop-verification", "store-filesystem",
    "index-sqlite", "audit-json",
)  # fmt: skip


@contextmanager
def hl7_node(folder, config=None, plugins=(), **tables):
    """Run a node; its port for HL7 is `port_of`."""
    tables = {"plugin": {"hl7": {"port": 0, **(config or {})}}, **tables}
    with node_thread(folder, tables, plugins=(*PLUGINS, *plugins)) as node:
        yield node


def port_of(node):
    return node.node.service_sockets["hl7"][0].getsockname()[1]


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return result


def message(kind, control_id, *segments, version="2.5.1", sender="HIS|HOSPITAL"):
    header = f"MSH|^~\\&|{sender}|PACS||20261128||{kind}|{control_id}|P|{version}"
    return "\r".join((header, *segments, ""))


def framed(*messages):
    return b"".join(b"\x0b" + each.encode() + b"\x1c\r" for each in messages)


class Sender:
    """A connection by MLLP; with a context, by TLS."""

    def __init__(self, port, context=None, host="127.0.0.1"):
        self.connection = socket.create_connection((host, port), PATIENCE)
        if context is not None:
            self.connection = context.wrap_socket(self.connection, server_hostname="localhost")
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def write(self, data):
        self.connection.sendall(data)

    def answers(self, count):
        """Return the acknowledgment codes and control IDs of the next answers."""
        return [tuple(self.answer()["MSA"][1:3]) for _ in range(count)]

    def answer(self):
        """Return the segments of the next answer, by name."""
        while b"\x1c\r" not in self.received:
            piece = self.connection.recv(4096)
            if not piece:
                raise ConnectionError("closed")
            self.received += piece
        whole, _, self.received = self.received.partition(b"\x1c\r")
        segments = [line.split("|") for line in whole.lstrip(b"\x0b").decode().split("\r") if line]
        return {fields[0]: fields for fields in segments}

    def send(self, *messages):
        self.write(framed(*messages))
        return self.answers(len(messages))

    @property
    def is_closed(self):
        """Whether the other end closes the connection, sooner or later, without a word."""
        try:
            return self.connection.recv(1) == b""
        except OSError:
            return True


@pytest.fixture(scope="module")
def destination():
    receiver = Destination()
    yield receiver
    receiver.server.shutdown()


@pytest.fixture(scope="module")
def serve(destination, tmp_path_factory):
    """Return a function that starts the node of this module, always on the same files."""
    folder = tmp_path_factory.mktemp("reconciled") / "node"
    peers = {"dest": {"ae_title": "DEST", "host": "127.0.0.1", "port": destination.port}}

    def serve(archive=None, **config):
        tables = {"peers": peers, **({"archive": archive} if archive else {})}
        return hl7_node(folder, {"domains": {"HOSPITAL": ""}, **config}, SITE, **tables)

    serve.config = ("--config", str(folder / "pacs.toml"))
    return serve
