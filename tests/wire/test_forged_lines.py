"""Lines that somebody on the wire would like to see in log and audit trail: none comes about.

A node with both doors hears control characters, line breaks and terminal sequences wherever a peer
or a browser may say something. Afterwards each line of the log is one of ours, and each line of the
audit trail a record in the chain.
"""

import json
import re
import socket
from contextlib import contextmanager

import pytest

from pacs_core.api.commands import main
from pacs_core.dimse import CommandField
from pacs_core.testing.node import node_process

FORGED = "2026-01-01 00:00:00.000 CRITICAL pacs_core.forged: FORGED"
RECORD = '{"time":"2026-01-01T00:00:00+00:00","event":"delete","outcome":"success","FORGED":1}'
ENTRY = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) +[\w.]+"
    r"( \[[0-9a-f]{16}\])?: "
)

BREAKS = {
    "line feed": "\n",
    "carriage return": "\r",
    "both": "\r\n",
    "vertical tab": "\x0b",
    "form feed": "\x0c",
    "escape": "\x1b[2K\x1b[1A",
    "title": "\x1b]0;x\x07",
    "backspaces": "\b" * 8,
    "null": "\0",
    "control of ISO 6429": "\x9b2K",
    "next line": "\x85",
}

STAND_IN = "9" + ".9" * 29
"""A UID that is sent as it is, and with what is said in its place."""

PLUGINS = (
    "audit-json",
    "dicomweb",
    "index-sqlite",
    "sop-query-retrieve",
    "sop-storage",
    "sop-verification",
    "store-filesystem",
    "web",
    "web-ui",
)


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    """A node, and the port of its web server."""
    tables = {"log": {"level": "debug"}, "plugin": {"web": {"port": 0, "access_log": "full"}}}
    with node_process(tmp_path_factory.mktemp("doors"), tables, plugins=PLUGINS) as node:
        line = node.process.stdout.readline()
        yield node, int(re.match(r"web: http://127\.0\.0\.1:(\d+)/", line)[1])


@contextmanager
def dicom(node):
    address = (node.peer.host, node.peer.port)
    with socket.create_connection(address, timeout=20) as connection:
        yield connection


def exchange(connection, *pdus):
    """Send PDUs, and take what comes back until the peer is silent or gone."""
    try:
        for pdu in pdus:
            connection.sendall(pdu)
        connection.settimeout(0.3)
        while connection.recv(65536):
            pass
    except (TimeoutError, ConnectionError):
        pass


def associate(wire, **fields):
    contexts = (wire.context(1), wire.context(3, wire.CT, wire.EXPLICIT))
    return wire.handmade(*contexts, wire.context(7, wire.STUDY_FIND, wire.EXPLICIT), **fields)


def say_in_dicom(wire, node, text):
    """Say it in AE titles, versions, UIDs, names, queries."""
    raw = text.encode("latin-1", "replace")
    short = raw[:16]
    with dicom(node) as connection:
        exchange(connection, associate(wire, calling=short, called=short))
    with dicom(node) as connection:
        exchange(connection, wire.handmade(wire.context(1), application=raw.decode("latin-1")))
    user = wire.item(0x52, raw) + wire.item(0x55, short)
    with dicom(node) as connection:
        exchange(connection, associate(wire, user=user))
    identity = b"\x01\x00" + len(raw).to_bytes(2, "big") + raw + b"\x00\x00"
    with dicom(node) as connection:
        exchange(connection, associate(wire, user=wire.item(0x58, identity)))
    with dicom(node) as connection:
        uids = {"SOPInstanceUID": STAND_IN, "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3"}
        dataset = wire.dataset(SOPClassUID=wire.CT, **uids)
        name = wire.element(0x00100010, b"UN", raw)
        store = wire.command_pdu(3, wire.encode_command(wire.store(STAND_IN)))
        said = raw[: len(STAND_IN)].ljust(len(STAND_IN), b"x")
        odd = [
            each.replace(STAND_IN.encode(), said)
            for each in (store, wire.dataset_pdus(3, dataset + name))
        ]
        exchange(connection, associate(wire), store, wire.dataset_pdus(3, dataset + name), *odd)
    with dicom(node) as connection:
        query = wire.command_pdu(7, wire.encode_command(wire.query(CommandField.C_FIND_RQ)))
        level = wire.element(0x00080052, b"UN", raw)
        asked = level + wire.element(0x00100010, b"UN", raw) + wire.element(0x0020000D, b"UN", raw)
        exchange(connection, associate(wire), query, wire.dataset_pdus(7, asked))


def say_over_http(port, text):
    """Say it in paths, queries, names of hosts, agents, methods, bodies."""
    raw = text.encode("latin-1", "replace")
    quoted = b"".join(b"%%%02X" % byte for byte in raw)
    host = b"Host: 127.0.0.1\r\nConnection: close\r\n"
    requests = [
        b"GET /" + quoted + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /" + raw + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /dicom-web/studies?PatientName=" + quoted + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /dicom-web/studies?" + quoted + b"=1 HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /dicom-web/studies/" + quoted + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /dicom-web/studies HTTP/1.1\r\n" + host + b"User-Agent: " + raw + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"X-Forwarded-For: " + raw + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + raw + b"\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x" + quoted + b"\r\nConnection: close\r\n\r\n",
        raw + b" / HTTP/1.1\r\n" + host + b"\r\n",
        b"POST /dicom-web/studies HTTP/1.1\r\n" + host + b"Content-Type: " + raw + b"\r\n\r\n",
        b"DELETE /dicom-web/studies/1.2." + quoted + b" HTTP/1.1\r\n" + host + b"\r\n",
    ]
    for request in requests:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            exchange(connection, request)


@pytest.mark.parametrize("breaking", list(BREAKS.values()), ids=list(BREAKS))
def test_nobody_on_the_wire_writes_a_line(doors, wire, breaking):
    node, port = doors
    audit = node.data_directory / "audit" / "audit.jsonl"
    before = len(audit.read_text().splitlines())
    for content in (FORGED, RECORD):
        say_in_dicom(wire, node, breaking + content + breaking)
        say_over_http(port, breaking + content + breaking)
    # What a peer says first needs no break before it.
    say_in_dicom(wire, node, "FORGED" + breaking)
    lines = node.log.read_text(encoding="utf-8").split("\n")[:-1]
    assert any("FORGED" in line for line in lines), "what was said is logged, as what was said"
    for line in lines:
        assert line.isprintable(), line
        assert ENTRY.match(line), line
        assert not line.startswith(FORGED)
    text = audit.read_bytes()
    assert not set(text) - set(range(32, 127)) - {10}
    records = [json.loads(line) for line in text.splitlines()]
    assert len(records) > before
    assert [each["sequence"] for each in records] == list(range(1, len(records) + 1))
    assert not any("FORGED" in each for each in records)
    assert b"FORGED" in text, "what was said is recorded, as what was said"


def test_the_trail_of_all_that_can_be_verified_and_searched(doors, capsys, monkeypatch):
    node, _ = doors
    config = next(node.data_directory.glob("*.toml"), None)
    options = ["--config", str(config)] if config else []
    path = str(node.data_directory / "audit" / "audit.jsonl")
    public = (node.data_directory / "audit" / "audit.key.pub").read_text().split()
    keys = [part for key in public for part in ("--public-key", key)]
    assert main(["audit", "verify", path, *keys, *options]) == 0, capsys.readouterr().out
    capsys.readouterr()
    assert main(["audit", "search", "--data", str(node.data_directory), *options]) in {0, 4}
    lines = capsys.readouterr().out.split("\n")[:-1]
    assert len(lines) > 10
    assert all(line.isprintable() for line in lines)
