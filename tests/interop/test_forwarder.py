"""What two workers store is sent on to DCMTK's storescp by a plugin of a third party."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from pydicom import dcmread

from pacs_core.association import Proposal, connect
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.node import node_process, write_config

FORWARDER = Path(__file__).parents[1] / "distributions" / "pacs-forwarder" / "src"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, MPEG4 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.102"
PATIENCE = 60.0
COUNT = 12


@pytest.fixture
def forwarder(tmp_path, monkeypatch):
    """The distribution, installed for processes that are started."""
    site = tmp_path / "site"
    information = site / "pacs_forwarder-0.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: pacs-forwarder\nVersion: 0.1\n"
    )
    (information / "entry_points.txt").write_text(
        "[pacs_core.plugins]\nforwarder = pacs_forwarder\n"
    )
    (site / "pacs_forwarder").symlink_to(FORWARDER / "pacs_forwarder")
    monkeypatch.setenv("PYTHONPATH", str(site))


def numbers(port):
    """Return what the node measured, summed over its workers."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        lines = connection.makefile().read().splitlines()
    return {name: [float(each) for each in values] for name, *values in map(str.split, lines)}


def await_numbers(port, **expected):
    deadline = time.monotonic() + PATIENCE
    while True:
        found = numbers(port)
        if all(found.get(name, [0])[0] == value for name, value in expected.items()):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def dataset(number, sop_class):
    values = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": f"1.2.8.{number}",
        "StudyInstanceUID": "1.2.8",
        "SeriesInstanceUID": "1.2.8.99",
        "PatientID": "FORWARDED",
        "InstanceNumber": str(number),
    }
    return encode_attributes({tag_of(name): (text,) for name, text in values.items()}, EXPLICIT)


async def store(node, numbers, sop_class=CT):
    """Store instances, each on an association of its own, so that both workers get some."""
    for number in numbers:
        async with connect(node.peer, [Proposal(sop_class, (EXPLICIT,))]) as association:
            data = dataset(number, sop_class)
            response = await association.c_store(sop_class, f"1.2.8.{number}", data)
            assert response.status == 0x0000


def events(folder):
    files = sorted((folder / "audit").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_what_is_stored_arrives_also_when_the_peer_was_away(forwarder, dcmtk, free_port, tmp_path):
    peer_port, port, received = free_port(), free_port(), tmp_path / "received"
    received.mkdir()
    tables = {
        "node": {"workers": 2},
        "peers": {"viewer": {"ae_title": "VIEWER", "host": "127.0.0.1", "port": peer_port}},
        "plugin": {"forwarder": {"peer": "viewer", "port": port}},
    }
    with node_process(tmp_path / "node", tables) as node:
        anyio.run(store, node, range(COUNT // 2))
        with dcmtk.serve("storescp", peer_port, "-aet", "VIEWER", "-od", received):
            anyio.run(store, node, range(COUNT // 2, COUNT))
            key = "forwarder_instances{peer=VIEWER,status=0000}"
            found = await_numbers(port, **{key: COUNT, "forwarder_waiting{}": 0})
        assert node.stop() == 0
    files = [dcmread(path) for path in received.iterdir()]
    assert {str(each.SOPInstanceUID) for each in files} == {f"1.2.8.{n}" for n in range(COUNT)}
    assert found["forwarder_size{}"][1] == COUNT
    assert found["dimse_operations{operation=C_STORE,invoked=there,status=0000}"] == [COUNT]
    assert found["dimse_operations{operation=C_STORE,invoked=here,status=0000}"] == [COUNT]
    assert found["dimse_bytes{direction=out}"] == found["dimse_bytes{direction=in}"]
    assert found["dimse_running{}"] == [0]
    recorded = events(tmp_path / "node")
    sent = [each for each in recorded if each["event"] == "instances-sent"]
    assert sum(each["details"]["sent"] for each in sent) == COUNT
    arrived = [each for each in sent if each["outcome"] == "success"]
    assert {each["called_ae_title"] for each in arrived} == {"VIEWER"}
    assert sum(each["objects"][0]["sop_classes"][CT] for each in arrived) == COUNT
    outgoing = [each for each in recorded if each["details"].get("direction") == "outgoing"]
    assert {"association-accepted", "association-released"} <= {each["event"] for each in outgoing}


def test_what_the_peer_does_not_take_is_given_up_and_recorded_as_a_kind_of_the_plugin(
    forwarder, dcmtk, free_port, tmp_path
):
    peer_port, port = free_port(), free_port()
    tables = {
        "peers": {
            "viewer": {
                "ae_title": "VIEWER",
                "host": "127.0.0.1",
                "port": peer_port,
                "accepted": [MPEG4],
            }
        },
        "plugin": {"forwarder": {"peer": "viewer", "port": port}},
    }
    with (
        dcmtk.serve("storescp", peer_port, "-aet", "VIEWER"),
        node_process(tmp_path / "node", tables) as node,
    ):
        anyio.run(store, node, [1], MR)
        await_numbers(port, **{"forwarder_instances{peer=VIEWER,status=0110}": 1})
        node.stop()
    [event] = [each for each in events(tmp_path / "node") if each["event"] == "forwarder.given-up"]
    assert (event["outcome"], event["interface"]) == ("failure", "forwarder")
    assert event["objects"] == [{"kind": "study", "id": "1.2.8", "sop_classes": {MR: 1}}]


def test_its_check_names_a_peer_that_is_not_there(forwarder, tmp_path):
    path = write_config(tmp_path / "node", {"plugin": {"forwarder": {"peer": "nobody"}}})
    command = [sys.executable, "-m", "pacs_core.cli.main", "config", "check", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "there is no peer 'nobody'" in done.stdout + done.stderr
