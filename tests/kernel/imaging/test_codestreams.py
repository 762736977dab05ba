"""Headers and ends of codestreams, read before any memory is asked for.

ISO/IEC 10918-1 Annex B (JPEG), 14495-1 Annex C (JPEG-LS), 15444-1 Annex A (JPEG 2000).
"""

import struct
from contextlib import suppress

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from pacs_core.contracts import CodecError
from pacs_core.imaging import JPEG_LS, CodestreamImage, bare_j2k, is_ycbcr, read_j2k, read_jpeg
from pacs_core.imaging.jpeg import JpegWalk
from pacs_core.imaging.jpeg2000 import J2kWalk
from pacs_core.testing.codec_contract import frame_format

COD = b"\xff\x52\0\x0c\0\0\0\1\0\5\4\4\0\1"
SOT = b"\xff\x90\0\x0a"
SOD, EOC, EOI = b"\xff\x93", b"\xff\xd9", b"\xff\xd9"
TRAILING = {
    "nothing": b"",
    "00": b"\0",
    "FF": b"\xff",
    "20": b" ",
    "CC": b"\xcc" * 7,
    "zeros": bytes(500),
    "garbage": b"\x01\xff\xe0\x12garbage" * 9,
    "a second end": b"\0\xff\xd9",
    "another image": b"\xff\xd8\xff\xe0\0\4ab\xff\xd9",
}
"""What was found after the end of codestreams."""


def siz(right=40, bottom=30, left=0, top=0, tile=(40, 30, 0, 0), components=((7, 1, 1),), cod=COD):
    """Return the main header of a JPEG 2000 codestream."""
    content = struct.pack(">H8LH", 0, right, bottom, left, top, *tile, len(components))
    content += b"".join(map(bytes, components))
    segment = b"\xff\x51" + struct.pack(">H", 2 + len(content)) + content
    return b"\xff\x4f" + segment + cod


def part(tile=0, body=b"", length=None, parts=1):
    """Return a part of a tile."""
    length = 14 + len(body) if length is None else length
    return SOT + struct.pack(">HLBB", tile, length, 0, parts) + SOD + body


def j2k(**image):
    """Return a JPEG 2000 codestream of one tile without packets."""
    return siz(**image) + part() + EOC


def sof(rows=30, columns=40, marker=0xF7, precision=8, identifiers=b"\1"):
    content = struct.pack(">BHHB", precision, rows, columns, len(identifiers))
    content += b"".join(bytes([identifier, 0x11, 0]) for identifier in identifiers)
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(content)) + content


SOS = b"\xff\xda\0\x08\1\1\0\0\0\0"


def jpeg(*segments, scan=b""):
    return b"\xff\xd8" + b"".join(segments) + SOS + scan + EOI


def test_siz():
    assert read_j2k(j2k()).image == CodestreamImage(30, 40, 1, 8)
    three = j2k(components=((0x8B, 1, 1),) * 3)
    assert read_j2k(three).image == CodestreamImage(30, 40, 3, 12, is_signed=True)
    shifted = j2k(right=140, bottom=130, left=100, top=100, tile=(40, 30, 100, 100))
    assert read_j2k(shifted).image == CodestreamImage(30, 40, 1, 8)
    assert read_j2k(three).siz == three.index(b"\x8b")


@pytest.mark.parametrize("transforms", [0, 1])
@pytest.mark.parametrize("count", [1, 3])
def test_cod_tells_wavelet_and_transform(count, transforms):
    """ISO/IEC 15444-1 Table A.17, A.20: a transform is of three components."""
    cod = bytearray(COD)
    cod[8], cod[13] = transforms, 0
    header = read_j2k(j2k(components=((7, 1, 1),) * count, cod=bytes(cod)))
    assert header.transforms_components is (count == 3 and transforms == 1)
    assert not header.is_reversible
    assert read_j2k(j2k()).is_reversible


@pytest.mark.parametrize(
    ("codestream", "reason"),
    [
        (b"", "no marker segment"),
        (j2k()[:40], "no marker segment"),
        (siz()[:2] + b"\xff\x51\0\x04ab" + COD + part() + EOC, "ends within SIZ"),
        (j2k(components=()), "0 components"),
        (j2k(right=0), "image area"),
        (j2k(left=41), "image area"),
        (j2k(tile=(0, 30, 0, 0)), "tiles of 0 pixels"),
        (j2k(tile=(40, 30, 40, 0)), "where pixels begin at 0"),
        (j2k(right=0x8028, left=0x8000), "tiles of 40 pixels from 0, where pixels begin at 32768"),
        (j2k(right=0xFFFFFFFF, bottom=0xFFFFFFFF, tile=(1, 1, 0, 0)), "at most 65535"),
        (j2k(components=((7, 1, 1), (7, 2, 2), (7, 2, 2))), "differ"),
        (j2k(components=((7, 2, 2),) * 3), "subsampled"),
        (j2k(tile=(20, 30, 0, 0)), "1 tiles of 2"),
        (j2k(cod=b""), "no COD"),
        (j2k(cod=b"\xff\x52\0\x04\0\0"), "COD of the JPEG 2000 codestream is cut off"),
        (siz() + part()[:8] + EOC, "within a tile-part header"),
        (siz() + part(length=1) + EOC, "a part of 1 bytes of tile 0"),
        (siz() + part(length=99) + EOC, "a part of 99 bytes of tile 0"),
        (siz() + part() + b"ab" + EOC, "no tile-part"),
    ],
)
def test_siz_that_is_refused(codestream, reason):
    with pytest.raises(CodecError, match=reason):
        read_j2k(codestream)


def box(name, content, length=None):
    return struct.pack(">L4s", 8 + len(content) if length is None else length, name) + content


SIGNATURE = box(b"jP  ", b"\r\n\x87\n")


def test_a_codestream_is_taken_out_of_a_file():
    inner = j2k()
    head = SIGNATURE + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    assert bare_j2k(inner) == inner
    assert bare_j2k(head + box(b"jp2c", inner)) == inner
    assert bare_j2k(head + box(b"jp2c", inner, 0)) == inner
    long = struct.pack(">L4sQ", 1, b"jp2c", 16 + len(inner)) + inner
    assert bare_j2k(head + long + b"\0") == inner


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
        bare_j2k(data)


def test_sof():
    header = read_jpeg(jpeg(sof(precision=12)))
    assert header.process == JPEG_LS
    assert header.image == CodestreamImage(30, 40, 1, 12)
    assert header.is_whole
    assert not read_jpeg(jpeg(sof())[:-2]).is_whole


def test_segments_before_sof_are_passed_over():
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1"
    jfif = b"\xff\xe0\0\x10JFIF\0" + bytes(9)
    header = read_jpeg(
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
        read_jpeg(codestream)


BODIES = {
    "nothing": b"",
    "stuffed": b"\x12\xff\0\x34",
    "restarts": b"\x12\xff\xd0\x34\xff\xd7",
    "JPEG-LS": b"\xff\x7f\xff\x51\xff\x01",
    "two scans": b"\x12" + SOS + b"\x34",
    "fill bytes": b"\x12\xff\xff",
    "tables between scans": b"\x12\xff\xc4\0\6\xff\xd9ab" + SOS,
}
PREVIEW = b"\xff\xe1\0\x0b" + b"\xff\xd8\xff\xdaab\xff\xd9 "


@pytest.mark.parametrize("name", TRAILING)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("before", [b"", PREVIEW], ids=["plain", "with a preview"])
def test_eoi_is_found_by_markers_and_not_by_the_last_bytes(name, body, before):
    codestream = jpeg(before, sof(), scan=BODIES[body])
    header = read_jpeg(codestream + TRAILING[name])
    assert header.is_whole
    assert header.end == len(codestream)
    assert header.scans == codestream.count(SOS)


def test_a_jpeg_is_not_whole_without_eoi():
    cut = jpeg(PREVIEW, sof(), scan=BODIES["tables between scans"])[:-2]
    header = read_jpeg(cut)
    assert not header.is_whole
    assert header.end == len(cut)


ONE, TWO = siz() + part(body=b"\x12\xff\x8f\x34"), siz(tile=(20, 30, 0, 0))
CODESTREAMS = {
    "one part": ONE,
    "two tiles": TWO + part(0, b"ab") + part(1),
    "unknown length": siz() + part(body=b"ab\xff\x30cd", length=0),
    "a comment with an end in it": siz(cod=b"\xff\x64\0\x08\0\1\xff\xd9ab" + COD) + part(),
    "a wrong length": siz() + part(body=bytes(60), length=40),
}


@pytest.mark.parametrize("name", TRAILING)
@pytest.mark.parametrize("codestream", CODESTREAMS)
def test_eoc_is_found_by_lengths_and_not_by_the_last_bytes(name, codestream):
    whole = CODESTREAMS[codestream] + EOC
    assert bare_j2k(whole + TRAILING[name]) == whole


def test_an_eoc_that_was_forgotten_is_added():
    assert bare_j2k(ONE) == ONE + EOC


@pytest.mark.parametrize(
    "cut", [ONE[:-1], ONE[:60], CODESTREAMS["unknown length"], TWO, TWO + part(0, b"ab")[:-1]]
)
def test_only_what_was_cut_off_is_said_to_be(cut):
    with pytest.raises(CodecError, match="cut off"):
        bare_j2k(cut)


WHOLE = {
    JpegWalk: [jpeg(PREVIEW, sof(), scan=body) for body in BODIES.values()],
    J2kWalk: [codestream + EOC for codestream in CODESTREAMS.values()],
}


@given(st.data(), st.binary(max_size=20))
@pytest.mark.parametrize("walk", WHOLE)
def test_the_end_does_not_depend_on_how_the_codestream_arrives(walk, data, rest):
    codestream = data.draw(st.sampled_from(WHOLE[walk]))
    steps, walked, known = walk(), 0, bytearray()
    while not steps.ended and len(known) < len(codestream + rest):
        known += (codestream + rest)[walked : walked + data.draw(st.integers(1, 30))]
        walked = len(known)
        assert steps.advance(known) is (len(known) >= len(codestream))
    assert steps.position == len(codestream)


BEGINNINGS = [b"", b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\xd8\xff\xf7\0\x0b\x08", siz(), ONE]


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=300))
def test_whatever_comes_is_a_header_or_an_error(beginning, rest):
    for read in (read_j2k, bare_j2k, read_jpeg):
        with suppress(CodecError):
            assert read(beginning + rest + b"x")


ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0"
JFIF = b"\xff\xe0\0\x10JFIF\0" + bytes(9)


@pytest.mark.parametrize(
    ("segments", "identifiers", "photometric", "expected"),
    [
        ([ADOBE + b"\0"], b"\1\2\3", "YBR_FULL_422", False),
        ([ADOBE + b"\1"], b"\1\2\3", "RGB", True),
        ([JFIF, ADOBE + b"\0"], b"\1\2\3", "RGB", False),
        ([JFIF], b"\1\2\3", "RGB", True),
        ([], b"RGB", "YBR_FULL_422", False),
        ([], b"\1\2\3", "RGB", False),
        ([], b"\1\2\3", "YBR_FULL_422", True),
        ([], b"\1\2\3", "YBR_FULL", True),
    ],
)
def test_colours_are_what_the_codestream_says_or_else_the_dataset(
    segments, identifiers, photometric, expected
):
    header = read_jpeg(jpeg(*segments, sof(identifiers=identifiers)))
    frame = evolve(frame_format(colour=True), photometric_interpretation=photometric)
    assert is_ycbcr(header, frame) is expected
