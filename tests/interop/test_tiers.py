"""Cooled instances: NEARLINE in DCMTK's findscu, recalled for its movescu and getscu."""

import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.node import node_process, write_config

TIERS = Path(__file__).parents[1] / "distributions" / "pacs-tiers" / "src"
CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
COUNT = 3


@pytest.fixture
def tiers(tmp_path, monkeypatch):
    """The distribution, installed for processes that are started."""
    site = tmp_path / "site"
    information = site / "pacs_tiers-0.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: pacs-tiers\nVersion: 0.1\n")
    (information / "entry_points.txt").write_text("[pacs_core.plugins]\ntiers = pacs_tiers\n")
    (site / "pacs_tiers").symlink_to(TIERS / "pacs_tiers")
    monkeypatch.setenv("PYTHONPATH", str(site))


def tables(peer_port, seconds=0.0, **archive):
    return {
        "archive": {"store": "main", "space": {"reserve": 0}, **archive},
        "stores": {
            "main": {"type": "tiers", "hot": "ssd", "cold": "tape", "seconds": seconds},
            "ssd": {"type": "filesystem"},
            "tape": {"type": "filesystem"},
        },
        "peers": {
            "destination": {"ae_title": "DESTINATION", "host": "127.0.0.1", "port": peer_port}
        },
    }


def dataset(study, number):
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": f"{study}.1.{number}",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.1",
        "PatientID": "P1",
        "InstanceNumber": str(number),
    }
    return encode_attributes({tag_of(name): (text,) for name, text in values.items()}, EXPLICIT)


async def store(node, *studies):
    async with connect(node.peer, [Proposal(CT, (EXPLICIT,))]) as association:
        for study in studies:
            for number in range(COUNT):
                data = dataset(study, number)
                response = await association.c_store(CT, f"{study}.1.{number}", data)
                assert response.status == 0x0000


def pacs(folder, *arguments):
    command = [sys.executable, "-m", "pacs_core.cli.main", *arguments]
    command += ["--config", str(folder / "pacs.toml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def availability(dcmtk, node, level, **keys):
    """Return what findscu is told of each match."""
    asked = {**keys, "QueryRetrieveLevel": level, "InstanceAvailability": ""}
    options = [each for key, value in asked.items() for each in ("-k", f"{key}={value}")]
    said = dcmtk.run("findscu", "-v", "-S", "-aec", "PACS", *options, "127.0.0.1", node.port)
    return re.findall(r"\(0008,0056\) CS \[(\w+)", said)


def move(dcmtk, node, code=0):
    return dcmtk.run(
        "movescu", "-d", "-S", "-aec", "PACS", "-aem", "DESTINATION", "-k",
        "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.8", "127.0.0.1", node.port,
        code=code,
    )  # fmt: skip


def files(folder, name):
    return sorted((folder / "stores" / name).rglob("*.dcm"))


def test_cooled_instances_are_nearline_and_recalled_when_retrieved(
    tiers, dcmtk, destination, tmp_path
):
    port, received = destination()
    folder = tmp_path / "node"
    with node_process(folder, tables(port)) as node:
        anyio.run(store, node, "1.2.8", "1.2.9")
        assert availability(dcmtk, node, "STUDY", StudyInstanceUID="") == ["ONLINE"] * 2
        done = pacs(folder, "tiers", "cool", "1.2.8")
        assert done.stdout == f"{COUNT} objects are NEARLINE\n", done.stderr
        assert (len(files(folder, "ssd")), len(files(folder, "tape"))) == (COUNT, COUNT)
        found = availability(dcmtk, node, "STUDY", StudyInstanceUID="")
        assert found == ["NEARLINE", "ONLINE"]
        keys = {"StudyInstanceUID": "1.2.8", "SeriesInstanceUID": "1.2.8.1"}
        found = availability(dcmtk, node, "IMAGE", **keys, SOPInstanceUID="1.2.8.1.0")
        assert found == ["NEARLINE"]
        assert availability(dcmtk, node, "SERIES", **keys) == ["NEARLINE"]
        assert pacs(folder, "index", "verify").returncode == 0
        said = move(dcmtk, node)
        assert "Success" in said
        assert len(list(received.iterdir())) == COUNT
        assert availability(dcmtk, node, "STUDY", StudyInstanceUID="1.2.8") == ["ONLINE"]
        assert len(files(folder, "ssd")) == 2 * COUNT
        pacs(folder, "tiers", "cool", "1.2.9")
        gotten = tmp_path / "gotten"
        gotten.mkdir()
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.9")
        dcmtk.run("getscu", "-S", "-aec", "PACS", "-od", gotten, *keys, "127.0.0.1", node.port)
        assert len(list(gotten.iterdir())) == COUNT


def test_who_retrieves_is_told_to_wait(tiers, dcmtk, destination, tmp_path):
    """Pending responses come while the tape is read, of which the first sends nothing."""
    port, received = destination()
    folder = tmp_path / "node"
    with node_process(folder, tables(port, 1.5)) as node:
        anyio.run(store, node, "1.2.8")
        pacs(folder, "tiers", "cool", "1.2.8")
        said = move(dcmtk, node)
        remaining = re.findall(r"Remaining Suboperations +: (\d+)", said)
        assert remaining.count(str(COUNT)) >= 3, said
        assert len(list(received.iterdir())) == COUNT


def test_a_tape_that_is_lost_fails_its_instances_only(tiers, dcmtk, destination, tmp_path):
    port, received = destination()
    folder = tmp_path / "node"
    with node_process(folder, tables(port, recall_timeout=5.0)) as node:
        anyio.run(store, node, "1.2.8")
        pacs(folder, "tiers", "cool", "1.2.8")
        lost = files(folder, "tape")[0]
        lost.unlink()
        found = availability(dcmtk, node, "STUDY", StudyInstanceUID="1.2.8")
        assert found == ["UNAVAILABLE"]
        move(dcmtk, node, code=None)
        assert len(list(received.iterdir())) == COUNT - 1
        done = pacs(folder, "index", "verify")
        assert (done.returncode, "missing" in done.stdout) == (1, True)


def test_an_index_is_rebuilt_of_both_stores(tiers, free_port, tmp_path):
    folder = tmp_path / "node"
    with node_process(folder, tables(free_port())) as node:
        anyio.run(store, node, "1.2.8", "1.2.9")
        pacs(folder, "tiers", "cool", "1.2.8")
    done = pacs(folder, "index", "rebuild")
    assert done.returncode == 0, done.stderr
    assert pacs(folder, "index", "verify").returncode == 0


def test_a_wrong_table_is_named(tiers, free_port, tmp_path):
    wrong = tables(free_port())
    wrong["stores"]["main"] = {"type": "tiers", "hot": "sdd", "cold": "main", "second": 1}
    wrong["stores"]["tape"]["rot"] = "/x"
    write_config(tmp_path / "node", wrong)
    done = pacs(tmp_path / "node", "config", "check")
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert "stores.main: unknown key 'second'; known are cold, hot, seconds" in said
    assert "stores.tape: unknown key 'rot'; known are layout, root, threads" in said
