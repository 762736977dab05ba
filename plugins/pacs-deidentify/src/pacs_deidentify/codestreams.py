"""What programs and cameras say of themselves in compressed frames, overwritten on the way."""

import re
import struct
from collections.abc import Generator
from typing import Final

from pacs_deidentify.boxes import clean_boxes, is_boxed
from pacs_deidentify.icc import clean_profile
from pacs_deidentify.streaming import (
    Copy,
    CopyUntil,
    Operation,
    Parser,
    Peek,
    Replace,
    StreamEditor,
    Zero,
    ZeroUntil,
)

# Theory of operation
#
# Codestreams of the JPEG family have segments for whatever a program wants to say (COM), and for
# what cameras know: when, where, whose (APPn). They stand before what is coded, between scans of a
# progressive JPEG, and in the headers of tile-parts. No decoder needs them, so that their bytes
# become zeros; lengths stay, and with them offset tables. What decoders may need stays: JFIF (APP0)
# without its thumbnail, an ICC profile (APP2) without its descriptions, the colour transforms of
# JPEG-LS (APP8) and of Adobe (APP14). What stands after the end of an image is read by nobody.
#
# Files of JPEG 2000, JPEG XL and MP4 in a fragment are of boxes, of which those stay that are known
# to be needed. Fragments may end anywhere, so parsers ask for what is to be done with the bytes
# that come next, and do not see from which fragment these are.

_START: Final = re.compile(rb"\xff[\xd8\x4f]")
_MARKER: Final = re.compile(rb"\xff")
_APP0: Final = 0xE0
_APP2: Final = 0xE2
_COMMENTS: Final = frozenset({0xFE, *range(_APP0, 0xF0)})
_NEEDED: Final = {_APP0: (b"JFIF\0", 14), 0xE8: (b"mrfx", 5), 0xEE: (b"Adobe", 12)}
"""The segments that decoders need: how they begin, and how much of them."""

_ICC: Final = b"ICC_PROFILE\0\x01\x01"
_WITHOUT_LENGTH: Final = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN: Final = 0xDA
_END: Final = 0xD9
# After FF, coded data have what is stuffed (in JPEG-LS anything below 80), or restart markers.
_AFTER_SCAN: Final = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_START_OF_J2K: Final = 0x4F
_COMMENT_OF_J2K: Final = 0x64
_START_OF_TILE: Final = 0x90
_START_OF_DATA: Final = 0x93
_END_OF_J2K: Final = re.compile(rb"\xff\xd9")


def frame_editor() -> StreamEditor:
    """Return what overwrites comments in the fragments of an element, one after the other."""
    return StreamEditor(_clean_frames())


def _clean_frames() -> Parser:
    while True:
        start = yield Peek(12)
        if start[:2] in {b"\xff\xd8", b"\xff\xff"}:
            yield from _clean_jpeg()
        elif start[:2] == b"\xff\x4f":
            yield from _clean_jpeg2000()
        elif is_boxed(start):
            if not (yield from clean_boxes()):
                return
            yield from _clean_jpeg2000()
        else:
            # Frames are all of one kind, and this one has no comments, as RLE.
            return
        yield ZeroUntil(_START)


def _marker() -> Generator[Operation, bytes, int]:
    """Go over a marker, and over what should not be before it (ISO/IEC 10918-1 B.1.1.2)."""
    yield ZeroUntil(_MARKER)
    yield Copy(1)
    return (yield from _code())


def _code() -> Generator[Operation, bytes, int]:
    code = b"\xff"
    while code == b"\xff":
        code = yield Copy(1)
    return code[0]


def _length() -> Generator[Operation, bytes, int]:
    return max(int.from_bytes((yield Copy(2)), "big") - 2, 0)


def _clean_jpeg() -> Parser:
    code = yield from _marker()
    while code != _END:
        if code not in _WITHOUT_LENGTH:
            length = yield from _length()
            if code in _COMMENTS:
                yield from _clean_comment(code, length)
            else:
                yield Copy(length)
            if code == _START_OF_SCAN:
                yield CopyUntil(_AFTER_SCAN)
                code = yield from _code()
                continue
        code = yield from _marker()


def _clean_comment(code: int, length: int) -> Parser:
    content = yield Peek(length)
    start, needed = _NEEDED.get(code, (b"", 0))
    if code == _APP2 and len(content) == length and content.startswith(_ICC):
        yield Replace(_ICC + clean_profile(content[len(_ICC) :]))
        return
    kept = min(needed, length) if content.startswith(start) else 0
    yield Copy(kept)
    yield Zero(length - kept)


def _clean_jpeg2000() -> Parser:
    left = 0
    code = yield from _marker()
    while code != _END:
        if code == _START_OF_DATA:
            if left <= 2:
                # A tile-part that does not say how long it is is the last one (15444-1 A.4.2).
                yield CopyUntil(_END_OF_J2K)
                return
            yield Copy(left - 2)
        elif code != _START_OF_J2K:
            length = yield from _length()
            left -= length + 4
            if code == _COMMENT_OF_J2K:
                # Registration of the comment (Rcom) is of two bytes (ISO/IEC 15444-1 A.9.2).
                yield Copy(min(length, 2))
                yield Zero(length - min(length, 2))
            elif code == _START_OF_TILE and length == 8:
                _, whole, _ = struct.unpack(">HIH", (yield Copy(length)))
                left = whole - length - 4
            else:
                yield Copy(length)
        code = yield from _marker()
