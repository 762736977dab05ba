"""The header of an RLE frame (PS3.5 §G.5), read and checked before anything is expanded."""

import struct
from typing import Final

from pacs_core.contracts import CodecError

HEADER_LENGTH: Final = 64
MAX_SEGMENTS: Final = 15
MAX_EXPANSION: Final = 64
"""Two bytes may stand for 128 (PS3.5 §G.3.2)."""

_HEADER: Final = struct.Struct("<16L")


def segment_offsets(codestream: bytes, segments: int) -> tuple[int, ...]:
    """Return where the segments begin.

    Parameters
    ----------
    codestream : bytes
    segments : int
        How many there must be: one for each byte of a pixel.

    Raises
    ------
    CodecError
        The header is cut off, announces another number of segments, or offsets that are out of
        order or of range.
    """
    if len(codestream) < HEADER_LENGTH:
        raise CodecError(f"an RLE header has {HEADER_LENGTH} bytes, and here are {len(codestream)}")
    count, *offsets = _HEADER.unpack_from(codestream)
    if count != segments:
        raise CodecError(f"the RLE header announces {count} segments instead of {segments}")
    used = tuple(offsets[:segments])
    if used[0] != HEADER_LENGTH:
        raise CodecError(f"the first RLE segment begins at {used[0]}, not at {HEADER_LENGTH}")
    ends = (*used[1:], len(codestream))
    for number, (start, end) in enumerate(zip(used, ends, strict=True), 1):
        if start >= end:
            raise CodecError(f"RLE segment {number} is from {start} to {end}")
    return used


def require_plausible(codestream: bytes, offsets: tuple[int, ...], segment_size: int) -> None:
    """Refuse segments too short to hold what they must, before memory is asked for.

    Raises
    ------
    CodecError
        Says which segment it is.
    """
    ends = (*offsets[1:], len(codestream))
    for number, (start, end) in enumerate(zip(offsets, ends, strict=True), 1):
        if (end - start) * MAX_EXPANSION < segment_size:
            raise CodecError(
                f"RLE segment {number} of {end - start} bytes cannot hold {segment_size}"
            )
