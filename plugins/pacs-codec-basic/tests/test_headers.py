"""Headers of codestreams, read before any memory is asked for."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st
from pacs_codec_basic import rle_header
from pacs_codec_basic.checks import require_format, require_match

from pacs_core.contracts import CodecError, FrameFormat
from pacs_core.imaging import CodestreamImage
from pacs_core.testing.codec_contract import frame_format


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


@given(st.sampled_from([b"", b"\x01\0\0\0", b"\x03\0\0\0\x40\0\0\0"]), st.binary(max_size=300))
def test_whatever_comes_is_a_header_or_an_error(beginning, rest):
    with suppress(CodecError):
        assert rle_header.segment_offsets(beginning + rest, 3)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (CodestreamImage(17, 16, 1, 8), "17 rows, 16 columns and 1 components"),
        (CodestreamImage(16, 65535, 1, 8), "65535 columns"),
        (CodestreamImage(16, 16, 3, 8), "3 components"),
        (CodestreamImage(16, 16, 1, 9), "9 bits do not fit in 8"),
        (CodestreamImage(16, 16, 1, 0), "0 bits"),
    ],
)
def test_a_codestream_must_be_the_frame_of_the_dataset(header, reason):
    require_match(CodestreamImage(16, 16, 1, 8), frame_format())
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
