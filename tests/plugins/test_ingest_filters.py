"""Ingest filters of a third party, seen from outside: by C-STORE, import, and what is retrieved."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import anyio
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.dataset import encode_dataset
from pacs_core.testing.node import node_process, write_config
from pacs_core.testing.waiting import until

GATEKEEPER = Path(__file__).parents[1] / "distributions" / "pacs-gatekeeper"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
TABLES = {
    "plugin": {
        "gatekeeper": {"unwanted": ["OT"], "issuer": "SITE", "trials": ["TRIAL"]},
    },
    "archive": {"keep_received": True},
}


@pytest.fixture(autouse=True, scope="module")
def installed(site):
    site.link(GATEKEEPER)


@pytest.fixture
def node(tmp_path):
    with node_process(tmp_path, TABLES) as node:
        yield node


def sample(uid="1.2.3.1.1", modality="CT", syntax=ExplicitVRLittleEndian):
    dataset = Dataset()
    dataset.SOPClassUID = CT_IMAGE
    dataset.SOPInstanceUID = uid
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = "1.2.3.1"
    dataset.Modality = modality
    dataset.PatientID = "P 17"
    dataset.PatientName = "Doe^Jane"
    dataset.InstitutionName = "St. Elsewhere"
    dataset.add_new(0x0009_0010, "LO", "ACME")
    dataset.add_new(0x0009_1001, "LO", "Doe^Jane was here")
    dataset.Rows = dataset.Columns = 400
    dataset.SamplesPerPixel, dataset.BitsAllocated = 1, 16
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 15, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes(range(200)) * 1600
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def store(node, dataset, calling="SENDER"):
    """Store a dataset; return the response."""
    syntax = dataset.file_meta.TransferSyntaxUID

    async def send():
        peer = node.peer if hasattr(node, "peer") else node
        contexts = [Proposal(CT_IMAGE, (syntax,))]
        async with connect(peer, contexts, calling_ae_title=calling) as association:
            data = encode_dataset(dataset, syntax)
            return await association.c_store(CT_IMAGE, dataset.SOPInstanceUID, data)

    return anyio.run(send)


def stored(node):
    """Return the datasets of all objects that are stored, by their file's name."""
    objects = (node.data_directory / "objects").rglob("*.dcm")
    return {path.name: dcmread(path) for path in objects}


def content(dataset):
    found = dataset.to_json_dict()
    found["7FE00010"]["vr"] = "OW"
    return found


def events(node, count):
    """Return the audit events of filters."""
    path = node.data_directory / "audit" / "audit.jsonl"

    def found():
        lines = path.read_text().splitlines() if path.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == "ingest-filtered"]

    until(lambda: len(found()) >= count)
    return found()


def test_what_a_filter_rejects_is_answered_as_it_says_and_not_stored(node):
    response = store(node, sample(modality="OT"))
    assert response.status == 0x0124
    assert response.error_comment == "OT is not archived here"
    assert not stored(node)
    (event,) = events(node, 1)
    assert event["outcome"] == "failure"
    assert event["details"]["filter"] == "rejection"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_a_filter_coerces_is_stored_so_and_says_what_it_was(node, syntax):
    """PS3.4 Table B.2-1, B000H; PS3.3 C.12.1.1.9: the previous values, who, and why."""
    sent = sample(syntax=syntax)
    response = store(node, sent)
    assert response.status == 0xB000
    assert response.error_comment == "Coerced: PatientID, IssuerOfPatientID"
    found = stored(node)
    served = found.pop("1.2.3.1.1.dcm")
    assert (served.PatientID, served.IssuerOfPatientID) == ("P17", "SITE")
    (item,) = served.OriginalAttributesSequence
    assert item.ModifiedAttributesSequence[0].PatientID == "P 17"
    assert item.ReasonForTheAttributeModification == "COERCE"
    assert item.SourceOfPreviousValues == "SENDER"
    for changed in ("PatientID", "IssuerOfPatientID", "OriginalAttributesSequence"):
        if changed in served:
            del served[changed]
    expected = sample(syntax=syntax)
    del expected.PatientID
    assert content(served) == content(expected)
    (received,) = found.values()
    assert content(received) == content(sent)
    (event,) = events(node, 1)
    assert event["details"]["changed"] == ["(0010,0020)", "(0010,0021)"]


def test_what_is_not_changed_stays_byte_for_byte(node):
    sent = bytes(encode_dataset(sample(), ExplicitVRLittleEndian))
    assert store(node, sample()).status == 0xB000
    path = next((node.data_directory / "objects").rglob("1.2.3.1.1.dcm"))
    patient_id, series = sent.index(b"\x10\x00\x20\x00"), sent.index(b"\x20\x00\x0d\x00")
    pixels = sent.index(b"\xe0\x7f\x10\x00")
    written = path.read_bytes()
    assert sent[:patient_id] in written
    assert sent[series:pixels] in written
    assert written.endswith(sent[pixels:])


def pacs(node, *command):
    config = ["--config", str(node.data_directory / "pacs.toml")]
    return subprocess.run(
        [sys.executable, "-m", "pacs_core.cli.main", *command, *config],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_was_received_is_kept_once_and_can_be_had_again(node):
    assert {store(node, sample()).status for _ in range(2)} == {0xB000}
    assert len(stored(node)) == 2
    assert node.stop() == 0
    listed = pacs(node, "archive", "aside", "list").stdout
    (line,) = [line for line in listed.splitlines() if "1.2.3.1.1" in line]
    assert pacs(node, "index", "verify").stdout.endswith("0 faults, 1 set aside\n")
    assert pacs(node, "index", "rebuild").returncode == 0
    assert pacs(node, "archive", "aside", "promote", line.split()[0], "--yes").returncode == 0
    listed = pacs(node, "archive", "aside", "show", line.split()[-1]).stdout
    assert "P17" in listed


def test_a_deidentified_instance_has_another_identity_and_leaves_no_other(node):
    assert store(node, sample(), calling="TRIAL").status == 0xB000
    ((name, served),) = stored(node).items()
    assert name == f"{served.SOPInstanceUID}.dcm"
    assert served.SOPInstanceUID.startswith("2.25.")
    assert served.PatientID == "ANONYMOUS"
    for gone in ("PatientName", "InstitutionName", "IssuerOfPatientID"):
        assert gone not in served
    assert not [element for element in served if element.tag.is_private]
    assert "OriginalAttributesSequence" not in served
    assert b"Jane" not in next((node.data_directory / "objects").rglob("*.dcm")).read_bytes()
    assert served.PixelData == sample().PixelData
    coercion, deidentification = events(node, 2)
    assert coercion["details"]["filter"] == "coercion"
    assert deidentification["details"]["stored_sop_instance_uid"] == served.SOPInstanceUID
    assert store(node, sample(), calling="TRIAL").status == 0xB000
    assert len(stored(node)) == 1


def test_import_goes_through_the_filters_as_well(tmp_path):
    config = write_config(tmp_path / "data", TABLES)
    sample().save_as(tmp_path / "one.dcm", enforce_file_format=True)
    sample("1.2.3.1.2", "OT").save_as(tmp_path / "two.dcm", enforce_file_format=True)
    command = [sys.executable, "-m", "pacs_core.cli.main", "import", str(tmp_path / "one.dcm")]
    done = subprocess.run(
        [*command, str(tmp_path / "two.dcm"), "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "OT is not archived here" in done.stderr + done.stdout
    (path,) = (tmp_path / "data" / "objects").rglob("1.2.3.1.*[12].dcm")
    assert dcmread(path).PatientID == "P17"


def test_where_a_filter_fails_nothing_comes_in(tmp_path):
    tables = {"plugin": {"gatekeeper": {"broken": True}}}
    with node_process(tmp_path, tables) as node:
        response = store(node, sample())
        assert response.status == 0x0110
        assert "the key of the trial" not in response.error_comment
        assert not stored(node)
        (event,) = events(node, 1)
        assert event["outcome"] == "failure"
        assert event["details"]["reason"] == "RuntimeError: the key of the trial is lost"
        assert "the key of the trial is lost" in node.log.read_text()


def test_what_needs_no_change_is_answered_success(node):
    dataset = sample()
    dataset.IssuerOfPatientID = "OTHER"
    assert store(node, dataset).status == 0x0000
    assert len(stored(node)) == 1


def test_a_truncated_dataset_is_refused_and_leaves_nothing(node):
    dataset = sample()
    data = bytes(encode_dataset(dataset, ExplicitVRLittleEndian))

    async def send():
        async with connect(node.peer, [Proposal(CT_IMAGE, (ExplicitVRLittleEndian,))]) as one:
            return await one.c_store(CT_IMAGE, dataset.SOPInstanceUID, data[:-100])

    assert anyio.run(send).status >> 12 == 0xC
    assert not stored(node)


def test_filters_see_what_stands_before_the_pixels_whatever_its_length(node):
    dataset = sample()
    dataset.add_new(0x0029_0010, "LO", "ACME")
    dataset.add_new(0x0029_1002, "OB", bytes(20 << 20))
    assert store(node, dataset).status == 0xB000
    served = stored(node)["1.2.3.1.1.dcm"]
    assert served[0x0029_1002].value == bytes(20 << 20)
    assert served.PatientID == "P17"


def test_files_of_pydicom_come_through(node):
    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    assert store(node, dataset).status == 0xB000
    buffer = BytesIO()
    (served,) = [d for n, d in stored(node).items() if n == f"{dataset.SOPInstanceUID}.dcm"]
    served.save_as(buffer)
    assert served.IssuerOfPatientID == "SITE"
