"""``pacs modify``, its results read by pydicom and checked by DCMTK."""

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from pacs_core.api.commands import main

CT = Path(get_testdata_file("CT_small.dcm"))
FOLDER = CT.parent
ENCODINGS = ("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm",
             "JPEG2000.dcm", "SC_rgb_rle_2frame.dcm")  # fmt: skip


@pytest.fixture
def run(run):
    return partial(run, "modify")


def dcmtk_reads(path):
    if shutil.which("dcmdump"):
        subprocess.run(["dcmdump", "-q", path], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", ENCODINGS)
def test_what_is_not_changed_keeps_its_bytes(run, tmp_path, name):
    code, out, err = run(FOLDER / name, "-s", "PatientName=Doe^Jane", "-s", "PatientID=", "-d",
                         "StudyTime", "-s", "SeriesNumber=7", "-o", tmp_path)  # fmt: skip
    assert (code, out, err) == (0, "1 file written\n", "")
    before, after = dcmread(FOLDER / name), dcmread(tmp_path / name)
    assert (after.PatientName, after.PatientID, after.SeriesNumber) == ("Doe^Jane", "", 7)
    assert "StudyTime" not in after
    assert after.file_meta == before.file_meta
    for keyword in ("PatientName", "PatientID", "StudyTime", "SeriesNumber"):
        for dataset in (before, after):
            if keyword in dataset:
                del dataset[keyword]
    assert after == before
    assert after.PixelData == before.PixelData
    dcmtk_reads(tmp_path / name)


def test_bytes_of_other_elements_are_those_of_the_input(run, tmp_path):
    run(CT, "-s", "PatientSex=F", "-o", tmp_path)
    old, new = CT.read_bytes(), (tmp_path / CT.name).read_bytes()
    assert new == old.replace(b"\x10\0\x40\0CS\2\0O ", b"\x10\0\x40\0CS\2\0F ")


def test_items_are_changed_by_their_place(run, tmp_path):
    code, _, _ = run(
        CT, "-s", "OtherPatientIDsSequence[2].PatientID=77", "-d",
        "OtherPatientIDsSequence[*].TypeOfPatientID", "-o", tmp_path,
    )  # fmt: skip
    items = dcmread(tmp_path / CT.name).OtherPatientIDsSequence
    assert code == 0
    assert [item.PatientID for item in items] == ["ABCD1234", "77"]
    assert all("TypeOfPatientID" not in item for item in items)
    dcmtk_reads(tmp_path / CT.name)
    code, _, err = run(CT, "-s", "OtherPatientIDsSequence[3].PatientID=1", "-o", tmp_path / "b")
    assert code == 1
    assert "there is no such item" in err
    assert not (tmp_path / "b").exists()


def test_private_attributes_go_or_are_set(run, tmp_path):
    run(CT, "--delete-private", "-o", tmp_path)
    assert not [each for each in dcmread(tmp_path / CT.name).iterall() if each.tag.is_private]
    run(CT, "-s", "0009,1001=OTHER", "-o", tmp_path, "--overwrite")
    assert dcmread(tmp_path / CT.name)[0x0009_1001].value == "OTHER"
    assert run(CT, "-s", "0009,1055=NEW", "-o", tmp_path, "--overwrite")[0] == 1


def test_new_uids_hold_together(run, tmp_path):
    for number in range(3):
        dataset = dcmread(CT)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.{number}"
        dataset.ReferencedImageSequence = [Dataset(), Dataset()]
        dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID = f"1.2.{(number + 1) % 3}"
        dataset.ReferencedImageSequence[1].ReferencedSOPInstanceUID = "1.9.9"
        (tmp_path / "in" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        dataset.save_as(tmp_path / "in" / str(number % 2) / f"{number}.dcm")
    code, _, _ = run(tmp_path / "in", "--new-uids", "series", "-o", tmp_path / "out")
    made = [dcmread(tmp_path / "out" / str(n % 2) / f"{n}.dcm") for n in range(3)]
    assert code == 0
    uids = [each.SOPInstanceUID for each in made]
    assert len({*uids}) == 3
    assert all(uid.startswith("2.25.") for uid in uids)
    assert uids == [each.file_meta.MediaStorageSOPInstanceUID for each in made]
    assert [each.ReferencedImageSequence[0].ReferencedSOPInstanceUID for each in made] == [
        uids[1], uids[2], uids[0],
    ]  # fmt: skip
    assert {each.ReferencedImageSequence[1].ReferencedSOPInstanceUID for each in made} == {"1.9.9"}
    assert len({each.SeriesInstanceUID for each in made}) == 1
    assert made[0].SeriesInstanceUID != dcmread(CT).SeriesInstanceUID
    assert made[0].StudyInstanceUID == dcmread(CT).StudyInstanceUID
    dcmtk_reads(tmp_path / "out" / "0" / "0.dcm")


def test_a_table_says_what_each_file_gets(run, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("PatientID,PatientName,PatientSex\n1CT1,Doe^Jane,F\n4MR1,Roe^Rick,\n")
    code, _, err = run(CT, FOLDER / "MR_small.dcm", "--csv", table, "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    assert dcmread(tmp_path / "out" / "CT_small.dcm").PatientName == "Doe^Jane"
    mr = dcmread(tmp_path / "out" / "MR_small.dcm")
    assert (mr.PatientName, mr.PatientSex) == ("Roe^Rick", "")
    code, _, err = run(FOLDER / "rtplan.dcm", "--csv", table, "-o", tmp_path / "out")
    assert code == 1
    assert "no row of the table has its PatientID" in err
    table.write_text("PatientID,PatientNam\n1,2\n")
    assert run(CT, "--csv", table, "-o", tmp_path / "out")[0] == 2


def test_json_says_what_differs_and_where_it_is_written(run, tmp_path):
    change = (CT, FOLDER / "MR_small.dcm", "-s", "PatientName=Doe", "-d", "PatientSex", "--json")
    for target in (("--dry-run",), ("-o", tmp_path)):
        code, out, err = run(*change, *target)
        assert (code, err) == (0, "")
        first, second = map(json.loads, out.splitlines())
        assert (first["file"], second["file"]) == (str(CT), str(FOLDER / "MR_small.dcm"))
        assert first["written"] == (None if len(target) == 1 else str(tmp_path / CT.name))
        name, sex = first["differences"]
        assert name == {
            "path": "PatientName", "in": "both", "first": "CompressedSamples^CT1", "second": "Doe",
        }  # fmt: skip
        assert (sex["path"], sex["in"]) == ("PatientSex", "first")
    assert dcmread(tmp_path / CT.name).PatientName == "Doe"


def test_a_dry_run_shows_what_would_differ(run, tmp_path):
    before = CT.read_bytes()
    code, out, err = run(CT, "-s", "PatientName=Doe", "-d", "PatientSex", "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"# {CT}", "- PatientName: CompressedSamples^CT1", "+ PatientName: Doe", "- PatientSex: O",
    ]  # fmt: skip
    assert CT.read_bytes() == before


def test_in_place_is_whole_or_not_at_all(run, tmp_path):
    path = tmp_path / "a.dcm"
    shutil.copy(CT, path)
    path.chmod(0o640)
    assert run(path, "-s", "PatientName=Doe", "--in-place")[0] == 0
    assert dcmread(path).PatientName == "Doe"
    assert path.stat().st_mode & 0o777 == 0o640
    before = path.read_bytes()
    path.write_bytes(before[:-5])
    assert run(path, "-s", "PatientName=Roe", "--in-place")[0] == 1
    assert path.read_bytes() == before[:-5]
    assert [each.name for each in tmp_path.iterdir()] == ["a.dcm"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["-s", "PatientName=a"],
        ["-o", "x"],
        ["-s", "PatientName", "-o", "x"],
        ["-s", "PatientNam=a", "-o", "x"],
        ["-s", "PatientName[1]=a", "-o", "x"],
        ["-s", "OtherPatientIDsSequence[0].PatientID=a", "-o", "x"],
        ["-s", "PixelData=a", "-o", "x"],
        ["-s", "SpecificCharacterSet=ISO_IR 192", "-o", "x"],
        ["-s", "TransferSyntaxUID=1.2", "-o", "x"],
        ["-s", "SeriesNumber=seven", "-o", "x"],
        ["-s", "StudyInstanceUID=1.02", "-o", "x"],
        ["-s", "StudyDate=2026-01-01", "-o", "x"],
        ["-s", "PatientName=a", "-o", "x", "--in-place"],
        ["-d", "..", "-o", "x"],
    ],
)
def test_a_wrong_command_line_changes_nothing(run, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(CT, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert not list(tmp_path.iterdir())


def test_the_character_set_is_extended_where_it_can_be(run, tmp_path):
    assert run(CT, "-s", "PatientName=Müller", "-o", tmp_path)[0] == 0
    latin = dcmread(tmp_path / CT.name)
    assert (latin.PatientName, latin.SpecificCharacterSet) == ("Müller", "ISO_IR 100")
    assert run(CT, "-s", "PatientName=Ωmega", "-o", tmp_path, "--overwrite")[0] == 0
    greek = dcmread(tmp_path / CT.name)
    assert greek.PatientName == "Ωmega"
    assert greek.SpecificCharacterSet == ["ISO 2022 IR 100", "ISO 2022 IR 126"]
    code, _, err = run(CT, "-s", "OtherPatientIDsSequence[1].PatientID=Ω", "-o", tmp_path / "b")
    assert code == 1
    assert "ISO_IR 100, the character set of the dataset, has not all of it" in err


TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40).map(
    lambda text: text.replace("\\", "").strip()
)


@settings(max_examples=30, deadline=None)
@given(TEXT, st.sampled_from(ENCODINGS[:3]))
def test_text_that_is_set_is_there(tmp_path_factory, text, name):
    output = tmp_path_factory.mktemp("out")
    assert (
        main(["modify", str(FOLDER / name), "-s", f"StudyDescription={text}", "-o", str(output)])
        == 0
    )
    assert (dcmread(output / name).StudyDescription or "") == text
