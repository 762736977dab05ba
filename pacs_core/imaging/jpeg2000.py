"""JPEG 2000 codestreams and their high-throughput kind (ISO/IEC 15444-1 Annex A), not decoded."""

import struct
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_core.imaging.codestream import CodestreamImage, MarkerWalk
from pacs_core.imaging.frame import CodecError

# Theory of operation
#
# As with JPEG, markers and lengths are walked, and nothing is decoded. The main header tells size,
# precision and wavelet; tile-parts have lengths, which lead to the end of the codestream in a few
# steps. A length that is zero or wrong makes the walk search for EOC instead. That is safe because
# packet data never hold FF followed by more than 8FH.
#
# Every tile must have a part. Decoders leave a missing one black, and a black tile in a radiograph
# looks like an image.

COD: Final = 0xFF52
QCD: Final = 0xFF5C
EOC: Final = b"\xff\xd9"

_SOC_SIZ: Final = b"\xff\x4f\xff\x51"
"""SIZ must follow SOC."""
_COC, _SOT, _SOC, _EOC = 0xFF53, 0xFF90, 0xFF4F, 0xFFD9
_SIZE: Final = struct.Struct(">H8LH")
"""Rsiz, size and offset of the image, size and offset of tiles, number of components."""
_COMPONENT: Final = struct.Struct("3B")
_TILE_PART: Final = struct.Struct(">HHHLBB")
_SOD_LENGTH: Final = 2
_SIGNED: Final = 0x80
_MAX_TILES: Final = 65535
_TRANSFORM_IN_COD, _WAVELET_IN_COD = 4, 9

_JP2_SIGNATURE: Final = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_CODESTREAM_BOX: Final = b"jp2c"
_MAX_BOXES: Final = 64
_BOX: Final = struct.Struct(">L4s")
_LONG_LENGTH: Final = struct.Struct(">Q")


@frozen
class J2kHeader:
    """What the main header says.

    Attributes
    ----------
    image : CodestreamImage
    siz : int
        Offset of the precision of the first component (Ssiz).
    segments : tuple of (int, bytes, int)
        Marker, content, and offset of the content of each segment.
    """

    image: CodestreamImage
    siz: int
    segments: tuple[tuple[int, bytes, int], ...]

    def find(self, *markers: int) -> list[tuple[bytes, int]]:
        """Return content and offset of the segments of these kinds."""
        return [(content, at) for marker, content, at in self.segments if marker in markers]

    @property
    def is_reversible(self) -> bool:
        """Whether all components have the reversible wavelet (A.6.1)."""
        (coding, _), *_ = self.find(COD)
        return coding[_WAVELET_IN_COD : _WAVELET_IN_COD + 1] == b"\1" and not self.find(_COC)

    @property
    def transforms_components(self) -> bool:
        """Whether decoding makes RGB of the first three components (A.6.1, Table A.17)."""
        (coding, _), *_ = self.find(COD)
        return self.image.components >= 3 and bool(coding[_TRANSFORM_IN_COD])


def bare_j2k(data: bytes) -> bytes:
    """Return a codestream from SOC to EOC.

    A JP2 file around it, which some senders leave, goes, and so does whatever follows it. An EOC
    that the writer forgot is added, if all tile-parts are there.

    Raises
    ------
    CodecError
        There is no codestream, or it was cut off.
    """
    codestream = _unbox(data)
    if not codestream.startswith(_SOC_SIZ):
        raise CodecError(f"no JPEG 2000 codestream: it begins with {codestream[:4].hex(' ')!r}")
    walk = J2kWalk()
    if walk.advance(codestream):
        return codestream[: walk.position]
    if walk.parts_end and not any(codestream[walk.parts_end :]):
        return codestream[: walk.parts_end] + EOC
    raise CodecError(
        f"the JPEG 2000 codestream was cut off: there is no end of codestream (EOC) in its "
        f"{len(codestream)} bytes"
    )


def read_j2k(codestream: bytes) -> J2kHeader:
    """Return the main header of a bare codestream that has a part of every tile.

    Raises
    ------
    CodecError
        A segment is cut off, SIZ contradicts itself, components differ from each other, as none
        do in DICOM, or a tile is missing, which decoders would leave black.
    """
    segments = tuple(_main_header(codestream))
    if not segments or COD not in (marker for marker, _, _ in segments):
        raise CodecError("the main header of the JPEG 2000 codestream has no COD segment")
    if any(len(content) <= _WAVELET_IN_COD for marker, content, _ in segments if marker == COD):
        raise CodecError("COD of the JPEG 2000 codestream is cut off")
    _, size, start = segments[0]
    image, tiles = _image(size)
    _, last, after = segments[-1]
    found = set(_tile_parts(codestream, after + len(last)))
    if found != set(range(tiles)):
        raise CodecError(f"the JPEG 2000 codestream has {len(found)} tiles of {tiles}")
    return J2kHeader(image, start + _SIZE.size, segments)


class J2kWalk(MarkerWalk):
    """Finds EOC: segments and tile-parts by their lengths.

    A tile-part of unknown length, or of a wrong one, ends at the first EOC: data of packets hold
    no FF that is followed by more than 8F (B.10.1, D.4.1).

    Attributes
    ----------
    parts_end : int
        Where tile-parts end of which the lengths are right, as far as the walk has come.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parts_end = 0
        self._searches = False
        self._tile_data = 0

    def _step(self, data: bytes | bytearray) -> bool:
        if self._searches:
            return self._search(data)
        at = self.position
        if len(data) < at + 2:
            return False
        marker = int.from_bytes(data[at : at + 2], "big")
        if marker == _EOC:
            self.position += 2
            self.ended = True
        elif marker == _SOC:
            self.position += 2
        elif marker == _SOT:
            return self._pass_tile_part(data)
        elif self._tile_data or marker < 0xFF00:
            return self._search_from(self._tile_data or at)
        elif len(data) < at + 4:
            return False
        else:
            self.position += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        return True

    def _pass_tile_part(self, data: bytes | bytearray) -> bool:
        at = self.position
        if len(data) < at + _TILE_PART.size:
            return False
        self._tile_data = at + _TILE_PART.size
        length = _TILE_PART.unpack_from(data, at)[3]
        if length < _TILE_PART.size + _SOD_LENGTH:
            return self._search_from(self._tile_data)
        self.position += length
        if self.position <= len(data):
            self.parts_end = self.position
        return True

    def _search_from(self, position: int) -> bool:
        self._searches, self.position = True, position
        return True

    def _search(self, data: bytes | bytearray) -> bool:
        found = data.find(EOC, self.position)
        if found < 0:
            self.position = max(self.position, len(data) - 1)
            return False
        self.position = found + len(EOC)
        self.ended = True
        return True


def _unbox(data: bytes) -> bytes:
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


def _main_header(codestream: bytes) -> Iterator[tuple[int, bytes, int]]:
    at = 2
    while (marker := int.from_bytes(codestream[at : at + 2], "big")) != _SOT:
        end = at + 2 + int.from_bytes(codestream[at + 2 : at + 4], "big")
        if marker < 0xFF00 or not at + 4 <= end <= len(codestream):
            raise CodecError(f"no marker segment at byte {at} of the JPEG 2000 main header")
        yield marker, codestream[at + 4 : end], at + 4
        at = end


def _image(segment: bytes) -> tuple[CodestreamImage, int]:
    """Return what SIZ announces (A.5.1), and the number of tiles."""
    if len(segment) < _SIZE.size:
        raise CodecError("the JPEG 2000 codestream ends within SIZ")
    _, right, bottom, left, top, *tiling, count = _SIZE.unpack_from(segment)
    components = segment[_SIZE.size :]
    if not count or len(components) != _COMPONENT.size * count:
        raise CodecError(f"SIZ has {len(segment)} bytes and {count} components")
    if left >= right or top >= bottom:
        raise CodecError(f"the image area is from {left}, {top} to {right}, {bottom}")
    kinds = set(_COMPONENT.iter_unpack(components))
    if len(kinds) > 1:
        raise CodecError("the components differ in precision, sign or sampling")
    ((depth, *sampling),) = kinds
    if sampling != [1, 1]:
        raise CodecError(f"the components are subsampled by {sampling}")
    is_signed, precision = bool(depth & _SIGNED), (depth & ~_SIGNED) + 1
    image = CodestreamImage(bottom - top, right - left, count, precision, is_signed)
    return image, _tiles((left, right), (top, bottom), tiling)


def _tiles(across: tuple[int, int], down: tuple[int, int], tiling: list[int]) -> int:
    """Return the number of tiles. The first one holds the first pixel (B.3)."""
    tiles = 1
    for (first, last), size, start in zip((across, down), tiling[:2], tiling[2:], strict=True):
        # Of empty tiles before the image, OpenJPH makes no end.
        if not start <= first < start + size:
            raise CodecError(f"tiles of {size} pixels from {start}, where pixels begin at {first}")
        tiles *= -(-(last - start) // size)
    if tiles > _MAX_TILES:
        raise CodecError(f"{tiles} tiles, and JPEG 2000 has at most {_MAX_TILES}")
    return tiles


def _tile_parts(codestream: bytes, position: int) -> Iterator[int]:
    """Iterate over the tiles of which there is a part (A.4.2), for as long as parts add up."""
    end = len(codestream) - len(EOC)
    while position < end:
        if int.from_bytes(codestream[position : position + 2], "big") != _SOT:
            raise CodecError(f"no tile-part at byte {position} of the JPEG 2000 codestream")
        if position + _TILE_PART.size > end:
            raise CodecError("the JPEG 2000 codestream ends within a tile-part header")
        _, _, tile, length, _, _ = _TILE_PART.unpack_from(codestream, position)
        length = length or end - position
        if length < _TILE_PART.size + _SOD_LENGTH or position + length > end:
            raise CodecError(f"a part of {length} bytes of tile {tile}, at byte {position}")
        yield tile
        position += length
