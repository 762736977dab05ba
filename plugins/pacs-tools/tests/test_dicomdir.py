"""``pacs dicomdir``: file-sets that pydicom and DCMTK read, and hostile ones."""

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet

from pacs_core.api.commands import main
from pacs_core.api.file_commands import NOTHING

CT = Path(get_testdata_file("CT_small.dcm"))
NAMES = ("CT_small", "MR_small", "JPEG2000", "test-SR", "rtplan", "waveform_ecg")
SOURCES = [CT.parent / f"{name}.dcm" for name in NAMES]


@pytest.fixture
def run(run):
    return partial(run, "dicomdir")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media") / "set"
    assert (
        main(["dicomdir", "create", *map(str, SOURCES), "-o", str(folder), "--id", "DISC_1"]) == 0
    )
    return folder


@pytest.fixture
def file_set(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "set"))


def test_what_is_made_is_read_by_others_and_keeps_its_bytes(made):
    found = FileSet(made / "DICOMDIR")
    found._stage["t"].cleanup()
    contents = {each.read_bytes() for each in SOURCES}
    assert found.ID == "DISC_1"
    paths = [Path(instance.path) for instance in found]
    assert {path.read_bytes() for path in paths} == contents
    for path in paths:
        names = path.relative_to(made).parts
        assert len(names) <= 8
        assert all(len(name) <= 8 and name.isupper() for name in names)
    if shutil.which("dcmdump"):
        text = subprocess.run(
            ["dcmdump", "-q", "+P", "DirectoryRecordType", made / "DICOMDIR"], capture_output=True
        ).stdout.decode()
        for kind in ("PATIENT", "STUDY", "SERIES", "IMAGE", "SR DOCUMENT", "RT PLAN", "WAVEFORM"):
            assert f"[{kind}]" in text
    assert [each.name for each in made.parent.iterdir()] == ["set"]


def records_of(path):
    """Return what tells directory records apart, of each."""
    keywords = (
        "DirectoryRecordType", "ReferencedFileID", "ReferencedSOPInstanceUIDInFile",
        "ReferencedTransferSyntaxUIDInFile", "PatientID", "PatientName", "StudyInstanceUID",
        "StudyDate", "SeriesInstanceUID", "SeriesNumber", "Modality", "InstanceNumber",
    )  # fmt: skip
    return sorted(
        [str(record.get(keyword, "")) for keyword in keywords]
        for record in dcmread(path).DirectoryRecordSequence
    )


@pytest.mark.skipif(not shutil.which("dcmmkdir"), reason="DCMTK is not installed")
def test_records_are_those_that_dcmmkdir_makes(run, tmp_path):
    folders = [CT.parent / "dicomdirtests" / name for name in ("77654033", "98892001", "98892003")]
    file_set = tmp_path / "set"
    assert run("create", *folders, "-o", file_set)[0] == 0
    command = ["dcmmkdir", "-q", "+I", "+r", "+id", ".", "+D", "OTHER"]
    # It takes itself for one of the files unless the other one is away.
    shutil.move(file_set / "DICOMDIR", tmp_path / "OURS")
    subprocess.run(command, cwd=file_set, check=True)
    ours = records_of(tmp_path / "OURS")
    assert ours == records_of(file_set / "OTHER")
    files = [each for folder in folders for each in folder.rglob("*") if each.is_file()]
    assert sum(bool(each[1]) for each in ours) == len(files)


def test_show_is_a_tree_and_finds_nothing_wrong(run, made):
    code, out, err = run("show", made)
    assert (code, err) == (0, "")
    assert out.startswith("PATIENT ")
    assert "\n  STUDY 20040119 e+1 1.3.6.1.4.1.5962.1.2.1.20040119072730.12322\n" in out
    _, out, _ = run("show", made / "DICOMDIR", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert sum(record["file"] is not None for record in records) == len(SOURCES)


def test_what_is_missing_changed_or_too_much_is_named(run, file_set):
    files = sorted(
        each for each in file_set.rglob("*") if each.is_file() and each.name != "DICOMDIR"
    )
    files[0].unlink()
    shutil.copy(files[2], files[1])
    (file_set / "STRAY").write_bytes(b"x")
    code, _, err = run("show", file_set)
    assert code == 1
    assert f"{files[0]}: the file is missing" in err
    assert f"{files[1]}: the file holds" in err
    assert f"{file_set / 'STRAY'}: no record refers to it" in err


@pytest.mark.parametrize("names", ["..\\..\\secret", "/etc\\passwd", ".\\x", "\\x"])
def test_names_that_lead_out_of_the_set_are_not_followed(run, file_set, tmp_path, names):
    shutil.copy(CT, tmp_path / "secret")
    directory = dcmread(file_set / "DICOMDIR")
    record = next(r for r in directory.DirectoryRecordSequence if "ReferencedFileID" in r)
    record["ReferencedFileID"]._value = names.split("\\")
    directory.save_as(file_set / "DICOMDIR")
    code, _, err = run("show", file_set)
    assert code == 1
    assert "which is no File ID" in err


def test_a_circle_of_records_ends(run, file_set):
    directory = dcmread(file_set / "DICOMDIR")
    records = directory.DirectoryRecordSequence
    for record in records[1:]:
        record.OffsetOfTheNextDirectoryRecord = records[0].seq_item_tell
    directory.save_as(file_set / "DICOMDIR")
    code, _, err = run("show", file_set)
    assert code == 1
    assert "a second time" in err


def test_what_is_no_dicomdir_is_refused(run, tmp_path):
    (tmp_path / "DICOMDIR").write_bytes(b"nothing")
    assert run("show", tmp_path)[::2] == (1, f"pacs: {tmp_path / 'DICOMDIR'}: not a DICOM file\n")
    assert "is no DICOMDIR" in run("show", CT)[2]
    assert run("show", tmp_path / "none")[0] == 1


def test_nothing_is_left_of_what_cannot_be_made(run, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no DICOM")
    assert run("create", tmp_path / "in", "-o", tmp_path / "out")[0] == NOTHING
    assert run("create", tmp_path / "in" / "notes.txt", "-o", tmp_path / "out")[0] == 1
    assert run("create", CT, "-o", tmp_path / "in")[0] == 2
    assert run("create", CT, "-o", tmp_path / "out", "--id", "lower case")[0] == 2
    code, _, err = run("create", CT, CT, "-o", tmp_path / "twice")
    assert code == 1
    assert "is the same instance" in err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in", "twice"]
