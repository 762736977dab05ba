"""What a JPEG 2000 codestream says of itself (ISO/IEC 15444-1 Annex A)."""

import struct
from collections.abc import Iterator
from typing import Final

from pacs_codec_basic.checks import Header
from pacs_core.contracts import CodecError

_START: Final = b"\xff\x4f\xff\x51"
"""SOC and SIZ, which must follow it."""
_JP2_SIGNATURE: Final = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_CODESTREAM_BOX: Final = b"jp2c"
_MAX_BOXES: Final = 64

_SOT: Final = b"\xff\x90"
_SIZ: Final = struct.Struct(">HH8LH")
_COMPONENT: Final = struct.Struct("3B")
_TILE_PART: Final = struct.Struct(">HHHL")
_BOX: Final = struct.Struct(">L4s")
_LONG_LENGTH: Final = struct.Struct(">Q")
_MAX_TILES: Final = 65535


def codestream_of(data: bytes) -> bytes:
    """Return a codestream without the JP2 file format around it, which some senders leave.

    Raises
    ------
    CodecError
        There is a file, and no codestream in it.
    """
    if not data.startswith(_JP2_SIGNATURE):
        return data
    position = 0
    for _ in range(_MAX_BOXES):
        if position + _BOX.size > len(data):
            break
        length, name = _BOX.unpack_from(data, position)
        content = position + _BOX.size
        if length == 1:
            if content + _LONG_LENGTH.size > len(data):
                break
            (length,) = _LONG_LENGTH.unpack_from(data, content)
            content += _LONG_LENGTH.size
        end = position + length if length else len(data)
        if name == _CODESTREAM_BOX:
            return data[content:end]
        if end < content:
            break
        position = end
    raise CodecError("the JP2 file holds no codestream")


def read_header(codestream: bytes) -> Header:
    """Return what SIZ says (ISO/IEC 15444-1 §A.5.1), if there is a part of every tile.

    Raises
    ------
    CodecError
        It is no codestream, SIZ is cut off or contradicts itself, components differ from each
        other, as none do in DICOM, or a tile is missing.
    """
    if not codestream.startswith(_START):
        raise CodecError(f"no JPEG 2000 codestream: it begins with {codestream[:4].hex(' ')!r}")
    components = len(_START) + _SIZ.size
    if len(codestream) < components:
        raise CodecError("the JPEG 2000 codestream ends within SIZ")
    length, _, right, bottom, left, top, *tiling, count = _SIZ.unpack_from(codestream, len(_START))
    end = components + _COMPONENT.size * count
    if length != _SIZ.size + _COMPONENT.size * count or len(codestream) < end or not count:
        raise CodecError(f"SIZ has {length} bytes and {count} components")
    if left >= right or top >= bottom:
        raise CodecError(f"the image area is from {left}, {top} to {right}, {bottom}")
    tiles = _tiles(right, bottom, tuple(tiling))
    kinds = set(_COMPONENT.iter_unpack(codestream[components:end]))
    if len(kinds) > 1:
        raise CodecError("the components differ in precision, sign or sampling")
    ((depth, *sampling),) = kinds
    if sampling != [1, 1]:
        raise CodecError(f"the components are subsampled by {sampling}")
    _require_tiles(codestream, end, tiles)
    return Header(bottom - top, right - left, count, (depth & 0x7F) + 1, bool(depth & 0x80))


def _tiles(right: int, bottom: int, tiling: tuple[int, ...]) -> int:
    """Return the number of tiles."""
    width, height, left, top = tiling
    if not width or not height or left >= right or top >= bottom:
        raise CodecError(f"tiles of {width} x {height} from {left}, {top}")
    tiles = -(-(right - left) // width) * -(-(bottom - top) // height)
    if tiles > _MAX_TILES:
        raise CodecError(f"{tiles} tiles, and JPEG 2000 has at most {_MAX_TILES}")
    return tiles


def _require_tiles(codestream: bytes, position: int, tiles: int) -> None:
    """Refuse a codestream without a part of every tile: the decoder leaves those out silently."""
    while codestream[position : position + 2] != _SOT:
        position += 2 + int.from_bytes(codestream[position + 2 : position + 4], "big")
        if position >= len(codestream):
            raise CodecError("the JPEG 2000 codestream ends within its main header")
    found = set(_tile_parts(codestream, position))
    if found != set(range(tiles)):
        raise CodecError(f"the JPEG 2000 codestream has {len(found)} tiles of {tiles}")


def _tile_parts(codestream: bytes, position: int) -> Iterator[int]:
    """Yield the number of the tile of which each part is (ISO/IEC 15444-1 §A.4.2)."""
    while codestream[position : position + 2] == _SOT:
        if position + _TILE_PART.size > len(codestream):
            raise CodecError("the JPEG 2000 codestream ends within a tile-part header")
        _, _, tile, length = _TILE_PART.unpack_from(codestream, position)
        yield tile
        if not length:  # up to the end
            return
        if length < _TILE_PART.size:
            raise CodecError(f"a part of {length} bytes of tile {tile}")
        position += length
