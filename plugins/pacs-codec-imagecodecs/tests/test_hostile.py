"""Codestreams that were damaged, or made to do damage: refused, or at least survived."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import evolve
from pacs_codec_imagecodecs.header import check_agreement

from pacs_core.contracts import CodecError, EncodeOptions
from pacs_core.imaging import CodestreamImage, bare_j2k, read_j2k
from pacs_core.testing.codec_contract import frame_format, pictures

DAMAGE = Path(__file__).with_name("damage.py")
JPEGS = ["50", "51", "57", "70", "80", "81"]
WAVELETS = ["90", "91", "201", "202", "203"]
ENDED = [*JPEGS, *WAVELETS]
"""With an end marker."""
ALL = [*ENDED, "110", "112"]
FRAME = frame_format(24, 24)
OPTIONS = EncodeOptions()


@pytest.fixture
def good(codec_of):
    """Return a function that encodes a frame in a transfer syntax."""

    def encode(syntax, frame=FRAME):
        return codec_of(syntax).encode(pictures(frame)["noise"].data, frame, OPTIONS)

    return encode


@pytest.mark.parametrize("times", [120, pytest.param(400, marks=pytest.mark.long)])
@pytest.mark.parametrize("syntax", ALL)
def test_damage_does_no_harm(syntax, times) -> None:
    """In a process of its own, as in a node: there, this may crash; it has not been seen to."""
    command = [sys.executable, str(DAMAGE), syntax, "20", str(times)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    refused, decoded = map(int, done.stdout.split())
    assert refused + decoded == times
    assert refused > times / 4


@pytest.mark.parametrize("syntax", ALL)
def test_what_is_cut_off_is_refused(codec_of, good, syntax) -> None:
    """The last byte may hold nothing but padding: without it, no sample is missing."""
    encoded = good(syntax)
    expected = codec_of(syntax).decode(encoded.data, encoded.format)
    whole = encoded.data.removesuffix(b"\0")
    for length in range(len(whole)):
        if length < len(whole) - 4:
            with pytest.raises(CodecError):
                codec_of(syntax).decode(whole[:length], encoded.format)
            continue
        with suppress(CodecError):
            assert codec_of(syntax).decode(whole[:length], encoded.format) == expected


TRAILING = [b"\0", b"\xff", b" ", b"\xcc\xcc\xcc", bytes(500), b"\0\xff\xd9", b"\xff\xe0\0garbage"]


@pytest.mark.parametrize("trailing", TRAILING)
@pytest.mark.parametrize("syntax", ENDED)
def test_what_follows_the_end_is_no_damage(codec_of, good, syntax, trailing) -> None:
    encoded = good(syntax)
    expected = codec_of(syntax).decode(encoded.data, encoded.format)
    padded = encoded.data.removesuffix(b"\0") + trailing
    assert codec_of(syntax).decode(padded, encoded.format) == expected


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("syntax", ENDED)
def test_an_end_that_was_forgotten_is_no_damage(codec_of, good, syntax, colour) -> None:
    """Writers forget EOI and EOC; samples are all there."""
    encoded = good(syntax, frame_format(24, 24, colour=colour))
    expected = codec_of(syntax).decode(encoded.data, encoded.format)
    endless = encoded.data.removesuffix(b"\0").removesuffix(b"\xff\xd9")
    assert codec_of(syntax).decode(endless, encoded.format) == expected


def with_sides(data, syntax, rows, columns):
    """Return a codestream whose header announces other sides."""
    at = next((i for i in range(2, len(data)) if data[i : i + 2] in SOF), 0)
    data = bytearray(data)
    if syntax in JPEGS:
        data[at + 5 : at + 9] = rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
    else:
        data[8:16] = columns.to_bytes(4, "big") + rows.to_bytes(4, "big")
    return bytes(data)


SOF = {bytes([0xFF, marker]) for marker in (0xC0, 0xC1, 0xC3, 0xF7)}
SIDES = [(0, 24), (24, 0), (25, 24), (65535, 65535), (0, 0)]


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("syntax", [*JPEGS, *WAVELETS])
def test_sides_that_the_dataset_does_not_have_are_refused(codec_of, good, syntax, sides) -> None:
    lying = with_sides(good(syntax).data, syntax, *sides)
    with pytest.raises(CodecError):
        codec_of(syntax).decode(lying, good(syntax).format)


@pytest.mark.parametrize("syntax", ["50", "51", "57", "70"])
def test_a_bomb_that_the_dataset_announces_is_too_short(codec_of, good, syntax) -> None:
    """The most that 16 bits can say: the few bytes there are cannot hold so many pixels."""
    bomb = with_sides(good(syntax).data, syntax, 65535, 65535)
    with pytest.raises(CodecError, match="cannot hold this frame"):
        codec_of(syntax).decode(bomb, frame_format(65535, 65535))


@pytest.mark.parametrize("syntax", ALL)
def test_other_components_and_deeper_samples_are_refused(codec_of, good, syntax) -> None:
    colour = frame_format(24, 24, colour=True)
    with pytest.raises(CodecError, match="1 components"):
        codec_of(syntax).decode(good(syntax).data, colour)
    with pytest.raises(CodecError, match="3 components"):
        codec_of(syntax).decode(good(syntax, colour).data, FRAME)
    if syntax != "50":
        deep = good(syntax, frame_format(24, 24, bits=16, stored=12))
        with pytest.raises(CodecError, match="samples of"):
            codec_of(syntax).decode(deep.data, FRAME)


def test_a_codestream_of_another_transfer_syntax_is_refused(codec_of, good) -> None:
    for syntax, others in (("50", ["57", "80", "90", "110"]), ("70", ["50", "80", "201", "110"])):
        for other in others:
            with pytest.raises(CodecError):
                codec_of(syntax).decode(good(other).data, FRAME)


def test_a_jpeg_of_too_many_scans_is_refused(codec_of, good) -> None:
    """Each keeps the decoder busy with the whole image."""
    data = good("50").data.replace(b"\xff\xc0", b"\xff\xc2", 1)
    scan = b"\xff\xda\0\x08\1\1\0\0\0\0"
    endless = data[: data.rindex(b"\xff\xd9")] + scan * 300 + b"\xff\xd9"
    with pytest.raises(CodecError, match="301 scans"):
        codec_of("50").decode(endless, FRAME)


@pytest.mark.parametrize("syntax", WAVELETS)
def test_empty_tiles_before_the_image_are_refused(codec_of, good, syntax) -> None:
    """Of those, OpenJPH makes no end. The first tile holds the first pixel (ISO 15444-1 B.3)."""
    data, far = bytearray(good(syntax).data), 0x8000
    data[8:12] = (24 + far).to_bytes(4, "big")
    data[16:20] = far.to_bytes(4, "big")
    with pytest.raises(CodecError, match="where pixels begin"):
        codec_of(syntax).decode(bytes(data), FRAME)


@pytest.mark.parametrize("syntax", WAVELETS)
def test_components_that_differ_are_refused(codec_of, good, syntax) -> None:
    encoded = good(syntax, frame_format(24, 24, colour=True))
    siz = read_j2k(bare_j2k(encoded.data)).siz
    for offset, match in ((3, "differ"), (4, "differ")):
        data = bytearray(encoded.data)
        data[siz + offset] += 1
        with pytest.raises(CodecError, match=match):
            codec_of(syntax).decode(bytes(data), encoded.format)
    data = bytearray(encoded.data)
    for component in range(3):
        data[siz + 3 * component + 1] = 2
    with pytest.raises(CodecError, match="subsampled"):
        codec_of(syntax).decode(bytes(data), encoded.format)


def test_tile_parts_that_do_not_add_up_are_refused(codec_of, good) -> None:
    data = bytearray(good("90").data)
    part = data.index(b"\xff\x90\0\x0a")
    for length in (1, 13, len(data)):
        data[part + 6 : part + 10] = length.to_bytes(4, "big")
        with pytest.raises(CodecError, match=r"a part of \d+ bytes of tile 0|cut off|tile-part"):
            codec_of("90").decode(bytes(data), FRAME)


def test_a_frame_that_openjph_fills_in_part_is_refused(codec_of, good, capfd) -> None:
    """Its extension swallows the error; memory that was never written would come out."""
    encoded, refused = good("201"), 0
    for at in range(200, len(encoded.data) - 2, 7):
        data = bytearray(encoded.data)
        data[at] ^= 0xFF
        try:
            codec_of("201").decode(bytes(data), FRAME)
        except CodecError as error:
            refused += "amid the frame" in str(error)
    assert refused
    assert capfd.readouterr().err == ""


def test_white_does_not_overflow_in_irreversible_htj2k(codec_of, array_of) -> None:
    """Where OpenJPH rounds up from the highest value, its extension wraps it to black."""
    frame = frame_format(64, 64)
    data = bytes(255 if value > 127 else 250 for value in pictures(frame)["noise"].data)
    for quality in range(0, 100, 10):
        encoded = codec_of("203").encode(data, frame, EncodeOptions(quality=quality))
        assert array_of(codec_of("203").decode(encoded.data, frame)).min() > 200


def test_a_precision_of_nothing_is_refused() -> None:
    with pytest.raises(CodecError, match="0 bits"):
        check_agreement(CodestreamImage(24, 24, 1, 0), FRAME)


@pytest.mark.parametrize("syntax", ALL)
def test_formats_that_no_codec_takes_are_refused(codec_of, good, syntax) -> None:
    changes = [
        {"bits_allocated": 32},
        {"bits_allocated": 1, "bits_stored": 1},
        {"samples_per_pixel": 4},
        {"bits_stored": 0},
        {"bits_stored": 9},
        {"rows": 65536},
        {"columns": -1},
    ]
    for frame in (evolve(FRAME, **change) for change in changes):
        with pytest.raises(CodecError):
            codec_of(syntax).encode(bytes(FRAME.size), frame, OPTIONS)
        with pytest.raises(CodecError):
            codec_of(syntax).decode(good(syntax).data, frame)
