"""What GDCM's programs say of the same files: gdcmdump, gdcminfo, gdcmdiff."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.datadict import tag_for_keyword

pytestmark = pytest.mark.skipif(not shutil.which("gdcminfo"), reason="GDCM is not installed")

CT = Path(get_testdata_file("CT_small.dcm"))
FOLDER = CT.parent
IMAGES = (
    "CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm",
    "SC_rgb_rle_2frame.dcm", "SC_rgb_small_odd.dcm", "examples_palette.dcm", "JPGExtended.dcm",
    "MR_small_jpeg_ls_lossless.dcm", "color3d_jpeg_baseline.dcm",
)  # fmt: skip
SHOWN = {
    "SamplesPerPixel": "SamplesPerPixel",
    "BitsAllocated": "BitsAllocated",
    "PhotometricInterpretation": "PhotometricInterpretation",
}


def gdcm(*arguments):
    return subprocess.run([*map(str, arguments)], capture_output=True, check=True, text=True).stdout


@pytest.mark.parametrize("name", [name for name in IMAGES if (FOLDER / name).exists()])
def test_info_says_what_gdcminfo_says(run, name):
    code, out, _ = run("info", FOLDER / name, "--json")
    ours = json.loads(out)
    theirs = dict(re.findall(r"^(\w+) *: *(.*?) *$", gdcm("gdcminfo", FOLDER / name), re.MULTILINE))
    columns, rows, frames = map(int, theirs["Dimensions"].strip("()").split(","))
    attributes = ours["attributes"]
    assert code == 0
    assert ours["transfer_syntax_uid"] == theirs["TransferSyntax"]
    assert (attributes["Columns"], attributes["Rows"]) == (str(columns), str(rows))
    assert int(attributes.get("NumberOfFrames", 1)) == frames
    assert {key: attributes[key] for key in SHOWN} == {key: theirs[key] for key in SHOWN}


ELEMENT = re.compile(r"^( *)\(([0-9a-fA-F]{4}),([0-9a-fA-F]{4})\) (\?\?|[A-Z]{2})", re.MULTILINE)


def elements_of(text, step):
    """Return tags with depth and VR; not of File Meta Information, items and group lengths."""
    return [
        (len(indent) // step, f"{group}{number}".upper(), vr)
        for indent, group, number, vr in ELEMENT.findall(text)
        if group.upper() not in {"0002", "FFFE"} and number != "0000"
    ]


@pytest.mark.parametrize("name", [*IMAGES[:-1], "test-SR.dcm", "rtplan.dcm", "waveform_ecg.dcm"])
def test_dump_shows_the_elements_that_gdcmdump_shows(run, name):
    code, out, _ = run("dump", FOLDER / name)
    # With GDCM an item is a level of its own.
    theirs = elements_of(gdcm("gdcmdump", FOLDER / name), 4)
    ours = elements_of(out, 2)
    assert code == 0
    assert [each[:2] for each in ours] == [each[:2] for each in theirs]
    # GDCM does not say the VR of what is sent without one.
    assert [a for a, b in zip(ours, theirs, strict=True) if b[2] not in {a[2], "??"}] == []


CHANGES = {
    "a value": {"PatientName": "X"},
    "one more": {"StudyComments": "new"},
    "one less": {"StudyTime": None},
    "a number": {"SliceLocation": "1.5"},
    "pixels": {"PixelData": b"\1\0" * 16384},
    "several": {"PatientID": "Y", "Rows": 127, "RescaleSlope": None},
}
LINE = re.compile(r"^ *\(([0-9a-f]{4}),([0-9a-f]{4})\) ", re.MULTILINE)


def tags_of(text):
    return {f"{group}{element}".upper() for group, element in LINE.findall(text)}


@pytest.mark.parametrize("case", CHANGES)
def test_diff_names_what_gdcmdiff_names(run, tmp_path, case):
    changed, other = dcmread(CT), tmp_path / "other.dcm"
    for keyword, value in CHANGES[case].items():
        if value is None:
            delattr(changed, keyword)
        else:
            setattr(changed, keyword, value)
    changed.save_as(other)
    code, out, _ = run("diff", CT, other, "--json")
    ours = {json.loads(line)["path"] for line in out.splitlines()}
    assert code == 1
    assert ours == set(CHANGES[case])
    named = {f"{int(tag_for_keyword(each) or 0):08X}" for each in ours}
    theirs = tags_of(gdcm("gdcmdiff", CT, other))
    # It shows Pixel Data as binary on both sides, whether they differ or not.
    assert theirs == named or (case == "pixels" and theirs <= named)


@pytest.mark.parametrize("option", ["--raw", "--jpegls", "--rle", "--j2k"])
@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb_rle_2frame.dcm"])
def test_pixels_are_the_same_in_whatever_transfer_syntax(run, tmp_path, option, name):
    """GDCM compresses without loss; PS3.5 §8: what is decoded counts, not how it was coded."""
    gdcm("gdcmconv", option, FOLDER / name, tmp_path / "other.dcm")
    found = {}
    for flag in ([], ["--bytes"]):
        out = run("diff", FOLDER / name, tmp_path / "other.dcm", "--json", *flag)[1]
        found[bool(flag)] = {json.loads(line)["path"] for line in out.splitlines()}
    assert "PixelData" not in found[False]
    if dcmread(FOLDER / name).PixelData != dcmread(tmp_path / "other.dcm").PixelData:
        assert "PixelData" in found[True]


def test_pixels_that_were_lost_are_counted(run, tmp_path):
    source = dcmread(CT)
    pixels = bytearray(source.PixelData)
    pixels[2000:2006] = b"\0\0\1\0\2\0"
    source.PixelData = bytes(pixels)
    source.save_as(tmp_path / "changed.dcm")
    gdcm("gdcmconv", "--jpegls", tmp_path / "changed.dcm", tmp_path / "other.dcm")
    code, out, err = run("diff", CT, tmp_path / "other.dcm")
    assert (code, err) == (1, "")
    assert "(frame 1: 3 of 16384 samples differ, by " in out
    damaged = (tmp_path / "other.dcm").read_bytes()
    at = damaged.index(b"\xff\xd8\xff\xf7")
    (tmp_path / "damaged.dcm").write_bytes(damaged[:at] + bytes(400) + damaged[at + 400 :])
    code, out, err = run("diff", CT, tmp_path / "damaged.dcm")
    assert code == 1
    assert "bytes differ, which cannot be decoded" in out
    assert "damaged.dcm: frame 1" in err
