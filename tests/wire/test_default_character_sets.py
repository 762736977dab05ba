"""A configured character set: on the way in, after a rebuild, in queries, and in answers."""

import os
import subprocess
import sys
from contextlib import aclosing

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from pacs_core.association import Proposal, connect
from pacs_core.config import ConfigError, load_config
from pacs_core.contracts import Peer
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.node import node_thread, write_config

CT = "1.2.840.10008.5.1.4.1.1.2"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
EXPLICIT = "1.2.840.10008.1.2.1"
ENVIRONMENT = {**os.environ, "PYTHONUTF8": "1"}
TABLES = {
    "node": {"default_character_set": ["ISO_IR 13"]},
    "peers": {
        "east": {
            "ae_title": "EAST",
            "host": "127.0.0.1",
            "port": 11113,
            "default_character_set": ["ISO_IR 101"],
        }
    },
}
NAMES = {
    "1": ("EAST", "Łódź".encode("iso8859_2"), "Łódź"),
    "2": ("OTHER", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis"), "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    "3": ("OTHER", "Łódź^山田".encode(), "Łódź^山田"),
}


@pytest.fixture
def pacs_command():
    """Return a function that runs `pacs` in a process, and returns what it printed."""

    def run(*arguments):
        command = [sys.executable, "-m", "pacs_core.cli.main", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def element(tag, vr, raw):
    raw += b" " * (len(raw) % 2)
    place = tag.to_bytes(4, "big")
    header = bytes((place[1], place[0], place[3], place[2])) + vr.encode()
    return header + len(raw).to_bytes(2, "little") + raw


def dataset(number, raw):
    """Return a dataset without a character set."""
    uid = f"1.2.826.0.1.9.{number}"
    before = {"SOPClassUID": CT, "SOPInstanceUID": f"{uid}.1.1", "Modality": "CT"}
    after = {"PatientID": f"P{number}", "StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1"}
    parts = [{tag_of(k): (v,) for k, v in each.items()} for each in (before, after)]
    start, end = (encode_attributes(each, EXPLICIT) for each in parts)
    return start + element(tag_of("PatientName"), "PN", raw) + end


async def store(port, number, calling, raw):
    peer, data = Peer("PACS", "127.0.0.1", port), dataset(number, raw)
    async with connect(peer, [Proposal(CT, (EXPLICIT,))], calling_ae_title=calling) as association:
        response = await association.c_store(CT, f"1.2.826.0.1.9.{number}.1.1", data)
        assert response.status == 0


async def find(port, calling, **keys):
    """Return Patient ID and name of the studies that a requestor without a default set finds."""
    wanted = {"QueryRetrieveLevel": "STUDY", "PatientID": "", "PatientName": "", **keys}
    identifier = {tag_of(k): (v,) if v else () for k, v in wanted.items()}
    found = {}
    peer = Peer("PACS", "127.0.0.1", port)
    async with (
        connect(peer, [Proposal(FIND)], calling_ae_title=calling) as association,
        aclosing(association.c_find(FIND, identifier)) as responses,
    ):
        async for _, match in responses:
            if match:
                found[match[tag_of("PatientID")][0]] = match[tag_of("PatientName")][0]
    return found


def test_what_names_no_set_is_read_in_the_one_of_its_sender(tmp_path, pacs_command):
    data = tmp_path / "data"
    expected = {f"P{number}": text for number, (_, _, text) in NAMES.items()}
    with node_thread(data, TABLES) as node:
        for number, (calling, raw, _) in NAMES.items():
            node.portal.call(store, node.port, number, calling, raw)
        assert node.portal.call(find, node.port, "ANY") == expected
    pacs_command("index", "rebuild", "--config", data / "pacs.toml")
    with node_thread(data, TABLES) as node:
        assert node.portal.call(find, node.port, "ANY") == expected


@pytest.mark.parametrize(
    ("calling", "raw", "patient"),
    [
        ("EAST", "łódź*".encode("iso8859_2"), "P1"),
        ("EAST", "łódź*".encode(), "P1"),
        ("OTHER", "ﾔﾏﾀﾞ*".encode("shift_jis"), "P2"),
    ],
)
def test_keys_without_a_set_are_read_in_the_one_of_their_sender(tmp_path, calling, raw, patient):
    """And are answered in it, if it is the peer's own."""
    with node_thread(tmp_path / "data", TABLES) as node:
        for number, (sender, name, _) in NAMES.items():
            node.portal.call(store, node.port, number, sender, name)
        entity = AE(calling)
        entity.add_requested_context(FIND, [EXPLICIT])
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.PatientID = ""
        query.add_new("PatientName", "PN", raw)
        association = entity.associate("127.0.0.1", node.port, ae_title="PACS")
        *matches, (last, _) = association.send_c_find(query, FIND)
        association.release()
        own = [match for _, match in matches if match.PatientID == patient]
        assert last.Status == 0
        assert len(own) == 1
        assert own[0].SpecificCharacterSet == ("ISO_IR 101" if calling == "EAST" else "ISO_IR 192")


@pytest.fixture
def old_peer():
    """A Query SCP that answers in Latin-2 and does not say so."""
    keys = []

    def answer(event):
        keys.append(event.identifier)
        match = Dataset()
        match.QueryRetrieveLevel = "STUDY"
        match.PatientID = "P1"
        match.add_new("PatientName", "PN", "Łódź".encode("iso8859_2"))
        yield 0xFF00, match

    entity = AE("EAST")
    entity.add_supported_context(FIND, [EXPLICIT])
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answer)]
    )
    yield server.socket.getsockname()[1], keys
    server.shutdown()


def test_pacs_find_reads_what_a_peer_answers_in_its_set(tmp_path, pacs_command, old_peer):
    """And asks in it."""
    port, keys = old_peer
    east = {**TABLES["peers"]["east"], "port": port}
    config = write_config(tmp_path / "data", {"peers": {"east": east}})
    out = pacs_command(
        "find", "east", "-k", "PatientName=Ł*", "--config", config, "--format", "json"
    )
    assert "Łódź" in out
    assert keys[0].SpecificCharacterSet == "ISO_IR 101"
    keys[0].decode()
    assert str(keys[0].PatientName) == "Ł*"


@pytest.mark.parametrize("terms", [["LATIN1"], ["ISO-IR 100"], ["ISO 2022 IR 87"]])
def test_a_set_that_is_none_is_a_mistake_in_the_configuration(tmp_path, terms):
    path = write_config(tmp_path, {"node": {"default_character_set": terms}})
    with pytest.raises(ConfigError, match="Specific Character Set"):
        load_config(path)
