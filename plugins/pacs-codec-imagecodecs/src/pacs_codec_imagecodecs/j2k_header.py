"""The markers of JPEG 2000 codestreams (ISO/IEC 15444-1 Annex A)."""

import struct
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_codec_imagecodecs.header import PADDING, Header
from pacs_core.contracts import CodecError

SOC_SIZ: Final = b"\xff\x4f\xff\x51"
_EOC: Final = b"\xff\xd9"
COD: Final = 0xFF52
_COC: Final = 0xFF53
QCD: Final = 0xFF5C
_SOT: Final = 0xFF90
_JP2: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_MAX_TILES: Final = 65535
_FIXED: Final = struct.Struct(">H8IH")
"""Rsiz, size and offset of the image, size and offset of tiles, number of components."""
_SIGNED: Final = 0x80
_WAVELET: Final = 9
"""Where COD names the wavelet."""


@frozen
class J2kHeader:
    """What the main header says.

    Attributes
    ----------
    header : Header
    siz : int
        Offset of the precision of the first component (Ssiz).
    segments : tuple of (int, bytes, int)
        Marker, content, and offset of the content of each segment.
    """

    header: Header
    siz: int
    segments: tuple[tuple[int, bytes, int], ...]

    def find(self, *markers: int) -> list[tuple[bytes, int]]:
        """Return content and offset of the segments of these kinds."""
        return [(content, at) for marker, content, at in self.segments if marker in markers]


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
    end = len(codestream.rstrip(PADDING))
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
    segments = tuple(_main_header(codestream))
    size, start = segments[0][1:]
    if COD not in (marker for marker, _, _ in segments):
        raise CodecError("the main header has no COD segment")
    header = _size(size)
    _check_tile_parts(codestream, segments[-1][2] + len(segments[-1][1]))
    return J2kHeader(header, start + _FIXED.size, segments)


def is_reversible(header: J2kHeader) -> bool:
    """Return whether all components have the reversible wavelet (A.6.1)."""
    (coding, _), *_ = header.find(COD)
    return coding[_WAVELET : _WAVELET + 1] == b"\1" and not header.find(_COC)


def _main_header(codestream: bytes) -> Iterator[tuple[int, bytes, int]]:
    at = 2
    while (marker := int.from_bytes(codestream[at : at + 2], "big")) != _SOT:
        end = at + 2 + int.from_bytes(codestream[at + 2 : at + 4], "big")
        if marker < 0xFF00 or not at + 4 <= end <= len(codestream):
            raise CodecError(f"no marker segment at byte {at} of the main header")
        yield marker, codestream[at + 4 : end], at + 4
        at = end


def _size(segment: bytes) -> Header:
    if len(segment) < _FIXED.size + 3:
        raise CodecError(f"a SIZ segment of {len(segment)} bytes")
    _, right, bottom, left, top, tile_w, tile_h, tile_x, tile_y, count = _FIXED.unpack_from(segment)
    components = segment[_FIXED.size :]
    if len(components) != 3 * count or components != components[:3] * count:
        raise CodecError("components have different precisions, or SIZ does not add up")
    if components[1:3] != b"\1\1":
        raise CodecError("components are subsampled")
    # The first tile holds the first pixel (B.3). Of empty tiles before it, OpenJPH makes no end.
    for first, last, tile, size in ((left, right, tile_x, tile_w), (top, bottom, tile_y, tile_h)):
        if not tile <= first < min(last, tile + size):
            raise CodecError("SIZ describes no image, or a first tile without pixels")
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
