"""JPEG 2000 of images with a side below 32, which the encoder refuses.

It always decomposes five times, and insists that this is possible. So the image is doubled as
often as need be, such that each decomposition undoes one doubling and finds no detail; then the
resolutions without detail are cut off, as the format allows: what is left is the codestream of
the image, with fewer decompositions.
"""

import struct
from typing import Final

import numpy as np

from pacs_codec_basic.checks import MAX_SIDE
from pacs_codec_basic.samples import Samples
from pacs_core.contracts import CodecError

LEVELS: Final = 5
MIN_SIDE: Final = 1 << LEVELS

_SOC: Final = b"\xff\x4f"
_SIZ, _COD, _QCD, _SOT, _PLT, _SOD = 0xFF51, 0xFF52, 0xFF5C, 0xFF90, 0xFF58, 0xFF93
_EOC: Final = b"\xff\xd9"
_SEGMENT: Final = struct.Struct(">HH")
_TILE_PART: Final = struct.Struct(">HHHLBB")
_LEVELS_IN_COD: Final = 9
"""Where the number of decompositions is: marker, length, style, and order, layers, transform."""
_IMAGE_IN_SIZ, _TILE_IN_SIZ = slice(6, 14), slice(22, 30)


def doublings(rows: int, columns: int) -> int:
    """Return how often an image must be doubled.

    Raises
    ------
    CodecError
        The other side would be longer than an image may be.
    """
    times = 0
    while min(rows, columns) << times < MIN_SIDE:
        times += 1
    if max(rows, columns) << times > MAX_SIDE:
        raise CodecError(
            f"an image of {rows} rows and {columns} columns is too narrow for the JPEG 2000 "
            f"encoder: with a side of {min(rows, columns)}, the other has at most "
            f"{MAX_SIDE >> times}"
        )
    return times


def double(image: Samples, times: int) -> Samples:
    """Return the image of twice the size, `times` over, that one decomposition takes back.

    Parameters
    ----------
    image : array of shape (rows, columns, components)
    times : int
    """
    wide = image.astype(np.int32)
    for _ in range(times):
        wide = _double_along(_double_along(wide, 1), 0)
    return wide.astype(image.dtype)


def _double_along(image: Samples, axis: int) -> Samples:
    """Put what the reversible 5-3 filter predicts (ISO/IEC 15444-1 §F.3.8) between samples."""
    lines = np.moveaxis(image, axis, 0)
    following = np.concatenate([lines[1:], lines[-1:]])
    between = (lines + following) >> 1
    pairs = np.stack([lines, between], axis=1).reshape(-1, *lines.shape[1:])
    return np.moveaxis(pairs, 0, axis)


def cut(codestream: bytes, rows: int, columns: int, components: int) -> bytes:
    """Return the codestream of an image from that of the image doubled.

    Parameters
    ----------
    codestream : bytes
        As the encoder writes it: one tile, one layer, one precinct, resolution by resolution,
        with the lengths of its packets (PLT).
    rows, columns, components : int
        Of the image itself.
    """
    levels = LEVELS - doublings(rows, columns)
    header, position = [_SOC], len(_SOC)
    while _SEGMENT.unpack_from(codestream, position)[0] != _SOT:
        marker, length = _SEGMENT.unpack_from(codestream, position)
        segment = codestream[position : position + 2 + length]
        header.append(_main_segment(marker, segment, rows, columns, levels))
        position += len(segment)
    packets = _packets(codestream, position + _TILE_PART.size, (levels + 1) * components)
    size = _TILE_PART.size + 2 + len(packets)
    tile = _TILE_PART.pack(_SOT, _TILE_PART.size - 2, 0, size, 0, 1) + _SOD.to_bytes(2, "big")
    return b"".join([*header, tile, packets, _EOC])


def _main_segment(marker: int, segment: bytes, rows: int, columns: int, levels: int) -> bytes:
    if marker == _SIZ:
        changed = bytearray(segment)
        changed[_IMAGE_IN_SIZ] = changed[_TILE_IN_SIZ] = struct.pack(">2L", columns, rows)
        return bytes(changed)
    if marker == _COD:
        return segment[:_LEVELS_IN_COD] + bytes([levels]) + segment[_LEVELS_IN_COD + 1 :]
    if marker == _QCD:  # style, then an exponent for each subband, the lowest first
        exponents = segment[4 : 5 + 3 * levels + 1]
        return _SEGMENT.pack(_QCD, 2 + len(exponents)) + exponents
    return segment


def _packets(codestream: bytes, position: int, count: int) -> bytes:
    """Return the first packets, which hold the lowest resolutions."""
    marker, length = _SEGMENT.unpack_from(codestream, position)
    if marker != _PLT:
        raise CodecError("the JPEG 2000 encoder wrote no packet lengths")
    lengths = _lengths(codestream[position + 5 : position + 2 + length])
    start = position + 2 + length
    if codestream[start : start + 2] != _SOD.to_bytes(2, "big") or len(lengths) < count:
        raise CodecError("the JPEG 2000 encoder wrote another codestream than is known of it")
    return codestream[start + 2 : start + 2 + sum(lengths[:count])]


def _lengths(encoded: bytes) -> list[int]:
    """Return numbers of seven bits to a byte, of which all but the last have the eighth set."""
    lengths, value = [], 0
    for byte in encoded:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            lengths.append(value)
            value = 0
    return lengths
