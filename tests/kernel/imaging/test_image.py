"""Images from attributes (PS3.3 C.7.6.3), and what may hold them (PS3.5 §8.2)."""

from contextlib import nullcontext

import pytest
from hypothesis import given, strategies as st

from pacs_core.contracts import FrameFormat
from pacs_core.dataset import ALL_TRANSFER_SYNTAXES, tag_of
from pacs_core.imaging import (
    IMAGE_TAGS,
    Image,
    ImageError,
    check_format,
    image_of,
    is_lossless,
    is_video,
    pixel_syntax,
)

ROOT = "1.2.840.10008.1.2"
CT = {
    "Rows": "512",
    "Columns": "256",
    "SamplesPerPixel": "1",
    "BitsAllocated": "16",
    "BitsStored": "12",
    "HighBit": "11",
    "PixelRepresentation": "1",
    "PhotometricInterpretation": "MONOCHROME2",
}


def attributes(changes):
    merged = {tag_of(keyword): value for keyword, value in (CT | changes).items()}
    return {tag: (value,) if value else () for tag, value in merged.items() if value is not None}


def test_an_image_as_the_dataset_says():
    expected = FrameFormat(512, 256, 1, 16, 12, True, "MONOCHROME2")
    assert image_of(attributes({})) == Image(expected, 1)
    assert image_of(attributes({"NumberOfFrames": "30"})).frames == 30
    assert set(attributes({"NumberOfFrames": "1", "PlanarConfiguration": "0"})) == IMAGE_TAGS


def test_planes_matter_only_in_colour():
    assert image_of(attributes({"PlanarConfiguration": "1"})).format.planar_configuration == 0
    colour = {"SamplesPerPixel": "3", "PhotometricInterpretation": "RGB"}
    made = image_of(attributes({**colour, "PlanarConfiguration": "1"}))
    assert made.format.planar_configuration == 1


@pytest.mark.parametrize("absent", ["SamplesPerPixel", "PixelRepresentation", "HighBit"])
def test_what_may_be_absent(absent):
    assert image_of(attributes({absent: None})).notes == ()


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("Rows", [None, "", "0", "-1", "65536", "1_0", "٣", "1.5", "9" * 5000]),
        ("Columns", [None, "0", "65536"]),
        ("SamplesPerPixel", ["0", "2", "4", "3"]),
        ("BitsAllocated", [None, "0", "12", "7", "128", "8"]),
        ("BitsStored", [None, "0", "17", "65"]),
        ("HighBit", ["-1", "64"]),
        ("PixelRepresentation", ["2"]),
        ("PlanarConfiguration", ["2"]),
        ("NumberOfFrames", ["-5", "abc", "2147483648", "1e3"]),
        ("PhotometricInterpretation", [None, "", "CMYK", "RGB", "monochrome2", "x" * 5000]),
    ],
)
def test_what_cannot_be_is_refused_by_name(keyword, values):
    for value in values:
        with pytest.raises(ImageError, match=r"BitsStored|SamplesPerPixel|" + keyword) as raised:
            image_of(attributes({keyword: value}))
        assert len(str(raised.value)) < 200


def test_a_colour_image_of_single_bits_is_refused():
    with pytest.raises(ImageError, match="colour"):
        image_of(
            attributes(
                {
                    "SamplesPerPixel": "3",
                    "PhotometricInterpretation": "RGB",
                    "BitsAllocated": "1",
                    "BitsStored": "1",
                }
            )
        )


def test_a_high_bit_that_cannot_be_is_noted():
    for high_bit in ("16", "3"):
        made = image_of(attributes({"BitsStored": "12", "HighBit": high_bit}))
        assert made.low_bits == 0
        (note,) = made.notes
        assert f"HighBit is {high_bit}" in note


@pytest.mark.parametrize(("high_bit", "low_bits"), [("11", 0), ("12", 1), ("15", 4)])
def test_high_bit_says_where_samples_are(high_bit, low_bits):
    """PS3.5 §8.1.1: it is Bits Stored - 1; it was not always."""
    made = image_of(attributes({"BitsStored": "12", "HighBit": high_bit}))
    assert made.low_bits == low_bits
    assert made.notes == ()


def test_no_frames_are_taken_as_one_and_noted():
    made = image_of(attributes({"NumberOfFrames": "0"}))
    assert made.frames == 1
    assert made.notes == ("NumberOfFrames is 0: taken as 1",)


@given(st.dictionaries(st.sampled_from(sorted(IMAGE_TAGS)), st.lists(st.text(), max_size=2)))
def test_any_text_is_an_image_or_refused(changes):
    hostile = attributes({}) | {tag: tuple(values) for tag, values in changes.items()}
    try:
        made = image_of(hostile)
    except ImageError:
        return
    assert made.format.rows >= 1
    assert made.frames >= 1


def test_what_loses_nothing():
    lossless = {s.uid.removeprefix(ROOT) for s in ALL_TRANSFER_SYNTAXES if is_lossless(s.uid)}
    assert lossless == {
        *("", ".1", ".1.98", ".1.99", ".2", ".5", ".8.1"),
        *(".4.57", ".4.70", ".4.80", ".4.90", ".4.92", ".4.110", ".4.201", ".4.202"),
        *(".4.58", ".4.65", ".4.66"),
    }
    assert not is_lossless("1.2.3.4")


def test_videos():
    videos = {s.uid for s in ALL_TRANSFER_SYNTAXES if is_video(s.uid)}
    assert videos == {s.uid for s in ALL_TRANSFER_SYNTAXES if "MPEG" in s.name or "HEVC" in s.name}


@pytest.mark.parametrize(
    ("suffix", "method"),
    [
        (".4.50", "ISO_10918_1"),
        (".4.81", "ISO_14495_1"),
        (".4.91", "ISO_15444_1"),
        (".4.203", "ISO_15444_15"),
        (".4.111", "ISO_10918_1"),
        (".4.112", "ISO_18181_1"),
        (".4.102.1", "ISO_14496_10"),
        (".4.90", ""),
    ],
)
def test_methods(suffix, method):
    assert pixel_syntax(ROOT + suffix).method == method


@pytest.mark.parametrize(
    ("suffix", "changes", "valid"),
    [
        (".4.50", {"bits_allocated": 8, "bits_stored": 8}, True),
        (".4.50", {"bits_allocated": 16, "bits_stored": 12}, False),
        (".4.51", {"bits_allocated": 16, "bits_stored": 12}, True),
        (".4.70", {"is_signed": True}, True),
        (".4.80", {"bits_stored": 1}, False),
        (".4.81", {"photometric_interpretation": "PALETTE COLOR"}, False),
        (".4.90", {"photometric_interpretation": "YBR_ICT", "samples_per_pixel": 3}, False),
        (".4.90", {"photometric_interpretation": "YBR_RCT", "samples_per_pixel": 3}, True),
        (".4.91", {"photometric_interpretation": "YBR_ICT", "samples_per_pixel": 3}, True),
        (".4.203", {"photometric_interpretation": "YBR_FULL_422"}, False),
        (".5", {"photometric_interpretation": "RGB", "bits_allocated": 32}, False),
        (".8.1", {"bits_allocated": 1, "bits_stored": 1}, True),
        (".1", {"bits_allocated": 64, "bits_stored": 64}, True),
    ],
)
def test_what_a_transfer_syntax_may_hold(image, suffix, changes, valid):
    frame = image(**{"bits_allocated": 16, "bits_stored": 8} | changes).format
    expected = nullcontext() if valid else pytest.raises(ImageError, match="cannot hold")
    with expected:
        check_format(frame, ROOT + suffix)
