"""Lossless is every bit, and the codestream says how many bits a sample has (PS3.5 §8.2)."""

import random

import pytest
from attrs import evolve
from pacs_codec_basic import pacs_codecs

from pacs_core.contracts import CodecError, EncodeOptions
from pacs_core.imaging import bare_j2k, read_j2k, read_jpeg
from pacs_core.testing.codec_contract import frame_format, pictures

CODECS = {descriptor.name: descriptor for descriptor in pacs_codecs()}
IMAGES = [
    "basic-jpeg-2000-lossless",
    "basic-jpeg-2000",
    "basic-jpeg-ls-lossless",
    "basic-jpeg-ls",
    "basic-rle",
]
BYTES = ["basic-deflated-frames", "basic-uncompressed-frames"]
SIDES = [(1, 1), (1, 40), (40, 1), (2, 3), (31, 32), (33, 35)]
OPTIONS = EncodeOptions()
SHADES = ["MONOCHROME1", "MONOCHROME2"]
COLOURS = ["RGB", "YBR_FULL"]


def round_trip(name, data, frame, options=OPTIONS):
    codec = CODECS[name].create()
    encoded = codec.encode(data, frame, options)
    return encoded, codec.decode(encoded.data, encoded.format)


def stray(frame):
    """Return noise in all bits that are allocated."""
    return random.Random(frame.bits_stored).randbytes(frame.size)


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("stored", range(1, 17))
def test_every_number_of_bits(name, stored, is_signed):
    for allocated in (8, 16):
        for rows, columns in SIDES:
            if stored <= allocated:
                frame = frame_format(rows, columns, bits=allocated, stored=stored, signed=is_signed)
                for content, picture in pictures(frame).items():
                    encoded, decoded = round_trip(name, picture.data, frame)
                    assert decoded.data == picture.data, (frame, content)
                    assert decoded.format == encoded.format == frame
                    assert len(encoded.data) % 2 == 0


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("photometric_interpretation", COLOURS)
@pytest.mark.parametrize(("allocated", "stored"), [(8, 8), (8, 5), (16, 12), (16, 16)])
def test_colours(name, allocated, stored, photometric_interpretation):
    for rows, columns in [*SIDES, (64, 48)]:
        frame = evolve(
            frame_format(rows, columns, bits=allocated, stored=stored, colour=True),
            photometric_interpretation=photometric_interpretation,
        )
        for picture in pictures(frame).values():
            encoded, decoded = round_trip(name, picture.data, frame)
            assert decoded.data == picture.data
            assert decoded.format == frame
            transformed = "jpeg-2000" in name and min(rows, columns) >= 32
            expected = (
                "YBR_RCT"
                if transformed and frame.photometric_interpretation == "RGB"
                else (frame.photometric_interpretation)
            )
            assert encoded.format.photometric_interpretation == expected


@pytest.mark.parametrize("name", [*IMAGES, *BYTES])
@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize(("allocated", "stored"), [(8, 7), (8, 1), (16, 12), (16, 4)])
def test_bits_above_those_that_are_stored_are_kept(name, allocated, stored, is_signed):
    for rows, columns in SIDES:
        frame = frame_format(rows, columns, bits=allocated, stored=stored, signed=is_signed)
        _, decoded = round_trip(name, stray(frame), frame)
        assert decoded.data == stray(frame)


@pytest.mark.parametrize("name", ["basic-rle", *BYTES])
@pytest.mark.parametrize("is_colour", [False, True])
def test_32_bits(name, is_colour):
    frame = frame_format(13, 11, bits=32, colour=is_colour)
    _, decoded = round_trip(name, stray(frame), frame)
    assert decoded.data == stray(frame)


def test_jpeg_2000_holds_24_bits_and_says_when_there_are_more():
    frame = frame_format(33, 34, bits=32, stored=24, colour=True)
    data = pictures(frame)["noise"].data
    encoded, decoded = round_trip("basic-jpeg-2000-lossless", data, frame)
    assert decoded.data == data
    assert encoded.format == frame  # the transform would need more bits still
    with pytest.raises(CodecError, match="24"):
        round_trip("basic-jpeg-2000-lossless", stray(frame), frame)


@pytest.mark.parametrize("name", BYTES)
def test_single_bits(name):
    frame = frame_format(13, 11, bits=1)
    data = stray(frame)
    assert len(data) == 18
    assert round_trip(name, data, frame)[1].data == data


@pytest.mark.parametrize(
    "name", ["basic-jpeg-2000-lossless", "basic-jpeg-ls-lossless", "basic-rle"]
)
def test_indices_of_colours_stay_indices(name):
    frame = evolve(frame_format(), photometric_interpretation="PALETTE COLOR")
    data = stray(frame)
    encoded, decoded = round_trip(name, data, frame)
    assert decoded.data == data
    assert decoded.format == encoded.format == frame


@pytest.mark.parametrize("name", ["basic-jpeg-2000", "basic-jpeg-ls"])
def test_lossy_transfer_syntaxes_do_not_know_indices_of_colours(name):
    frame = evolve(frame_format(), photometric_interpretation="PALETTE COLOR")
    with pytest.raises(CodecError, match="PALETTE COLOR"):
        round_trip(name, stray(frame), frame)


@pytest.mark.parametrize("stored", range(1, 17))
def test_the_codestream_carries_bits_stored_or_all_that_are_in_use(stored):
    for rows, columns in [(8, 8), (40, 40)]:
        frame = frame_format(rows, columns, bits=16, stored=stored)
        for data, bits in ((pictures(frame)["ramp"].data, stored), (b"\xff" * frame.size, 16)):
            j2k = round_trip("basic-jpeg-2000-lossless", data, frame)[0].data
            assert read_j2k(bare_j2k(j2k)).image.precision == bits
            jls = round_trip("basic-jpeg-ls-lossless", data, frame)[0].data
            assert read_jpeg(jls).image.precision == max(2, bits)  # ISO/IEC 14495-1 §C.2.2


@pytest.mark.parametrize("name", ["basic-jpeg-2000-lossless", "basic-jpeg-ls-lossless"])
@pytest.mark.parametrize("is_signed", [False, True])
def test_a_codestream_of_other_precision_than_bits_stored(name, is_signed):
    """What the codestream says of its bits is how it is decoded (PS3.5 §8.2)."""
    codec = CODECS[name].create()
    frame = frame_format(40, 40, bits=16, stored=12, signed=is_signed)
    data = pictures(frame)["noise"].data
    encoded = codec.encode(data, frame, OPTIONS).data
    for stored in (10, 12, 14, 16):
        assert codec.decode(encoded, evolve(frame, bits_stored=stored)).data == data
    with pytest.raises(CodecError, match="12 bits do not fit"):
        codec.decode(encoded, evolve(frame, bits_allocated=8, bits_stored=8))


def test_a_dataset_that_contradicts_the_sign_of_a_codestream_is_believed():
    codec = CODECS["basic-jpeg-2000-lossless"].create()
    unsigned = frame_format(32, 32, bits=16, stored=12)
    signed = evolve(unsigned, is_signed=True)
    data = pictures(unsigned)["noise"].data
    encoded = codec.encode(data, unsigned, OPTIONS).data
    negative = codec.decode(encoded, signed).data
    assert codec.decode(codec.encode(negative, signed, OPTIONS).data, unsigned).data == data
    for before, after in zip(
        memoryview(data).cast("H"), memoryview(negative).cast("h"), strict=True
    ):
        assert after == before - 4096 * (before >= 2048)
