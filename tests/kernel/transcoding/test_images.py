"""Which image a dataset holds, told from its beginning."""

import pytest
from pydicom.data import get_testdata_file

from pacs_core.contracts import NO_IMAGE, FrameFormat
from pacs_core.dataset import encode_attributes, read_file_meta, tag_of, transfer_syntax_uid
from pacs_core.transcoding import image_in

EXPLICIT, DEFLATED = map(transfer_syntax_uid, ("explicit", "deflated"))
GREY = {
    "Rows": "2",
    "Columns": "3",
    "BitsAllocated": "16",
    "BitsStored": "12",
    "PixelRepresentation": "1",
    "PhotometricInterpretation": "MONOCHROME2",
}
FLOATS = {  # PS3.3 C.7.6.24: neither Bits Stored nor Pixel Representation
    name: value for name, value in GREY.items() if name not in {"BitsStored", "PixelRepresentation"}
} | {"BitsAllocated": "32"}
NAMED = {"SOPClassUID": "1.2.3", "PatientName": "A^B"}


def dataset(syntax=EXPLICIT, **values):
    return encode_attributes({tag_of(name): (value,) for name, value in values.items()}, syntax)


def contents(name):
    with open(get_testdata_file(name), "rb") as file:
        data = file.read()
    meta = read_file_meta(data)
    return data[meta.dataset_offset :], meta.transfer_syntax_uid


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("CT_small.dcm", FrameFormat(128, 128, 1, 16, 16, True, "MONOCHROME2")),
        ("SC_rgb_rle_2frame.dcm", FrameFormat(100, 100, 3, 8, 8, False, "RGB", 0)),
        ("MR_small_bigendian.dcm", FrameFormat(64, 64, 1, 16, 16, True, "MONOCHROME2")),
        ("image_dfl.dcm", FrameFormat(512, 512, 1, 8, 8, False, "MONOCHROME2")),
        ("reportsi.dcm", NO_IMAGE),
    ],
)
def test_files(name, image):
    assert image_in(*contents(name)) == image


@pytest.mark.parametrize(
    ("values", "image"),
    [
        (GREY, FrameFormat(2, 3, 1, 16, 12, True, "MONOCHROME2")),
        (NAMED, NO_IMAGE),
        (NAMED | {"ContentLabel": "LABEL"}, NO_IMAGE),
        (FLOATS, NO_IMAGE),
        (GREY | {"BitsStored": "99"}, None),
        (GREY | {"PhotometricInterpretation": "PINK"}, None),
    ],
)
@pytest.mark.parametrize("syntax", [EXPLICIT, DEFLATED], ids=["explicit", "deflated"])
def test_datasets(values, image, syntax):
    assert image_in(dataset(syntax, **values), syntax) == image


def test_a_beginning_that_is_too_short_or_odd_does_not_tell():
    whole = dataset(**NAMED, **GREY)
    assert image_in(b"", EXPLICIT) is None
    assert image_in(whole[:-3], EXPLICIT) is None
    assert image_in(b"\xff" * 64, EXPLICIT) is None
