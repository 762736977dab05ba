"""``pacs dicomdir update``: what pydicom and DCMTK read again, and DICOMDIRs made to harm."""

import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataelem import RawDataElement
from pydicom.fileset import FileSet
from pydicom.tag import Tag

from pacs_core.api.commands import main

CT = Path(get_testdata_file("CT_small.dcm"))
MR = CT.with_name("MR_small.dcm")
NEXT = "OffsetOfTheNextDirectoryRecord"
LOWER = "OffsetOfReferencedLowerLevelDirectoryEntity"


@pytest.fixture
def run(run):
    return partial(run, "dicomdir")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media") / "set"
    assert main(["dicomdir", "create", str(CT), str(MR), "-o", str(folder), "--id", "DISC"]) == 0
    return folder


@pytest.fixture
def media(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "set"))


def copy(source, target, **attributes):
    """Write an instance with other attributes; return its SOP Instance UID."""
    dataset = dcmread(source)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    target.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(target)
    return str(dataset.SOPInstanceUID)


def instances(folder):
    """UIDs of a file-set by pydicom, which follows the offsets."""
    found = FileSet(folder / "DICOMDIR")
    found._stage["t"].cleanup()
    return {str(each.SOPInstanceUID) for each in found}


def dump(path):
    return subprocess.run(["dcmdump", "-q", path], capture_output=True, check=True).stdout.decode()


def test_new_files_are_added_and_those_of_files_that_are_gone_are_dropped(run, media):
    before = dcmread(media / "DICOMDIR")
    ct, mr = str(dcmread(CT).SOPInstanceUID), str(dcmread(MR).SOPInstanceUID)
    again = copy(CT, media / "NEW" / "A", SOPInstanceUID="1.2.3.4")
    other = copy(CT, media / "NEW" / "B", SOPInstanceUID="1.2.3.5", PatientID="OTHER")
    file = next(each for each in media.rglob("IM*") if dcmread(each).SOPInstanceUID == mr)
    file.unlink()
    code, out, err = run("update", media)
    assert (code, err) == (0, "")
    assert out.endswith("2 added, 1 removed\n")
    assert instances(media) == {ct, again, other}
    directory = dcmread(media / "DICOMDIR")
    kinds = [each.DirectoryRecordType for each in directory.DirectoryRecordSequence]
    # Those above an instance are shared with what was there; those above what is gone go as well.
    assert kinds == ["PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE",
                     "PATIENT", "STUDY", "SERIES", "IMAGE"]  # fmt: skip
    assert directory.FileSetID == "DISC"
    assert directory.file_meta == before.file_meta
    assert run("show", media)[::2] == (0, "")
    assert run("update", media)[:2] == (0, "0 added, 0 removed\n")


@pytest.mark.skipif(not shutil.which("dcmmkdir"), reason="needs DCMTK")
def test_dcmtk_goes_on_with_what_was_updated_and_the_other_way_round(run, tmp_path):
    for number, name in enumerate(("A", "B", "C", "D")):
        copy(CT, tmp_path / name, SOPInstanceUID=f"1.2.3.{number}", InstanceNumber=number)
    make = ["dcmmkdir", "-q", "+D", "DICOMDIR", "-Pgp"]
    subprocess.run([*make, "+F", "DISC", "A", "B"], cwd=tmp_path, check=True)
    (tmp_path / "A").unlink()
    (tmp_path / "D").rename(tmp_path.parent / "D")
    assert run("update", tmp_path)[0] == 0
    assert "[DISC]" in dump(tmp_path / "DICOMDIR")
    assert instances(tmp_path) == {"1.2.3.1", "1.2.3.2"}
    (tmp_path.parent / "D").rename(tmp_path / "D")
    subprocess.run([*make, "+A", "D"], cwd=tmp_path, check=True)
    assert run("show", tmp_path)[::2] == (0, "")
    assert instances(tmp_path) == {"1.2.3.1", "1.2.3.2", "1.2.3.3"}


def test_private_records_and_elements_stay(run, media):
    private = Dataset()
    private.RecordInUseFlag = 0xFFFF
    private.DirectoryRecordType = "PRIVATE"
    private.PrivateRecordUID = "1.2.826.0.1.3680043.9.1"
    setattr(private, NEXT, 0)
    setattr(private, LOWER, 0)
    private.add_new(0x00090010, "LO", "ACME")
    private.add_new(0x00091001, "OB", b"\1\2\3\4")

    def chain(directory):
        records = directory.DirectoryRecordSequence
        records.append(private)
        tops = [each for each in records if each.DirectoryRecordType == "PATIENT"]
        return tops[-1]

    rewrite(media, chain, link_last=True)
    copy(CT, media / "NEW", SOPInstanceUID="1.2.3.4")
    code, _, err = run("update", media)
    assert (code, err) == (0, "")
    assert run("show", media)[::2] == (0, "")
    (kept,) = (
        each
        for each in dcmread(media / "DICOMDIR").DirectoryRecordSequence
        if each.DirectoryRecordType == "PRIVATE"
    )
    assert kept.PrivateRecordUID == private.PrivateRecordUID
    assert kept[0x00091001].value == b"\1\2\3\4"


def test_icons_of_records_stay(run, media):
    """Pixels are not read with a record, but are written with it (PS3.3 F.5.4)."""
    icon = Dataset()
    icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
    icon.Rows = icon.Columns = 64
    icon.BitsAllocated = icon.BitsStored = 8
    icon.HighBit, icon.PixelRepresentation = 7, 0
    icon.PixelData = bytes(range(256)) * 16
    icon["PixelData"].VR = "OB"

    def add(directory):
        directory.DirectoryRecordSequence[-1].IconImageSequence = [icon]

    rewrite(media, add)
    copy(CT, media / "NEW", SOPInstanceUID="1.2.3.4")
    assert run("update", media)[::2] == (0, "")
    assert run("show", media)[::2] == (0, "")
    records = dcmread(media / "DICOMDIR").DirectoryRecordSequence
    (kept,) = (each.IconImageSequence for each in records if "IconImageSequence" in each)
    assert kept == Sequence([icon])


def rewrite(media, change, *, link_last=False):
    """Change a DICOMDIR, whose last record may be to follow one."""
    path = media / "DICOMDIR"
    directory = dcmread(path)
    record = change(directory)
    directory.save_as(path)
    if link_last:
        directory = dcmread(path)
        records = directory.DirectoryRecordSequence
        (before,) = (each for each in records if each == record)
        setattr(before, NEXT, records[-1].seq_item_tell)
        directory.save_as(path)


def test_a_dry_run_writes_nothing_and_names_that_are_no_file_ids_are_named(run, media):
    copy(CT, media / "NEW", SOPInstanceUID="1.2.3.4")
    copy(CT, media / "lower.dcm", SOPInstanceUID="1.2.3.5")
    copy(CT, media / "TWICE", SOPInstanceUID=str(dcmread(MR).SOPInstanceUID))
    before = (media / "DICOMDIR").read_bytes()
    code, out, err = run("update", media, "--dry-run")
    assert code == 1
    assert f"+ {media / 'NEW'}\n1 added, 0 removed" in out
    assert "lower.dcm: its name is no File ID" in err
    assert "TWICE" in err
    assert "is the same instance" in err
    assert (media / "DICOMDIR").read_bytes() == before
    assert not list(media.glob(".incoming*"))


def set_offset(keyword, value):
    def change(directory):
        records = directory.DirectoryRecordSequence
        setattr(records[0], keyword, value(records))

    return change


def set_file(*names):
    def change(directory):
        record = next(r for r in directory.DirectoryRecordSequence if "ReferencedFileID" in r)
        record["ReferencedFileID"]._value = list(names)

    return change


def set_raw(keyword, vr, value):
    def change(directory):
        record = next(r for r in directory.DirectoryRecordSequence if "ReferencedFileID" in r)
        tag = Tag(keyword)
        record._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)

    return change


def drop_file(directory):
    del next(
        r for r in directory.DirectoryRecordSequence if "ReferencedFileID" in r
    ).ReferencedFileID


HOSTILE = {
    "a circle": (set_offset(NEXT, lambda records: records[0].seq_item_tell), "a second time"),
    "its own parent": (set_offset(LOWER, lambda records: records[0].seq_item_tell), "second time"),
    "beyond the end": (set_offset(NEXT, lambda records: 0xFFFFFFF0), "where there is none"),
    "between records": (set_offset(LOWER, lambda records: 5), "where there is none"),
    "no file": (drop_file, "it refers to no file"),
    "parents": (set_file("..", "SECRET"), "which is no File ID"),
    "absolute": (set_file("/etc", "passwd"), "which is no File ID"),
    "slashes": (set_file("A/../../SECRET"), "which is no File ID"),
    "nine components": (set_file(*"ABCDEFGHI"), "which is no File ID"),
    "a link": (set_file("LINK", "SECRET"), "leads out of the file-set"),
    "offset of text": (set_raw(NEXT, "LO", b"ab"), "is no number"),
    "offset of three bytes": (set_raw(NEXT, "UL", b"abc"), "is no number"),
    "a name of floats": (set_raw("ReferencedFileID", "FD", b"12345678"), "cannot be read"),
    "a name of half a float": (set_raw("ReferencedFileID", "FD", b"abc"), "cannot be read"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_records_are_named_and_lead_nowhere(run, media, tmp_path, what):
    change, message = HOSTILE[what]
    outside = tmp_path / "outside"
    copy(CT, outside / "SECRET", SOPInstanceUID="1.2.3.666", PatientName="Secret")
    (media / "LINK").symlink_to(outside)
    rewrite(media, change)
    before = (media / "DICOMDIR").read_bytes()
    held = sorted(media.rglob("*"))
    for command in ("show", "update"):
        code, out, err = run(command, media)
        assert code == 1
        assert message in err
        assert "1.2.3.666" not in out + err
    assert "it is left as it is" in err
    assert (media / "DICOMDIR").read_bytes() == before
    assert sorted(media.rglob("*")) == held


@pytest.mark.parametrize("shift", [-22, 38])
def test_offsets_that_are_all_wrong_by_the_same_are_mended(run, media, shift):
    """As programs leave them that change a name, and forget offsets (PS3.3 F.3.2.2)."""
    known = instances(media)

    def move(directory):
        for each in (directory, *directory.DirectoryRecordSequence):
            for element in each:
                if element.VR == "UL" and element.keyword.startswith("Offset") and element.value:
                    element.value += shift

    path = media / "DICOMDIR"
    directory = dcmread(path)
    move(directory)
    directory.save_as(path)
    code, out, err = run("show", media)
    assert code == 1
    assert f"all its offsets are wrong by {-shift} bytes" in err
    assert out.count("IMAGE") == len(known)
    before = path.read_bytes()
    code, out, _ = run("update", media, "--dry-run")
    assert code == 0
    assert path.read_bytes() == before
    code, out, err = run("update", media)
    assert (code, err) == (0, "")
    assert f"offsets that were wrong by {-shift} bytes become right" in out
    assert instances(media) == known
    assert run("show", media)[::2] == (0, "")


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99])
def test_a_truncated_dicomdir_is_refused(run, media, kept):
    path = media / "DICOMDIR"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    for command in ("show", "update"):
        code, _, err = run(command, media)
        assert code == 1
        assert str(path) in err
    assert path.stat().st_size == int(len(content) * kept)


def test_records_below_each_other_without_end_are_cut_off(run, tmp_path):
    path = make_many(tmp_path, 2000, LOWER)
    for command in ("show", "update"):
        code, out, err = run(command, tmp_path)
        assert code == 1
        assert "below 16 others" in err
        assert len(out) < 10_000
    assert path.exists()


def test_many_records_are_read_and_updated(run, tmp_path):
    make_many(tmp_path, 3000, NEXT)
    code, out, err = run("show", tmp_path)
    assert (code, err) == (0, "")
    assert out.count("PATIENT") == 3000
    copy(CT, tmp_path / "NEW", SOPInstanceUID="1.2.3.4")
    assert run("update", tmp_path)[0] == 0
    code, out, err = run("show", tmp_path)
    assert (code, err) == (0, "")
    assert f"IMAGE {tmp_path / 'NEW'}\n" in out


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("link", [NEXT, LOWER])
def test_a_hundred_thousand_records(run, tmp_path, link):
    make_many(tmp_path, 100_000, link)
    copy(CT, tmp_path / "NEW", SOPInstanceUID="1.2.3.4")
    assert run("show", tmp_path)[0] == (link == LOWER)
    assert run("update", tmp_path)[0] == (link == LOWER)


def make_many(folder, number, link):
    """Write a DICOMDIR with many patients, one after or below the other."""
    assert main(["dicomdir", "create", str(CT), "-o", str(folder / "one")]) == 0
    directory = dcmread(folder / "one" / "DICOMDIR")
    shutil.rmtree(folder / "one")
    first = directory.DirectoryRecordSequence[0].seq_item_tell
    records = []
    for each in range(number):
        record = Dataset()
        setattr(record, NEXT, 0)
        record.RecordInUseFlag = 0xFFFF
        setattr(record, LOWER, 0)
        record.DirectoryRecordType = "PATIENT"
        record.PatientName = "X"
        record.PatientID = f"{each:08}"
        records.append(record)
    # Header of an item, three numbers, type, name and ID: all are of the same length.
    length = 8 + 12 + 10 + 12 + 16 + 10 + 16
    for each, record in enumerate(records[:-1]):
        setattr(record, link, first + (each + 1) * length)
    directory.DirectoryRecordSequence = Sequence(records)
    directory.save_as(folder / "DICOMDIR")
    return folder / "DICOMDIR"
