"""What is not needed in compressed frames is overwritten, and no pixel changes."""

import random
import struct
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from pacs_deidentify.codestreams import frame_editor
from pacs_deidentify.icc import clean_profile
from pacs_deidentify.pixels import PixelSpan, copy_pixels
from pacs_deidentify.report import Report
from PIL import Image, ImageCms

SECRET = b"Zzyzx^Quibble"
PICTURE = Image.radial_gradient("L").resize((90, 61))
ARRAY = np.asarray(PICTURE)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(form: str, **options) -> bytes:
    PICTURE.save(buffer := BytesIO(), form, **options)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def edit(*fragments: bytes) -> bytes:
    editor = frame_editor()
    made = [editor.feed(each, ends=True) for each in fragments]
    assert [len(each) for each in made] == [len(each) for each in fragments]
    return b"".join(made)


JPEG, PROGRESSIVE = saved("JPEG"), saved("JPEG", progressive=True)
J2K, JP2 = saved("JPEG2000", no_jp2=True), saved("JPEG2000", comment=SECRET)
TABLES = PROGRESSIVE.rindex(b"\xff\xc4", 0, PROGRESSIVE.rindex(b"\xff\xda"))
BOX = JP2.index(b"jp2c") - 4
TILE, DATA = J2K.index(b"\xff\x90"), J2K.index(b"\xff\x93")


def in_tile(content: bytes) -> bytes:
    """Put a segment into the header of the only tile-part, whose length says so."""
    (length,) = struct.unpack_from(">I", J2K, TILE + 6)
    longer = struct.pack(">I", length + len(content) if length else 0)
    return J2K[: TILE + 6] + longer + J2K[TILE + 10 : DATA] + content + J2K[DATA:]


@pytest.mark.parametrize(
    "frame",
    [
        *(JPEG[:2] + segment(code, start + SECRET) + JPEG[2:] for code, start in (
            (0xFE, b""), (0xE1, b"Exif\0\0"), (0xE0, b"JFXX\0\x10"), (0xE2, b"MPF\0"),
            (0xE2, b"ICC_PROFILE\0\1\1"), (0xE8, b"SPIFF\0"), (0xED, b"Photoshop 3.0\0"),
            (0xEE, b"Other"), (0xE0, b"JFIF\0\1\1\0\0\1\0\1\4\1"),
        )),
        JPEG[:2] + segment(0xE4, bytes(65000)) * 17 + segment(0xFE, SECRET) + JPEG[2:],
        PROGRESSIVE[:TABLES] + segment(0xFE, SECRET) + PROGRESSIVE[TABLES:],
        JPEG + SECRET,
        J2K[:TILE] + segment(0x64, b"\0\1" + SECRET) + J2K[TILE:],
        in_tile(segment(0x64, b"\0\1" + SECRET)),
        J2K + SECRET,
        JP2 + box(b"xml ", SECRET),
        JP2[:BOX] + box(b"uuid", SECRET) + JP2[BOX:],
    ],
)  # fmt: skip
def test_no_segment_or_box_says_anything(frame: bytes) -> None:
    assert SECRET in frame
    made = edit(frame)
    assert SECRET not in made
    decode = imagecodecs.jpeg_decode if frame[:2] == JPEG[:2] else imagecodecs.jpeg2k_decode
    assert (decode(made) == decode(frame)).all()
    # The next frame is looked at as the first one.
    assert SECRET not in edit(JPEG, frame) + edit(frame, frame)
    assert frame[:2] != JPEG[:2] or SECRET not in edit(b"\xff" + frame)


@pytest.mark.parametrize("where", range(2, 30))
def test_a_segment_that_begins_in_another_fragment(where: int) -> None:
    frame = JPEG[:2] + segment(0xFE, SECRET) + JPEG[2:]
    made = edit(frame[:where], frame[where:])
    assert all(part not in made for part in (SECRET, SECRET[:5], SECRET[-5:]))
    assert Image.open(BytesIO(made)).tobytes() == Image.open(BytesIO(JPEG)).tobytes()


ENCODED = {
    "JPEG-LS": (imagecodecs.jpegls_encode(ARRAY), imagecodecs.jpegls_decode),
    "JPEG lossless": (imagecodecs.ljpeg_encode(ARRAY), imagecodecs.ljpeg_decode),
    "JPEG 2000": (imagecodecs.jpeg2k_encode(ARRAY, codecformat="j2k"), imagecodecs.jpeg2k_decode),
    "HTJ2K": (imagecodecs.htj2k_encode(ARRAY), imagecodecs.htj2k_decode),
    "progressive JPEG": (
        saved("JPEG", progressive=True, icc_profile=SRGB, comment=SECRET), imagecodecs.jpeg_decode,
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", ENCODED)
def test_each_pixel_stays_wherever_a_frame_is_cut(form: str) -> None:
    data, decode = ENCODED[form]
    before, chance = decode(data), random.Random(form)
    for _ in range(20):
        cuts = sorted(chance.sample(range(1, len(data)), chance.randrange(5)))
        ends = zip([0, *cuts], [*cuts, len(data)], strict=True)
        made = edit(*(data[start:end] for start, end in ends))
        assert (decode(made) == before).all()
        assert SECRET not in made


@pytest.mark.parametrize("options", [{}, {"usecontainer": True}])
def test_jpeg_xl_stays(options: dict) -> None:
    data = imagecodecs.jpegxl_encode(ARRAY, lossless=True, **options)
    made = edit(data + box(b"Exif", SECRET) if options else data)
    assert SECRET not in made
    assert (imagecodecs.jpegxl_decode(made) == ARRAY).all()


def test_a_movie_says_neither_where_nor_when_it_was_made() -> None:
    head = box(b"mvhd", b"\0\0\0\0" + b"WHENWHEN" + bytes(88))
    handler = box(b"hdlr", bytes(8) + b"vide" + bytes(12) + SECRET)
    track = box(b"trak", box(b"mdia", handler + box(b"minf", b"needed")) + box(b"meta", SECRET))
    movie = box(b"moov", head + track + box(b"udta", box(b"\xa9xyz", SECRET)))
    file = box(b"ftyp", b"isom\0\0\2\0") + movie + box(b"mdat", b"coded") + box(b"uuid", SECRET)
    made = edit(file + b"\0")
    assert SECRET not in made
    assert b"WHEN" not in made
    assert made.count(b"free") == 3
    assert all(each in made for each in (b"needed", b"coded", b"vide"))


def test_an_icc_profile_has_no_descriptions_and_does_the_same() -> None:
    marked = SRGB.replace("sRGB".encode("utf-16-be"), "Ruiz".encode("utf-16-be"))
    made = clean_profile(marked)
    assert marked != SRGB
    assert len(made) == len(SRGB)
    assert all("Ruiz".encode(form) not in made for form in ("ascii", "utf-16-be"))
    lab, picture = ImageCms.createProfile("LAB"), PICTURE.convert("RGB")
    images = [
        ImageCms.profileToProfile(picture, BytesIO(each), lab, outputMode="LAB").tobytes()
        for each in (SRGB, made)
    ]
    assert images[0] == images[1]
    assert clean_profile(SECRET) == bytes(len(SECRET))


@pytest.mark.parametrize(("table", "stays"), [(bytes(4), True), (SECRET + bytes(3), False)])
def test_an_offset_table_has_nothing_but_offsets(table: bytes, stays: bool) -> None:
    item = b"\xfe\xff\0\xe0"
    value = b"".join(item + struct.pack("<I", len(each)) + each for each in (table, b"frame "))
    content = b"head" + value + b"\xfe\xff\xdd\xe0\0\0\0\0"
    out = BytesIO()
    span = PixelSpan(0, 4, len(content), True)
    copy_pixels(BytesIO(content), span, None, Report(), out, (0, 0))
    assert (out.getvalue() == content) is stays
    assert SECRET not in out.getvalue()
