"""``pacs correct``: what it does, what it refuses, and its exit codes."""

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from pacs_core.dataset import scan_file, texts

STUDY, PATIENT = 0x0020_000D, 0x0010_0020


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def filled(pacs, data: Path, copies: list[Path]) -> tuple[str, str]:
    """Import a file; return its Study Instance UID and Patient ID."""
    assert pacs("import", "--data", data, copies[0]).code == 0
    found = scan_file(copies[0], {STUDY, PATIENT}).attributes
    return texts(found, STUDY)[0], texts(found, PATIENT)[0]


def test_a_study_is_corrected_listed_and_taken_back(pacs, data: Path, filled) -> None:
    study, _ = filled
    what = ("correct", "update", "--data", data, "--study", study, "--set", "PatientName=Roe^Jane")
    would = pacs(*what)
    assert (would.code, would.out) == (
        0,
        "1 instance would be corrected; add --yes to do it\n",
    )
    assert pacs("correct", "list", "--data", data).out == "nothing was corrected\n"
    done = pacs(*what, "--comment", "a test", "--reason", "coerce", "--yes")
    assert (done.code, done.out) == (0, "correction 1: 1 instance corrected\n")
    listed = pacs("correct", "list", "--data", data, "--study", study).out.splitlines()
    assert listed[0].split() == ["NUMBER", "TIME", "BY", "WHAT", "CHANGES", "STATE", "COMMENT"]
    assert f"study {study}" in listed[1]
    assert "PatientName=Roe^Jane" in listed[1]
    assert listed[1].endswith("in force  a test")
    other = pacs("correct", "list", "--data", data, "--study", "1.2.3.99")
    assert other.out == "nothing was corrected\n"
    assert pacs("index", "rebuild", "--data", data).out.endswith("0 unreadable, 1 correction\n")
    assert pacs("index", "verify", "--data", data).code == 0
    would = pacs("correct", "revert", "1", "--data", data)
    assert would.out == f"1, of study {study}, would be taken back; add --yes to do it\n"
    back = pacs("correct", "revert", "1", "--data", data, "--yes")
    assert (back.code, back.out) == (0, "correction 1 is taken back: 1 instance changed\n")
    assert "reverted by 2" in pacs("correct", "list", "--data", data).out
    again = pacs("correct", "revert", "1", "--data", data, "--yes")
    assert (again.code, again.out) == (1, "")
    assert "there is no correction 1 in force" in again.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--study", "1.2"], 2, "--set or --delete"),
        (["--set", "PatientName=X"], 2, "--patient or --study"),
        (["--series", "1.2", "--set", "PatientName=X"], 2, "with its Study Instance UID"),
        (["--study", "x", "--set", "PatientName=X"], 2, "'x' is not a UID"),
        (["--study", "1.2", "--set", "NoSuch=X"], 2, "NoSuch"),
        (["--study", "1.2", "--set", "PatientName=X", "--yes"], 1, "there is no study 1.2"),
        (["--study", "1.2", "--set", "Rows=1", "--yes"], 1, "describes Pixel Data"),
        (["--study", "1.2", "--set", "PatientBirthDate=x", "--yes"], 1, "PatientBirthDate"),
        (["--study", "1.2", "--delete", "PatientName", "--reason", "why", "--yes"], 1, "COERCE"),
    ],
)
def test_what_is_wrong_is_said(pacs, data: Path, filled, arguments, code, message) -> None:
    result = pacs("correct", "update", "--data", data, *arguments)
    assert (result.code, result.out) == (code, "")
    assert message in result.err


def test_what_is_to_come_is_corrected_in_advance(pacs, data, filled, copies, tmp_path) -> None:
    coming = dcmread(copies[0])
    coming.PatientID, coming.StudyInstanceUID = "LATE", "1.2.826.0.1.99"
    coming.SOPInstanceUID = coming.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.99.1"
    coming.save_as(tmp_path / "coming.dcm")
    what = ("--patient", "LATE^^^H", "--set", "PatientID=ID", "--in-advance", "--yes")
    done = pacs("correct", "update", "--data", data, *what)
    assert (done.code, done.out) == (0, "correction 1: 0 instances corrected\n")
    assert pacs("import", "--data", data, tmp_path / "coming.dcm").code == 0
    late = ("correct", "update", "--data", data, "--patient", "LATE", "--set", "PatientID=ID")
    assert pacs(*late).out.startswith("1 instance")  # it has no issuer
    assert pacs(*late, "--yes").out == "correction 2: 1 instance corrected\n"
    assert pacs("delete", "--data", data, "--study", "1.2.826.0.1.99", "--yes").code == 0


@pytest.fixture
def keyed(pacs, data: Path, copies: list[Path]) -> str:
    """Import an instance with two requests that refers to its own study; return its study."""
    dataset = dcmread(copies[0])
    requests = [Dataset(), Dataset()]
    for number, request in enumerate(requests):
        request.ScheduledProcedureStepID = f"S{number}"
        request.RequestedProcedureID = f"R{number}"
    dataset.RequestAttributesSequence = requests
    evidence = Dataset()
    evidence.StudyInstanceUID = dataset.StudyInstanceUID
    dataset.CurrentRequestedProcedureEvidenceSequence = [evidence]
    path = data.parent / "keyed.dcm"
    dataset.save_as(path)
    assert pacs("import", "--data", data, path).code == 0
    return str(dataset.StudyInstanceUID)


def test_what_a_sequence_would_lose_is_named_and_refused(pacs, data: Path, keyed) -> None:
    what = ("correct", "update", "--data", data, "--study", keyed, "--yes")
    step = ("--set", "RequestAttributesSequence.ScheduledProcedureStepID=S9")
    refused = pacs(*what, *step)
    assert (refused.code, refused.out) == (1, "")
    assert (
        "has more in RequestAttributesSequence, which would be lost: 1 of 2 items, "
        "RequestedProcedureID; give all of it, or --replace-sequences"
    ) in refused.err
    assert "nothing is corrected: 1 loss" in refused.err
    assert pacs("correct", "list", "--data", data).out == "nothing was corrected\n"
    done = pacs(*what, *step, "--replace-sequences")
    assert (done.code, done.out) == (0, "correction 1: 1 instance corrected\n")
    both = (*step, "--set", "RequestAttributesSequence.RequestedProcedureID=R9")
    assert pacs(*what, *both).code == 0  # now there is one item, of which nothing is lost


def test_a_study_that_refers_to_itself_does_not_get_another_uid(pacs, data: Path, keyed) -> None:
    what = ("correct", "update", "--data", data, "--study", keyed, "--yes")
    move = ("--set", "StudyInstanceUID=1.2.826.0.1.99")
    refused = pacs(*what, *move)
    assert (refused.code, refused.out) == (1, "")
    assert f"refers to study {keyed} in CurrentRequestedProcedureEvidenceSequence" in refused.err
    patient = pacs(*what, "--set", "PatientID=OTHER")
    assert (patient.code, patient.out) == (0, "correction 1: 1 instance corrected\n")
    done = pacs(*what, *move, "--leave-references")
    assert (done.code, done.out) == (0, "correction 2: 1 instance corrected\n")
