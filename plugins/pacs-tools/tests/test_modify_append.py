"""What ``pacs modify`` appends, and private attributes that are new (PS3.5 §6.4, §7.8.1)."""

import shutil
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pacs_tools.editing import Changes
from pacs_tools.paths import parse_path
from pacs_tools.setting import read_appended, read_values
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from pacs_core.api.file_commands import CommandError, UsageError
from pacs_core.dataset import DataElement, ElementSet

CT = Path(get_testdata_file("CT_small.dcm"))
FOLDER = CT.parent
ENCODINGS = ("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm",
             "JPEG2000.dcm")  # fmt: skip
CREATOR = "ACME 1.0"


@pytest.fixture
def run(run):
    return partial(run, "modify")


@pytest.mark.parametrize("name", ENCODINGS)
def test_values_follow_those_that_are_there(run, tmp_path, name):
    before = dcmread(FOLDER / name)
    before.ImageType = ["ORIGINAL", "PRIMARY"]
    before.SimpleFrameList = [1, 70000]
    before.FrameIncrementPointer = [0x00181063]
    before.ReferencedFrameNumber = None
    before.save_as(tmp_path / name)
    arguments = [
        "ImageType=AXIAL", "SimpleFrameList=2\\3", "FrameIncrementPointer=00181065",
        "ReferencedFrameNumber=7", "OtherPatientNames=A^B\\C", "OtherPatientNames=D",
    ]  # fmt: skip
    code, out, err = run(
        tmp_path / name, *[f"--append={each}" for each in arguments], "-o", tmp_path / "out"
    )
    assert (code, out, err) == (0, "1 file written\n", "")
    after = dcmread(tmp_path / "out" / name)
    assert list(after.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert list(after.SimpleFrameList) == [1, 70000, 2, 3]
    assert list(after.FrameIncrementPointer) == [0x00181063, 0x00181065]
    assert after.ReferencedFrameNumber == 7
    assert list(map(str, after.OtherPatientNames)) == ["A^B", "C", "D"]


def test_items_are_appended_and_filled(run, tmp_path):
    code, _, err = run(
        CT, "--append", "OtherPatientIDsSequence", "--append", "RequestAttributesSequence",
        "-s", "OtherPatientIDsSequence[-1].PatientID=77",
        "-s", "OtherPatientIDsSequence[-3].PatientID=FIRST",
        "-s", "RequestAttributesSequence[1].ScheduledProcedureStepID=S",
        "-o", tmp_path,
    )  # fmt: skip
    after = dcmread(tmp_path / CT.name)
    assert (code, err) == (0, "")
    assert [item.PatientID for item in after.OtherPatientIDsSequence] == ["FIRST", "1234ABCD", "77"]
    assert after.RequestAttributesSequence[0].ScheduledProcedureStepID == "S"
    code, _, err = run(CT, "--append", "OtherPatientIDsSequence[9].PatientID=1", "--dry-run")
    assert code == 1
    assert "there is no such item" in err


def test_the_character_set_is_extended_by_what_is_appended(run, tmp_path):
    run(CT, "-s", "OtherPatientNames=Müller", "-o", tmp_path)
    run(tmp_path / CT.name, "--append", "OtherPatientNames=Ωmega", "--in-place")
    after = dcmread(tmp_path / CT.name)
    assert list(map(str, after.OtherPatientNames)) == ["Müller", "Ωmega"]


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_private_creator_gets_a_block(run, tmp_path, name):
    code, _, err = run(
        FOLDER / name,
        "-s", f"0077,[{CREATOR}],01:LO=red",
        "-s", f"0077,[{CREATOR}],02:US=65535\\3",
        "--append", f"0077,[{CREATOR}],03:SQ",
        "-s", f"0077,[{CREATOR}],03[1].0013,[{CREATOR}],FF:DS=1.5",
        "-o", tmp_path,
    )  # fmt: skip
    assert (code, err) == (0, "")
    after = dcmread(tmp_path / name)
    block = after.private_block(0x0077, CREATOR)
    assert block.block_start == 0x1000
    inner = block[0x03].value[0].private_block(0x0013, CREATOR)[0xFF].value
    if after.file_meta.TransferSyntaxUID.is_implicit_VR:  # where nothing says what VR it is
        assert (block[0x01].value, inner) == (b"red ", b"1.5 ")
    else:
        assert (block[0x01].value, inner) == ("red", 1.5)
        assert list(block[0x02].value) == [65535, 3]
    if shutil.which("dcmdump"):
        subprocess.run(["dcmdump", "-q", tmp_path / name], check=True, stdout=subprocess.DEVNULL)


def test_a_private_sequence_stays_one_where_no_vr_says_so(run, tmp_path):
    """PS3.5 §6.2.2: in Implicit VR, undefined length is what tells sequences (pydicom#474)."""
    source = dcmread(FOLDER / "MR_small_implicit.dcm")
    inner = Dataset()
    inner.PatientID = "1"
    source.private_block(0x0077, CREATOR, create=True).add_new(1, "SQ", [inner])
    source[0x0077_1001].is_undefined_length = True
    source.save_as(tmp_path / "a.dcm")
    for value in ("22", "333"):
        assert run(tmp_path / "a.dcm", "-s", f"0077,[{CREATOR}],01[1].PatientID={value}",
                   "--in-place")[0] == 0  # fmt: skip
        (item,) = dcmread(tmp_path / "a.dcm")[0x0077_1001].value
        assert item.PatientID == value


def test_a_private_attribute_is_named_by_its_creator(run, tmp_path):
    """CT_small.dcm: GEMS_IDEN_01 has reserved block 10 of group 0009."""
    code, out, err = run(
        CT, "-s", "0009,[GEMS_IDEN_01],01=OTHER", "-s", "0009,[GEMS_IDEN_01],02=CT99",
        "-d", "0009,[GEMS_IDEN_01],04", "-d", "0009,[SOMEBODY],04",
        "-s", f"0009,[{CREATOR}],01:LO=x", "-o", tmp_path,
    )  # fmt: skip
    after = dcmread(tmp_path / CT.name)
    assert (code, out, err) == (0, "1 file written\n", "")
    assert (after[0x0009_1001].value, after[0x0009_1002].value) == ("OTHER", "CT99")
    assert 0x0009_1004 not in after
    assert (after[0x0009_0011].value, after[0x0009_1101].value) == (CREATOR, "x")


def test_blocks_that_are_taken_or_orphaned_are_left_alone():
    taken = {0x0077_0010 + n: DataElement(0x0077_0010 + n, "LO", b"OTHER ") for n in range(0xEF)}
    path = parse_path(f"0077,[{CREATOR}],01:LO")
    (place,) = path.find(ElementSet(taken))
    assert place == (0x0077_FF01,)
    orphan = {**taken, 0x0077_FF02: DataElement(0x0077_FF02, "LO", b"x ")}
    with pytest.raises(CommandError, match="no free block"):
        list(path.find(ElementSet(orphan)))


def test_a_dry_run_shows_what_would_be_appended(run):
    code, out, _ = run(
        CT, "--append", "ImageType=X", "--append", "OtherPatientIDsSequence",
        "-s", f"0077,[{CREATOR}],01:LO=x", "--dry-run",
    )  # fmt: skip
    assert code == 0
    assert out.splitlines() == [
        f"# {CT}",
        "- ImageType: ORIGINAL\\PRIMARY\\AXIAL", "+ ImageType: ORIGINAL\\PRIMARY\\AXIAL\\X",
        "+ OtherPatientIDsSequence[3]: an item",
        f"+ 00770010: {CREATOR}", "+ 00771001: x",
    ]  # fmt: skip


def test_columns_of_a_table_are_appended(run, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(
        f'PatientID,+OtherPatientNames,"0077,[{CREATOR}],01:LO"\n1CT1,Doe^Jane,x\n4MR1,,y\n'
    )
    code, _, err = run(CT, FOLDER / "MR_small.dcm", "--csv", table, "-o", tmp_path / "out")
    ct, mr = (dcmread(tmp_path / "out" / name) for name in ("CT_small.dcm", "MR_small.dcm"))
    assert (code, err) == (0, "")
    assert (ct.OtherPatientNames, ct[0x0077_1001].value) == ("Doe^Jane", "x")
    assert "OtherPatientNames" not in mr
    assert mr[0x0077_1001].value == "y"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--append", "PatientID=2"], 1, "PatientID would have 2 values; PS3.6 gives it 1"),
        (["--append", "PixelSpacing=1"], 1, "would have 3 values"),
        (["--append", "ImageType=lower"], 2, "is no value of VR CS"),
        (["--append", "PatientComments=more"], 2, "has a single value always"),
        (["--append", "PixelData=1"], 2, "cannot be set"),
        (["--append", "ImageType"], 2, "what is appended is a value"),
        (["--append", "OtherPatientIDsSequence=1"], 2, "what is appended is an item"),
        (["--append", "0009,1001=x"], 0, ""),
        (["-s", "RescaleSlope=1\\2"], 2, "would have 2 values; PS3.6 gives it 1"),
        (["-s", f"0077,[{CREATOR}],01=x"], 1, f"say it, as in 0077,[{CREATOR}],01:LO"),
        (["-s", "0077,1001=x"], 1, "write it as 0077,[CREATOR],01"),
        (["-s", f"0010,[{CREATOR}],01:LO=x"], 2, "0010 is no group of private attributes"),
        (["-s", f"0007,[{CREATOR}],01:LO=x"], 2, "0007 is no group of private attributes"),
        (["-s", f"0077,[{CREATOR}],01:IS=x"], 2, "is no value of VR IS"),
        (["-s", f"0077,[{CREATOR}],01:OB=x"], 1, "VR OB takes no such value"),
        (["-s", "PatientID:LO=x"], 2, "is not to be said"),
        (["-s", "0011,[Ä],01:LO=x"], 2, "write it as KEYWORD"),
        (["-s", "0011,[A\\B],01:LO=x"], 2, "write it as KEYWORD"),
        (["-s", "0011,[ACME],1:LO=x"], 2, "write it as KEYWORD"),
    ],
)
def test_what_cannot_be_is_said(run, tmp_path, arguments, code, message):
    found, _, err = run(CT, *arguments, "-o", tmp_path)
    assert found == code
    assert message in err
    assert err.count("\n") == bool(code)
    assert bool(list(tmp_path.iterdir())) == (not code)


def test_a_backslash_is_a_part_of_long_text(run, tmp_path):
    """PS3.5 §6.2: LT, ST, UR and UT have one value."""
    code, _, err = run(CT, "-s", "ImageComments=C:\\scans\\Müller", "-o", tmp_path)
    assert (code, err) == (0, "")
    assert dcmread(tmp_path / CT.name).ImageComments == "C:\\scans\\Müller"


DCMODIFY = {
    "an item": (
        ["--append", "RequestAttributesSequence",
         "-s", "RequestAttributesSequence[1].RequestedProcedureID=R"],
        ["-i", "(0040,0275)[0].(0040,1001)=R"],
    ),
    "one more item": (
        ["--append", "OtherPatientIDsSequence", "-s", "OtherPatientIDsSequence[-1].PatientID=77"],
        ["-i", "(0010,1002)[2].(0010,0020)=77"],
    ),
    "a value more": (
        ["--append", "ImageType=X"], ["-m", "ImageType={old}\\X"],
    ),
    "a private block": (
        ["-s", "0029,[SIEMENS CSA HEADER],08=IMAGE", "-s", "0029,[SIEMENS CSA HEADER],09=2026"],
        ["-i", "(0029,0010)=SIEMENS CSA HEADER", "-i", "(0029,1008)=IMAGE",
         "-i", "(0029,1009)=2026"],
    ),
    "set, and deleted": (
        ["-s", "PatientName=Doe^Jane", "-s", "SeriesNumber=9", "-d", "StudyTime"],
        ["-m", "PatientName=Doe^Jane", "-i", "SeriesNumber=9", "-e", "StudyTime"],
    ),
    "an attribute of an item deleted": (
        ["-d", "OtherPatientIDsSequence[2].TypeOfPatientID"], ["-e", "(0010,1002)[1].(0010,0022)"],
    ),
    "all that is private deleted": (["--delete-private"], ["-ep"]),
}  # fmt: skip


@pytest.mark.skipif(not shutil.which("dcmodify"), reason="needs dcmtk")
@pytest.mark.parametrize("case", DCMODIFY)
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm"])
def test_dcmodify_makes_the_same(run, tmp_path, case, name):
    ours, theirs = DCMODIFY[case]
    text = " ".join(theirs)
    if ("1002" in text and name != CT.name) or ("0029" in text and name == CT.name):
        pytest.skip("it has no such item, or another creator has the block")
    target = tmp_path / name
    shutil.copy(FOLDER / name, target)
    old = "\\".join(dcmread(target).ImageType)
    theirs = [each.replace("{old}", old) for each in theirs]
    subprocess.run(["dcmodify", "-nb", *theirs, target], check=True)
    assert run(FOLDER / name, *ours, "-d", "FFFC,FFFC", "-o", tmp_path / "out")[0] == 0
    # DCMTK drops Data Set Trailing Padding.
    made, expected = dcmread(tmp_path / "out" / name), dcmread(target)
    assert made.to_json_dict() == expected.to_json_dict()


TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT.map(lambda text: text.replace("\\", "/").strip() or "x"), max_size=5))
def test_values_are_those_that_were_appended_in_their_order(values):
    dataset = ElementSet({}, ("ISO_IR 100",))
    for value in values:
        appended = read_appended([f"EventTimerNames={value}"])
        dataset = Changes(appended=appended).apply(dataset)
    assert dataset.texts(parse_path("EventTimerNames").attribute.tag) == tuple(values)
    for element in dataset:
        assert isinstance(element.value, bytes)
        assert not len(element.value) % 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.from_regex(r"\A[A-Za-z][ -Z^-~]{0,62}[A-Za-z]\Z"), min_size=1, max_size=20))
def test_each_creator_has_a_block_of_its_own(creators):
    """PS3.5 §7.8.1: whatever the order, all values are found again under their creators."""
    creators = [creator.replace("=", "-") for creator in creators]
    dataset = ElementSet({})
    for number, creator in enumerate(creators):
        values = read_values([f"0011,[{creator}],10:IS={number}"])
        dataset = Changes(values).apply(dataset)
    held = Dataset()
    for creator in dict.fromkeys(creators):
        (place,) = parse_path(f"0011,[{creator}],10").find(dataset, existing=True)
        assert dataset.private_creator(place[0]) == creator
        last = max(n for n, each in enumerate(creators) if each == creator)
        assert dataset.texts(place[0]) == (str(last),)
        held.add_new(place[0], "IS", last)
    assert len(held) == len({*creators})


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_path_is_read_or_refused(text):
    with suppress(UsageError):
        assert parse_path(text).text == text
