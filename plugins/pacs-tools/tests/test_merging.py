"""``pacs merge-patient`` and ``pacs uid``."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pacs_tools.uid import derive_uid
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID

FOLDER = Path(get_testdata_file("CT_small.dcm")).parent
STAYS = "MR_small.dcm"
GOES = ("CT_small.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "JPEG2000.dcm")


@pytest.mark.parametrize("name", GOES)
def test_a_patient_is_merged_into_another(run, tmp_path, name):
    source = tmp_path / "in"
    source.mkdir()
    for each in (STAYS, name):
        shutil.copy(FOLDER / each, source / each)
    old, stays = dcmread(FOLDER / name), dcmread(FOLDER / STAYS)
    if old.get("PatientID", "") in {"", stays.PatientID}:
        old.PatientID, old.PatientName = "GONE", "Gone^Patient"
        old.save_as(source / name)
    code, out, err = run("merge-patient", source, "--from", old.PatientID, "--into",
                         stays.PatientID, "-o", tmp_path / "out")  # fmt: skip
    assert (code, out, err) == (0, "1 file written\n", "")
    new = dcmread(tmp_path / "out" / name)
    for keyword in ("PatientID", "PatientName", "PatientSex"):
        assert new.get(keyword, "") == stays.get(keyword, "")
    (item,) = new.OriginalAttributesSequence
    assert item.ReasonForTheAttributeModification == "CORRECT"
    assert item.ModifyingSystem == "pacs merge-patient"
    assert item.ModifiedAttributesSequence[0].PatientID == old.PatientID
    assert item.ModifiedAttributesSequence[0].PatientName == old.PatientName
    assert new.PixelData == old.PixelData
    assert new.file_meta == old.file_meta
    assert not (tmp_path / "out" / STAYS).exists()


def test_what_cannot_be_merged_is_said(run, tmp_path):
    ct = tmp_path / "ct.dcm"
    shutil.copy(FOLDER / "CT_small.dcm", ct)
    patient = dcmread(ct).PatientID
    assert run("merge-patient", ct, "--from", patient, "--into", patient, "--in-place")[0] == 2
    assert run("merge-patient", ct, "--from", patient, "--into", "NOBODY", "--in-place")[0] == 2
    assert run("merge-patient", ct, "--from", patient, "--into", "X")[0] == 2
    like = ["--like", FOLDER / STAYS, "--into", dcmread(FOLDER / STAYS).PatientID]
    assert run("merge-patient", ct, "--from", "NOBODY", *like, "--in-place")[0] == 3
    assert ct.read_bytes() == (FOLDER / "CT_small.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(ct.read_bytes()[:20000])
    code, _, err = run("merge-patient", tmp_path, "--from", patient, *like, "--in-place")
    assert (code, "cut.dcm: damaged" in err) == (1, True)
    assert (tmp_path / "cut.dcm").stat().st_size == 20000
    assert dcmread(ct).PatientID == dcmread(FOLDER / STAYS).PatientID
    output = ["-o", tmp_path / "out"]
    shutil.copy(FOLDER / "CT_small.dcm", ct)
    assert run("merge-patient", ct, "--from", patient, *like, *output)[0] == 0
    assert run("merge-patient", ct, "--from", patient, *like, *output)[0] == 1


def test_new_uids_are_printed(run):
    code, out, _ = run("uid", "-n", "3")
    uids = out.split()
    assert (code, len(set(uids))) == (0, 3)
    assert all(UID(each).is_valid for each in uids)
    assert run("uid", "1.2.3")[0] == 2
    assert run("uid", "--count", "0")[0] == 2


def test_derived_uids_are_the_same_for_the_same_key(run, tmp_path):
    key = tmp_path / "key"
    key.write_text("a key of some length\n")
    first = run("uid", "1.2.3", "1.2.4", "--key-file", key)
    assert first == run("uid", "1.2.3", "1.2.4", "--key-file", key)
    assert len(set(first[1].split())) == 2
    key.write_text("another key, as long\n")
    assert run("uid", "1.2.3", "1.2.4", "--key-file", key)[1] != first[1]
    key.write_text("short")
    assert run("uid", "1.2.3", "--key-file", key)[0] == 2


@given(
    st.binary(min_size=16, max_size=40), st.from_regex(r"[1-9][0-9]{0,8}(\.[1-9][0-9]{0,8}){1,4}")
)
def test_derived_uids_are_valid(key, uid):
    assert UID(derive_uid(key, uid)).is_valid
