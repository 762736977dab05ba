"""Codestreams that lie, end too soon, or grow."""

import io
import random
import resource
import struct
import zlib
from contextlib import suppress

import pytest
from pacs_codec_basic import pacs_codecs

from pacs_core.contracts import CodecError, EncodeOptions
from pacs_core.testing.codec_contract import frame_format, pictures

CODECS = {descriptor.name: descriptor for descriptor in pacs_codecs()}
ENCODERS = [name for name, each in CODECS.items() if each.encodes]
IMAGES = ["basic-jpeg-2000-lossless", "basic-jpeg-ls-lossless", "basic-rle"]
OPTIONS = EncodeOptions()
FRAME = frame_format(48, 40, bits=16, stored=12)
NOISE = pictures(FRAME)["noise"].data


def encoded(name, data=NOISE, frame=FRAME):
    return CODECS[name].create().encode(data, frame, OPTIONS).data


@pytest.mark.parametrize("name", ENCODERS)
def test_a_truncated_frame_is_refused_wherever_it_ends(name):
    codec, codestream = CODECS[name].create(), encoded(name)
    for length in [*range(0, 200, 7), *range(200, len(codestream) - 8, 97)]:
        with pytest.raises(CodecError):
            codec.decode(codestream[:length], FRAME)


@pytest.mark.parametrize("name", ENCODERS)
def test_flipped_bits_give_a_frame_of_the_right_size_or_an_error(name):
    codec, codestream = CODECS[name].create(), encoded(name)
    choice = random.Random(1)
    for _ in range(150):
        broken = bytearray(codestream)
        for _ in range(choice.choice((1, 4))):
            near = choice.choice((100, len(broken)))
            broken[choice.randrange(near)] ^= 1 << choice.randrange(8)
        with suppress(CodecError):
            assert len(codec.decode(bytes(broken), FRAME).data) == FRAME.size


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("sides", [(65535, 65535), (48, 65535), (65535, 40)])
def test_a_small_frame_that_is_announced_as_an_enormous_one(name, sides):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CodecError):
        CODECS[name].create().decode(encoded(name), frame_format(*sides, bits=16, stored=12))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 65536  # kilobytes


def test_siz_of_an_enormous_image():
    codestream = bytearray(encoded("basic-jpeg-2000-lossless"))
    for sides in ((0xFFFFFFFF, 0xFFFFFFFF), (65536, 65536), (0x80000028, 48)):
        codestream[8:16] = codestream[24:32] = struct.pack(">2L", *sides)
        with pytest.raises(CodecError, match="columns and 1 components"):
            CODECS["basic-jpeg-2000-lossless"].create().decode(bytes(codestream), FRAME)


def test_a_tile_that_is_missing_is_not_made_up():
    pillow = pytest.importorskip("PIL.Image")
    frame = frame_format(64, 64)
    data = pictures(frame)["noise"].data
    stream = io.BytesIO()
    image = pillow.frombytes("L", (64, 64), data)
    image.save(stream, "JPEG2000", tile_size=(32, 32), no_jp2=True)
    codestream = stream.getvalue()
    codec = CODECS["basic-jpeg-2000"].create()
    assert codec.decode(codestream, frame).data == data
    last = codestream.rindex(b"\xff\x90\x00\x0a\x00\x03")
    with pytest.raises(CodecError, match="3 tiles of 4"):
        codec.decode(codestream[:last] + b"\xff\xd9", frame)


def test_jpeg_ls_without_its_end_is_decoded_or_refused_at_once():
    """The library scans for the end of a run of zeros far beyond the end of the data."""
    frame = frame_format(1, 257)
    codec = CODECS["basic-jpeg-ls-lossless"].create()
    codestream = codec.encode(pictures(frame)["noise"].data, frame, OPTIONS).data
    whole = codestream[: codestream.rindex(b"\xff\xd9")]
    assert codec.decode(whole, frame).data == pictures(frame)["noise"].data
    for length in range(40, len(whole) - 4, 9):
        with pytest.raises(CodecError):
            codec.decode(whole[:length], frame)


def test_a_bomb_does_not_go_off():
    bomb = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    codestream = bomb.compress(bytes(1 << 26)) + bomb.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CodecError, match="exceeds"):
        CODECS["basic-deflated-frames"].create().decode(codestream, frame_format(256, 256))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32768  # kilobytes


RLE_FRAME = frame_format(10, 20)
RLE_HEADER = struct.pack("<16L", 1, 64, *[0] * 14)
SEVENS = b"\x81\x07\xb9\x07"
"""Runs of 128 and 72 (PS3.5 §G.3.2)."""


@pytest.mark.parametrize("more", [b"", b"\0", b"\x80\x80", b"\x81\x08", b"\x05\1\2\3\4\5\6"])
def test_what_follows_a_run_length_frame_is_not_used(more):
    decoded = CODECS["basic-rle"].create().decode(RLE_HEADER + SEVENS + more, RLE_FRAME)
    assert decoded.data == b"\x07" * 200


@pytest.mark.parametrize(
    "segment",
    [
        SEVENS[:2],
        SEVENS[:3],
        SEVENS[:2] + b"\xba\x07",  # 199 bytes
        SEVENS[:2] + b"\x7f" + bytes(71),  # a literal that is cut off
        b"\x80" * 20,  # nothing at all
        b"\x00\x01" * 4,
    ],
)
def test_run_length_segments_that_are_too_short(segment):
    with pytest.raises(CodecError, match=r"cannot expand the RLE frame|RLE segment 1"):
        CODECS["basic-rle"].create().decode(RLE_HEADER + segment, RLE_FRAME)


def test_a_narrow_image_beyond_what_jpeg_2000_is_made_for():
    """With a side of 1, the encoder takes 2047 at most: an error, and no other image."""
    codec = CODECS["basic-jpeg-2000-lossless"].create()
    for rows, columns in ((1, 2048), (2048, 1), (31, 32768)):
        frame = frame_format(rows, columns)
        with pytest.raises(CodecError, match="too narrow"):
            codec.encode(bytes(frame.size), frame, OPTIONS)
    frame = frame_format(1, 2047)
    data = pictures(frame)["noise"].data
    assert codec.decode(codec.encode(data, frame, OPTIONS).data, frame).data == data


def test_a_frame_that_grows_beyond_what_the_library_makes_room_for(monkeypatch):
    """Noise may take four times its size, and the library reckons with two."""
    monkeypatch.setattr("pacs_codec_basic.jpegls._SPARE", 0)
    frame = frame_format(4, 4)
    data = pictures(frame)["noise"].data
    codec = CODECS["basic-jpeg-ls"].create()
    codestream = codec.encode(data, frame, OPTIONS).data
    assert len(codestream) > 2 * len(data)
    assert codec.decode(codestream, frame).data == data
