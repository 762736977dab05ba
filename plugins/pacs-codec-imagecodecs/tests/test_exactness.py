"""Lossless means every bit, and the format says what became of the components (PS3.5 §8.2)."""

from itertools import product

import numpy as np
import pytest
from attrs import evolve
from pacs_codec_imagecodecs.jxl_header import read_jxl

from pacs_core.contracts import CodecError, EncodeOptions
from pacs_core.imaging import COD, bare_j2k, check_format, read_j2k, read_jpeg
from pacs_core.testing.codec_contract import frame_format, pictures

LOSSLESS = ["57", "70", "80", "90", "110", "201", "202"]
SOMETIMES = ["81", "91", "112", "203"]
"""Lossless at quality 100."""
OPTIONS, BEST = EncodeOptions(), EncodeOptions(quality=100)
NAMES = ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL"]
TRANSFORMED = {"90", "91", "201", "202", "203"}
ROOT = "1.2.840.10008.1.2.4."


def depths():
    for stored in range(1, 17):
        for allocated, signed in product((8, 16), (False, True)):
            if stored <= allocated and (stored > 1 or not signed):
                yield frame_format(9, 11, bits=allocated, stored=stored, signed=signed)


@pytest.mark.parametrize("syntax", [*LOSSLESS, *SOMETIMES])
def test_every_depth_comes_back(codec_of, syntax) -> None:
    codec = codec_of(syntax)
    for frame in depths():
        for name, picture in pictures(frame).items():
            encoded = codec.encode(picture.data, frame, BEST)
            assert encoded.format == frame
            decoded = codec.decode(encoded.data, frame)
            assert (decoded.data, decoded.format) == (picture.data, frame), (frame, name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_every_photometric_interpretation_comes_back(codec_of, syntax, name) -> None:
    colour = name in {"RGB", "YBR_FULL"}
    for stored, allocated in ((8, 8), (12, 16), (16, 16)):
        frame = frame_format(10, 12, bits=allocated, stored=stored, colour=colour)
        frame = evolve(frame, photometric_interpretation=name)
        data = pictures(frame)["noise"].data
        encoded = codec_of(syntax).encode(data, frame, OPTIONS)
        expected = "YBR_RCT" if name == "RGB" and syntax in TRANSFORMED else name
        assert encoded.format == evolve(frame, photometric_interpretation=expected)
        if stored == 8:
            check_format(encoded.format, ROOT + syntax)
        decoded = codec_of(syntax).decode(encoded.data, encoded.format)
        assert (decoded.data, decoded.format) == (data, frame)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_bits_above_bits_stored_come_back(codec_of, syntax, signed) -> None:
    """Overlays were once kept there (PS3.5 §8.1.2); they may be in some frames and not in all."""
    frame = frame_format(16, 16, bits=16, stored=12, signed=signed)
    plain = np.frombuffer(pictures(frame)["noise"].data, "<u2")
    for stray in (0x1000, 0x4000, 0xF000):
        data = (plain ^ np.where(np.arange(256) % 3, 0, stray).astype("<u2")).tobytes()
        encoded = codec_of(syntax).encode(data, frame, OPTIONS)
        assert encoded.format == frame
        assert codec_of(syntax).decode(encoded.data, frame).data == data


@pytest.mark.parametrize("syntax", ["50", "51", "81", "91", "112", "203"])
def test_a_lossy_codec_does_not_take_what_it_would_destroy(codec_of, syntax) -> None:
    palette = evolve(frame_format(), photometric_interpretation="PALETTE COLOR")
    with pytest.raises(CodecError, match="PALETTE"):
        codec_of(syntax).encode(bytes(palette.size), palette, OPTIONS)


@pytest.mark.parametrize("syntax", ["50", "51", "112"])
def test_signed_samples_are_not_coded_lossily_as_patterns(codec_of, syntax) -> None:
    frame = frame_format(signed=True)
    with pytest.raises(CodecError, match=r"8 bits, signed"):
        codec_of(syntax).encode(bytes(frame.size), frame, OPTIONS)


def jpeg(codestream):
    return read_jpeg(codestream).image.precision


def j2k(codestream):
    return read_j2k(bare_j2k(codestream)).image.precision


def jxl(codestream):
    return read_jxl(codestream).image.precision


PRECISION = {
    **dict.fromkeys(["50", "51", "57", "70", "80", "81"], jpeg),
    **dict.fromkeys(["90", "91", "201", "202", "203"], j2k),
    **dict.fromkeys(["110", "112"], jxl),
}
ALLOCATED_ONLY = {"80", "81"}
EXACT_DEPTHS = {"50": [], "51": [12]}


@pytest.mark.parametrize("syntax", PRECISION)
def test_bits_stored_are_the_precision_of_the_codestream(codec_of, syntax) -> None:
    """But for JPEG-LS: the library knows no precisions but those of the containers."""
    for stored in EXACT_DEPTHS.get(syntax, [10, 12, 14, 16]):
        frame = frame_format(bits=16, stored=stored)
        data = pictures(frame)["ramp"].data
        encoded = codec_of(syntax).encode(data, frame, OPTIONS)
        expected = 16 if syntax in ALLOCATED_ONLY else stored
        assert PRECISION[syntax](encoded.data) == expected


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (64, 64), (65, 3), (2049, 8), (4100, 70)])
def test_rpcl_codestreams_have_what_the_standard_asks(codec_of, rows, columns) -> None:
    """PS3.5 §10.18: RPCL progression, TLM, and a base resolution of 64 or less."""
    frame = frame_format(rows, columns)
    encoded = codec_of("202").encode(bytes(frame.size), frame, OPTIONS)
    header = read_j2k(bare_j2k(encoded.data))
    ((coding, _),) = header.find(COD)
    assert coding[1] == 2  # RPCL (ISO/IEC 15444-1 Table A.16)
    assert max(rows, columns) / 2 ** coding[5] <= 64
    assert header.find(0xFF55)


def test_predictors_are_those_of_the_transfer_syntax(codec_of) -> None:
    """Selection value 1 in .70 (PS3.5 §A.4.1)."""
    frame = frame_format()
    for syntax, selection in (("57", 4), ("70", 1)):
        data = codec_of(syntax).encode(bytes(frame.size), frame, OPTIONS).data
        scan = data.index(b"\xff\xda")
        assert data[scan + 4 + 1 + 2] == selection
