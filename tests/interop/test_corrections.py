"""Corrections on the wire: DCMTK and pynetdicom get what `pacs correct` has made of instances."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelGet

from pacs_core.testing.waiting import until

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

GET = StudyRootQueryRetrieveInformationModelGet
STUDY, OTHER = "1.2.826.0.1.7.0.0", "1.2.826.0.1.7.1.0"
STORED = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def pacs(node, *arguments, code=0):
    """Run `pacs` beside a node, in a process of its own."""
    command = [sys.executable, "-m", "pacs_core.cli.main", *arguments]
    done = subprocess.run(
        [*command, "--data", str(node.data_directory)], capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.fixture
def filled(pacs_process, dcmtk, make_cts, write_files, tmp_path):
    """Start two workers, and let DCMTK send two patients of two studies each."""

    def start(tables=None):
        node = pacs_process(tables or {"node": {"workers": 2}})
        files = write_files(tmp_path / "files", make_cts())
        dcmtk.run("storescu", "-aec", "PACS", "127.0.0.1", node.port, "+sd", files)
        return node

    return start


def find(dcmtk, node, *keys):
    arguments = [argument for key in keys for argument in ("-k", key)]
    return dcmtk.find(node, *arguments)


def retrieve(dcmtk, node, tmp_path):
    """Get a study with getscu."""
    received = tmp_path / "got"
    received.mkdir()
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    address = ("-aec", "PACS", "127.0.0.1", node.port)
    dcmtk.run("getscu", "-S", "+B", "-od", received, *keys, *address)
    return [dcmread(path) for path in sorted(received.iterdir())]


def test_every_worker_finds_and_sends_what_was_corrected_beside_it(
    filled, dcmtk, destination, tmp_path, make_ct, write_files
):
    port, moved = destination()
    peer = {"ae_title": "DESTINATION", "host": "127.0.0.1", "port": port}
    node = filled({"node": {"workers": 2}, "peers": {"destination": peer}})
    before = {d.SOPInstanceUID: d for d in retrieve(dcmtk, node, tmp_path)}
    assert len(before) == 4
    (tmp_path / "got").rename(tmp_path / "before")
    patient = ("--patient", "P0", "--set", "PatientID=P1", "--set", "PatientName=Doe^John")
    said = pacs(node, "correct", "update", *patient, "--set", "PatientSex=M", "--yes")
    assert said == "correction 1: 8 instances corrected\n"
    study = ("--study", STUDY, "--delete", "StudyID", "--set", "StudyDescription=Γόνατο")
    pacs(node, "correct", "update", *study, "--comment", "Greek", "--yes")

    level = "QueryRetrieveLevel=STUDY"
    for _ in range(6):  # whichever worker answers
        assert find(dcmtk, node, level, "PatientID=P0", "StudyInstanceUID") == []
        assert find(dcmtk, node, level, "PatientName=M*", "StudyInstanceUID") == []
        found = find(dcmtk, node, level, "PatientID=P1", "StudyInstanceUID", "StudyDescription")
        assert len(found) == 4
        described = {each.StudyInstanceUID: each.StudyDescription for each in found}
        assert described[STUDY] == "Γόνατο"

    got = retrieve(dcmtk, node, tmp_path)
    assert len(got) == 4
    for each in got:
        old = before[each.SOPInstanceUID]
        assert (each.PatientID, each.PatientName, each.PatientSex) == ("P1", "Doe^John", "M")
        assert each.StudyDescription == "Γόνατο"
        assert "StudyID" not in each
        assert each.PixelData == old.PixelData
        (item,) = each.OriginalAttributesSequence
        (previous,) = item.ModifiedAttributesSequence
        assert (previous.PatientID, previous.StudyID) == ("P0", old.StudyID)
        assert previous.PatientName == "Müller^Anna"
        for element in old:
            if element.keyword not in CHANGED:
                assert each[element.tag] == element

    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    dcmtk.run("movescu", "-S", "-aec", "PACS", "-aem", "DESTINATION", *keys, "127.0.0.1", node.port)
    arrived = [dcmread(path) for path in moved.iterdir()]
    assert [each.PatientID for each in arrived] == ["P1"] * 4

    late = make_ct("1.2.826.0.1.7.0.0.0.9", PatientID="P0", StudyInstanceUID=STUDY)
    late.SeriesInstanceUID = f"{STUDY}.0"
    files = write_files(tmp_path / "late", [late])
    dcmtk.run("storescu", "-aec", "PACS", "127.0.0.1", node.port, "+sd", files)
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={STUDY}", "PatientID", "PatientName")
    (found,) = find(dcmtk, node, *keys, "NumberOfStudyRelatedInstances")
    assert (found.PatientID, found.NumberOfStudyRelatedInstances) == ("P1", 5)
    assert pacs(node, "index", "verify") == "0 faults, 0 set aside\n"

    listed = pacs(node, "correct", "list")
    assert "Greek" in listed
    pacs(node, "correct", "revert", "2", "--yes")
    pacs(node, "correct", "revert", "1", "--yes")
    (tmp_path / "got").rename(tmp_path / "corrected")
    for each in retrieve(dcmtk, node, tmp_path):
        if each.SOPInstanceUID in before:
            assert each == before[each.SOPInstanceUID]


CHANGED = {
    "PatientID",
    "PatientName",
    "PatientSex",
    "StudyID",
    "StudyDescription",
    "SpecificCharacterSet",
}


def get_study(node, syntax):
    """Get a study with pynetdicom, all of it in one transfer syntax."""
    received = []

    def keep(event):
        event.dataset.decode()
        received.append(event.dataset)
        return 0x0000

    ae = AE()
    ae.add_requested_context(GET)
    ae.add_requested_context(CTImageStorage, syntax)
    role = build_role(CTImageStorage, scp_role=True)
    handlers = [(evt.EVT_C_STORE, keep)]
    peer = ("127.0.0.1", node.port)
    association = ae.associate(*peer, ae_title="PACS", ext_neg=[role], evt_handlers=handlers)
    assert association.is_established
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = OTHER
    statuses = [status.Status for status, _ in association.send_c_get(query, GET)]
    association.release()
    assert statuses[-1] == 0x0000
    return received


def test_pynetdicom_gets_a_study_under_its_new_uid_from_any_transfer_syntax_in_any(
    pacs_process, make_ct
):
    node = pacs_process({"node": {"workers": 2}})
    for number, syntax in enumerate(STORED):
        image = make_ct(f"1.2.9.{number}", PatientID="P0", PatientName="Doe^Jane")
        image.StudyInstanceUID, image.SeriesInstanceUID = STUDY, f"{STUDY}.0"
        image.PixelData = bytes(range(32))
        image["PixelData"].VR = "OW"
        image.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            image.PixelData = bytes(n ^ 1 for n in range(32))  # words, swapped when converted
        ae = AE()
        ae.add_requested_context(CTImageStorage, syntax)
        association = ae.associate("127.0.0.1", node.port, ae_title="PACS")
        assert association.send_c_store(image).Status == 0x0000
        association.release()
    moves = ("--set", f"StudyInstanceUID={OTHER}", "--set", "PatientName=山田^太郎")
    pacs(node, "correct", "update", "--study", STUDY, *moves, "--yes")
    for syntax in STORED:
        received = get_study(node, syntax)
        assert len(received) == 4
        for each in received:
            assert (each.StudyInstanceUID, each.PatientName) == (OTHER, "山田^太郎")
            pixels = bytes(range(32))
            if syntax == ExplicitVRBigEndian:
                pixels = bytes(n ^ 1 for n in range(32))
            assert each.PixelData == pixels


def test_a_correction_whose_process_is_killed_is_finished_by_the_next(
    filled, dcmtk, make_ct, write_files, tmp_path
):
    """Kill -9 at any moment: each instance is wholly before it or after, and then all are after."""
    node = filled()
    many = [
        make_ct(f"1.2.9.{n}", PatientID="K", StudyInstanceUID="1.2.9", SeriesInstanceUID="1.2.8")
        for n in range(1, 120)
    ]
    files = write_files(tmp_path / "many", many)
    dcmtk.run("storescu", "-aec", "PACS", "127.0.0.1", node.port, "+sd", files)
    command = [sys.executable, "-m", "pacs_core.cli.main", "correct", "update", "--patient", "K"]
    options = ["--set", "PatientID=L", "--data", str(node.data_directory), "--yes"]
    with subprocess.Popen([*command, *options]) as process:
        until(lambda: process.poll() is not None or corrected(node) > 10, 120)
        process.kill()
    before = corrected(node)
    assert 0 < before <= 119
    assert "PatientID=L" in pacs(node, "correct", "list")  # which finishes it
    assert corrected(node) == 119
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.9", "PatientID")
    (found,) = find(dcmtk, node, *keys, "NumberOfStudyRelatedInstances")
    assert (found.PatientID, found.NumberOfStudyRelatedInstances) == ("L", 119)
    assert pacs(node, "index", "verify") == "0 faults, 0 set aside\n"


def corrected(node):
    """Return how many rows of the index have a correction."""
    with closing(sqlite3.connect(node.data_directory / "index.sqlite")) as connection:
        counted = connection.execute("SELECT count(*) FROM instance WHERE corrections IS NOT NULL")
        return counted.fetchone()[0]
