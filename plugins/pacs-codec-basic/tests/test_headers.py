"""Headers of codestreams, read before any memory is asked for."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pacs_codec_basic import j2k_header, jpeg_header, rle_header
from pacs_codec_basic.checks import Header, require_format, require_match

from pacs_core.contracts import CodecError, FrameFormat
from pacs_core.testing.codec_contract import frame_format

BEGINNINGS = [b"", b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\xd8\xff\xf7\0\x0b\x08", b"\x01\0\0\0"]


def siz(right=40, bottom=30, left=0, top=0, tile=(40, 30, 0, 0), components=((7, 1, 1),)):
    """Return a JPEG 2000 codestream of one tile without packets."""
    content = struct.pack(">H8LH", 0, right, bottom, left, top, *tile, len(components))
    content += b"".join(map(bytes, components))
    segment = b"\xff\x51" + struct.pack(">H", 2 + len(content)) + content
    return b"\xff\x4f" + segment + b"\xff\x90\0\x0a\0\0\0\0\0\0\0\x01\xff\x93\xff\xd9"


def sof(rows=30, columns=40, marker=0xF7, precision=8, identifiers=b"\1"):
    content = struct.pack(">BHHB", precision, rows, columns, len(identifiers))
    content += b"".join(bytes([identifier, 0x11, 0]) for identifier in identifiers)
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(content)) + content


def jpeg(*segments):
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xda\0\x08\1\1\0\0\0\0" + b"\xff\xd9"


def test_siz():
    assert j2k_header.read_header(siz()) == Header(30, 40, 1, 8)
    three = siz(components=((0x8B, 1, 1),) * 3)
    assert j2k_header.read_header(three) == Header(30, 40, 3, 12, is_signed=True)
    shifted = siz(140, 130, 100, 100, tile=(40, 30, 100, 100))
    assert j2k_header.read_header(shifted) == Header(30, 40, 1, 8)


@pytest.mark.parametrize(
    ("codestream", "reason"),
    [
        (b"", "no JPEG 2000 codestream"),
        (siz()[:40], "ends within SIZ"),
        (siz()[:43], "41 bytes and 1 components"),
        (siz(components=()), "0 components"),
        (siz(right=0), "image area"),
        (siz(left=41), "image area"),
        (siz(tile=(0, 30, 0, 0)), "tiles of 0 x 30"),
        (siz(tile=(40, 30, 40, 0)), "tiles of"),
        (siz(0xFFFFFFFF, 0xFFFFFFFF, tile=(1, 1, 0, 0)), "at most 65535"),
        (siz(components=((7, 1, 1), (7, 2, 2), (7, 2, 2))), "differ"),
        (siz(components=((7, 2, 2),) * 3), "subsampled"),
        (siz(tile=(20, 30, 0, 0)), "1 tiles of 2"),
        (siz()[:45], "within its main header"),
        (siz()[:50], "within a tile-part header"),
        (siz().replace(b"\xff\x90\0\x0a\0\0\0\0\0\0", b"\xff\x90\0\x0a\0\0\0\0\0\1"), "1 bytes"),
    ],
)
def test_siz_that_is_refused(codestream, reason):
    with pytest.raises(CodecError, match=reason):
        j2k_header.read_header(codestream)


def box(name, content, length=None):
    return struct.pack(">L4s", 8 + len(content) if length is None else length, name) + content


SIGNATURE = box(b"jP  ", b"\r\n\x87\n")


def test_a_codestream_is_taken_out_of_a_file():
    inner = siz()
    head = SIGNATURE + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    assert j2k_header.codestream_of(inner) == inner
    assert j2k_header.codestream_of(head + box(b"jp2c", inner)) == inner
    assert j2k_header.codestream_of(head + box(b"jp2c", inner, 0)) == inner
    long = struct.pack(">L4sQ", 1, b"jp2c", 16 + len(inner)) + inner
    assert j2k_header.codestream_of(head + long + b"\0") == inner


@pytest.mark.parametrize(
    "data",
    [
        SIGNATURE,
        SIGNATURE + b"\0\0\0",
        SIGNATURE + box(b"free", b"", 1) + b"\0",
        SIGNATURE + box(b"free", b"", 0),
        SIGNATURE + box(b"free", b"", 4) * 100,
        SIGNATURE + box(b"free", b"") * 100,
        SIGNATURE + box(b"free", b"", 0xFFFFFFFF),
    ],
)
def test_a_file_without_a_codestream_is_refused(data):
    with pytest.raises(CodecError, match="no codestream"):
        j2k_header.codestream_of(data)


def test_sof():
    header = jpeg_header.read_header(jpeg(sof(precision=12)))
    assert header.process == jpeg_header.JPEG_LS
    assert header.image == Header(30, 40, 1, 12)
    assert header.is_whole
    assert not jpeg_header.read_header(jpeg(sof())[:-2]).is_whole


def test_segments_before_sof_are_passed_over():
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1"
    jfif = b"\xff\xe0\0\x10JFIF\0" + bytes(9)
    header = jpeg_header.read_header(
        jpeg(jfif, b"\xff\xfe\0\x04ok", b"\xff\xff\xff", adobe[1:], sof(identifiers=b"RGB"))
    )
    assert header.is_jfif
    assert header.adobe_transform == 1
    assert header.identifiers == b"RGB"


@pytest.mark.parametrize(
    ("codestream", "reason"),
    [
        (b"", "no JPEG codestream"),
        (b"\xff\xd8", "no JPEG marker at byte 2"),
        (b"\xff\xd8\xff", "ends in the marker"),
        (jpeg(), "0 frame headers"),
        (jpeg(sof(), sof()), "2 frame headers"),
        (b"\xff\xd8" + sof(), "no JPEG marker"),
        (b"\xff\xd8\xff\xd9", "before its first scan"),
        (jpeg(b"\xff\xfe\0\x01"), "has 1 bytes"),
        (jpeg(b"\xff\xfe\xff\xff"), "has 65535 bytes"),
        (jpeg(b"\xff\xf7\0\x05abc"), "frame header of 3 bytes"),
    ],
)
def test_sof_that_is_refused(codestream, reason):
    with pytest.raises(CodecError, match=reason):
        jpeg_header.read_header(codestream)


def rle(count, *offsets, length=200):
    return struct.pack("<16L", count, *offsets, *[0] * (15 - len(offsets))).ljust(length, b"\0")


def test_rle_offsets():
    assert rle_header.segment_offsets(rle(1, 64), 1) == (64,)
    assert rle_header.segment_offsets(rle(3, 64, 66, 90), 3) == (64, 66, 90)
    assert len(rle_header.segment_offsets(rle(15, *range(64, 79)), 15)) == 15


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"", "here are 0"),
        (rle(1, 64)[:63], "here are 63"),
        (rle(0), "announces 0 segments instead of 2"),
        (rle(1, 64), "announces 1 segments"),
        (rle(0xFFFFFFFF, 64, 70), "announces 4294967295"),
        (rle(2, 0, 70), "begins at 0"),
        (rle(2, 65, 70), "begins at 65"),
        (rle(2, 64, 64), "segment 1 is from 64 to 64"),
        (rle(2, 64, 10), "segment 1 is from 64 to 10"),
        (rle(2, 64, 200), "segment 2 is from 200 to 200"),
        (rle(2, 64, 0xFFFFFFFF), "segment 2 is from 4294967295"),
    ],
)
def test_rle_headers_that_are_refused(header, reason):
    with pytest.raises(CodecError, match=reason):
        rle_header.segment_offsets(header, 2)


def test_rle_segments_too_short_for_what_they_announce():
    rle_header.require_plausible(rle(1, 64, length=66), (64,), 128)
    with pytest.raises(CodecError, match="2 bytes cannot hold 129"):
        rle_header.require_plausible(rle(1, 64, length=66), (64,), 129)


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=300))
def test_whatever_comes_is_a_header_or_an_error(beginning, rest):
    data = beginning + rest + b"x"
    for read in (
        j2k_header.read_header,
        j2k_header.codestream_of,
        jpeg_header.read_header,
        lambda data: rle_header.segment_offsets(data, 3),
    ):
        with suppress(CodecError):
            assert read(data)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (Header(17, 16, 1, 8), "17 rows, 16 columns and 1 components"),
        (Header(16, 65535, 1, 8), "65535 columns"),
        (Header(16, 16, 3, 8), "3 components"),
        (Header(16, 16, 1, 9), "9 bits do not fit in 8"),
        (Header(16, 16, 1, 0), "0 bits"),
    ],
)
def test_a_codestream_must_be_the_frame_of_the_dataset(header, reason):
    require_match(Header(16, 16, 1, 8), frame_format())
    with pytest.raises(CodecError, match=reason):
        require_match(header, frame_format())


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (frame_format(0, 1), "0 rows"),
        (frame_format(1, 65536), "65536 columns"),
        (FrameFormat(1, 1, 2, 8, 8, False, "RGB"), "2 samples"),
        (frame_format(bits=32), "Bits Allocated is 32, not one of 8, 16"),
        (frame_format(bits=8, stored=9), "9 bits stored of 8"),
        (FrameFormat(1, 1, 3, 8, 8, False, "RGB", planar_configuration=1), "by plane"),
    ],
)
def test_formats_that_are_refused(frame, reason):
    with pytest.raises(CodecError, match=reason):
        require_format(frame, (8, 16))
