"""The markers of JPEG 2000 codestreams (ISO/IEC 15444-1 Annex A)."""

import struct
from typing import Final

from attrs import frozen

from pacs_codec_imagecodecs.header import Header
from pacs_core.contracts import CodecError

SOC_SIZ: Final = b"\xff\x4f\xff\x51"
_EOC: Final = b"\xff\xd9"
_SIZ, _SOT, _COD = 0xFF51, 0xFF90, 0xFF52
_JP2: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_MAX_TILES: Final = 65535
_FIXED: Final = struct.Struct(">H8IH")
"""Rsiz, size and offset of the image, size and offset of tiles, number of components."""
_SIGNED: Final = 0x80


@frozen
class J2kHeader:
    """What the main header says.

    Attributes
    ----------
    header : Header
    siz : int
        Offset of the precision of the first component (Ssiz).
    segments : dict of int to (int, int)
        Offset and length of what the first marker segment of each kind holds.
    """

    header: Header
    siz: int
    segments: dict[int, tuple[int, int]]


def bare(codestream: bytes) -> bytes:
    """Return the codestream alone: some are sent within a JP2 file, and padded.

    Raises
    ------
    CodecError
        There is none, or it does not end with EOC.
    """
    start = codestream.find(SOC_SIZ) if codestream.startswith(_JP2) else 0
    if start < 0 or codestream[start : start + 4] != SOC_SIZ:
        raise CodecError("no JPEG 2000 codestream: it does not begin with SOC and SIZ")
    end = len(codestream.rstrip(b"\0"))
    if codestream[end - 2 : end] != _EOC:
        raise CodecError("the codestream does not end with EOC: it was cut off")
    return codestream[start:end]


def read_j2k(codestream: bytes) -> J2kHeader:
    """Return the main header of a bare codestream whose tile-parts add up.

    Raises
    ------
    CodecError
        A segment or tile-part exceeds the codestream, or components differ.
    """
    segments, at = _main_header(codestream)
    if _COD not in segments:
        raise CodecError("the main header has no COD segment")
    start, length = segments[_SIZ]
    header = _size(codestream[start : start + length])
    _check_tile_parts(codestream, at)
    return J2kHeader(header, start + _FIXED.size, segments)


def _main_header(codestream: bytes) -> tuple[dict[int, tuple[int, int]], int]:
    segments: dict[int, tuple[int, int]] = {}
    at = 2
    while (marker := int.from_bytes(codestream[at : at + 2], "big")) != _SOT:
        length = int.from_bytes(codestream[at + 2 : at + 4], "big")
        if marker < 0xFF00 or length < 2 or at + 2 + length > len(codestream):
            raise CodecError(f"no marker segment at byte {at} of the main header")
        segments.setdefault(marker, (at + 4, length - 2))
        at += 2 + length
    return segments, at


def _size(segment: bytes) -> Header:
    if len(segment) < _FIXED.size + 3:
        raise CodecError(f"a SIZ segment of {len(segment)} bytes")
    _, right, bottom, left, top, tile_w, tile_h, tile_x, tile_y, count = _FIXED.unpack_from(segment)
    components = segment[_FIXED.size :]
    if len(components) != 3 * count or components != components[:3] * count:
        raise CodecError("components have different precisions, or SIZ does not add up")
    if components[1:3] != b"\1\1":
        raise CodecError("components are subsampled")
    if right <= left or bottom <= top or not tile_w or not tile_h or tile_x > left or tile_y > top:
        raise CodecError("SIZ describes no image")
    tiles = -(-(right - tile_x) // tile_w) * -(-(bottom - tile_y) // tile_h)
    if tiles > _MAX_TILES:
        raise CodecError(f"{tiles} tiles; at most {_MAX_TILES} are allowed")
    precision = (components[0] & ~_SIGNED) + 1
    return Header(bottom - top, right - left, count, precision)


def _check_tile_parts(codestream: bytes, at: int) -> None:
    """Step from tile-part to tile-part up to EOC; the last one's length may be 0, unknown."""
    end = len(codestream) - len(_EOC)
    while at != end:
        length = int.from_bytes(codestream[at + 6 : at + 10], "big") or end - at
        if codestream[at : at + 4] != b"\xff\x90\0\x0a" or length < 14 or at + length > end:
            raise CodecError(f"no tile-part at byte {at}, or one that exceeds the codestream")
        at += length
