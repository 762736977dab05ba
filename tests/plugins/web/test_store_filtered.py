"""What ingest filters make of instances that come by STOW-RS (PS3.18 §10.5, Annex I)."""

from pathlib import Path

import pytest

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy

from .conftest import run_web

GATEKEEPER = Path(__file__).parents[2] / "distributions" / "pacs-gatekeeper"
WARNING_REASON, FAILURE_REASON = "00081196", "00081197"
STORED, FAILED = "00081199", "00081198"
TABLES = {
    "plugin": {"web": {"port": 0}, "gatekeeper": {"unwanted": ["OT"], "issuer": "SITE"}},
}


@pytest.fixture(scope="module")
def web(site, tmp_path_factory):
    site.link(GATEKEEPER)
    folder = tmp_path_factory.mktemp("filtered")
    with run_web(folder, plugins=("dicomweb", "gatekeeper"), **TABLES) as running:
        yield running


def store(web, *datasets):
    """Store instances in one request; return the status and the module of the response."""
    boundary, parts = "==b==", []
    for each in datasets:
        uids = each.sop_class_uid, each.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        parts.append(head + file_meta(*uids) + each.encode() + b"\r\n")
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary="{boundary}"',
        "Accept": "application/dicom+json",
    }
    with web.client(headers=headers) as client:
        content = b"".join(parts) + f"--{boundary}--\r\n".encode()
        response = client.post("/dicom-web/studies", content=content)
    return response, response.json()


def test_an_instance_that_a_filter_has_edited_is_stored_with_warning_b000(web):
    """Warning Reason is the status of C-STORE: Coercion of Data Elements (Table I.2-2)."""
    sample = SampleStudy().make("CT", PatientID="P 17")
    response, module = store(web, sample)
    assert response.status_code == 202
    (item,) = module[STORED]["Value"]
    assert item[WARNING_REASON]["Value"] == [0xB000]
    assert item["00081155"]["Value"] == [sample.sop_instance_uid]
    assert "PatientID" in response.headers["warning"]
    path = item["00081190"]["Value"][0].partition("/dicom-web")[2]
    (found,) = web.get(f"/dicom-web{path}/metadata").json()
    assert found["00100020"]["Value"] == ["P17"]
    assert found["00100021"]["Value"] == ["SITE"]
    (original,) = found["04000561"]["Value"]
    assert original["04000550"]["Value"][0]["00100020"]["Value"] == ["P 17"]
    again, _ = store(web, sample)
    assert again.status_code == 202


def test_one_that_needs_no_edit_has_no_warning(web):
    response, module = store(web, SampleStudy().make("CT", IssuerOfPatientID="OTHER"))
    assert response.status_code == 200
    assert WARNING_REASON not in module[STORED]["Value"][0]


def test_one_that_a_filter_rejects_fails_with_the_status_of_the_filter_and_alone(web):
    """The same that C-STORE is answered: here 0124H, Not Authorized."""
    study = SampleStudy()
    good = study.make("CT", PatientID="P 18")
    bad = study.make("CT", Modality="OT")
    response, module = store(web, good, bad)
    assert response.status_code == 202
    (failed,) = module[FAILED]["Value"]
    assert failed["00081155"]["Value"] == [bad.sop_instance_uid]
    assert failed[FAILURE_REASON]["Value"] == [0x0124]
    (stored,) = module[STORED]["Value"]
    assert stored[WARNING_REASON]["Value"] == [0xB000]
    assert "OT is not archived here" in response.headers["warning"]
