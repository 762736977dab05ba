"""Documents made into DICOM instances and back, checked by pydicom, DCMTK and the archive."""

import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

CT = Path(get_testdata_file("CT_small.dcm"))
DOCUMENTS = {
    "pdf": b"%PDF-1.4\n%odd number of bytes\n%%EOF",
    "cda": b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3">'
    b'<typeId root="2.16"/><id extension="c266" root="2.16.840.1.113883.19.4"/></ClinicalDocument>',
    "stl": b"solid cube\nendsolid cube\n",
}
CLASSES = {"pdf": "104.1", "cda": "104.2", "stl": "104.3"}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_goes_there_and_back(run, tmp_path, kind):
    source, made, back = tmp_path / "in", tmp_path / "made.dcm", tmp_path / "back"
    source.write_bytes(DOCUMENTS[kind])
    arguments = ["--like", CT, "--title", "Befund – Ω", "-s", "SeriesNumber=7"]
    assert run(f"from-{kind}", source, made, *arguments)[0::2] == (0, "")
    dataset, ct = dcmread(made), dcmread(CT)
    assert dataset.SOPClassUID == f"1.2.840.10008.5.1.4.1.1.{CLASSES[kind]}"
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert (dataset.StudyInstanceUID, dataset.PatientName) == (ct.StudyInstanceUID, ct.PatientName)
    assert dataset.SeriesInstanceUID != ct.SeriesInstanceUID
    assert (dataset.DocumentTitle, dataset.SeriesNumber) == ("Befund – Ω", 7)
    assert list(dataset.keys()) == sorted(dataset.keys())
    assert run("to-document", made, back)[0::2] == (0, "")
    assert back.read_bytes() == DOCUMENTS[kind]
    if kind == "cda":
        assert dataset.HL7InstanceIdentifier == "2.16.840.1.113883.19.4^c266"
    if shutil.which("dcmdump"):
        subprocess.run(["dcmdump", "-q", made], check=True, stdout=subprocess.DEVNULL)
    assert run(f"from-{kind}", source, made)[0] == 2
    assert run("to-document", made, back)[0] == 2
    assert run("to-document", made, back, "--overwrite")[0] == 0


@pytest.mark.skipif(not shutil.which("dcm2pdf"), reason="DCMTK is not installed")
def test_dcmtk_reads_what_is_made_and_the_other_way_round(run, tmp_path):
    source = tmp_path / "a.pdf"
    source.write_bytes(DOCUMENTS["pdf"] + b"\n")
    assert run("from-pdf", source, tmp_path / "ours.dcm")[0] == 0
    subprocess.run(["dcm2pdf", tmp_path / "ours.dcm", tmp_path / "theirs.pdf"], check=True)
    assert (tmp_path / "theirs.pdf").read_bytes() == source.read_bytes()
    subprocess.run(["pdf2dcm", "-q", source, tmp_path / "theirs.dcm"], check=True)
    assert run("to-document", tmp_path / "theirs.dcm", tmp_path / "ours.pdf")[0] == 0
    assert (tmp_path / "ours.pdf").read_bytes() == source.read_bytes()


def test_what_is_no_such_document_is_refused_and_nothing_left(run, tmp_path):
    source = tmp_path / "in"
    source.write_bytes(b"no document")
    for kind in DOCUMENTS:
        code, _, err = run(f"from-{kind}", source, tmp_path / "out.dcm")
        assert code == 1
        assert "does not begin as" in err
    assert run("to-document", CT, tmp_path / "out")[0] == 1
    assert run("from-pdf", tmp_path / "none", tmp_path / "out.dcm")[0] == 1
    source.write_bytes(DOCUMENTS["pdf"])
    assert run("from-pdf", source, tmp_path / "out.dcm", "-s", "StudyDate=never")[0] == 2
    assert run("from-pdf", source, tmp_path / "out.dcm", "--like", source)[0] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


def test_a_length_that_does_not_fit_is_named(run, tmp_path):
    source = tmp_path / "in"
    source.write_bytes(DOCUMENTS["pdf"])
    run("from-pdf", source, tmp_path / "a.dcm")
    dataset = dcmread(tmp_path / "a.dcm")
    dataset.EncapsulatedDocumentLength = 1 << 20
    dataset.save_as(tmp_path / "a.dcm")
    code, _, err = run("to-document", tmp_path / "a.dcm", tmp_path / "out")
    assert code == 1
    assert "Encapsulated Document Length says 1048576" in err
    assert not (tmp_path / "out").exists()
