"""Makes encapsulated Pixel Data of codestreams, one fragment for each (PS3.5 A.4)."""

from collections.abc import Sequence
from itertools import accumulate
from struct import Struct, pack

from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.samples import Buffer

EXTENDED_OFFSET_TABLE = 0x7FE0_0001
EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE0_0002
SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)
"""The Sequence Delimitation Item that follows the last frame."""

_MAX_LENGTH = 0xFFFF_FFFE
_PIXEL_DATA = pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", 0xFFFF_FFFF)
_ITEM = Struct("<HHI")


def encapsulate(lengths: Sequence[int]) -> bytes:
    """Return what precedes the frames: the header of Pixel Data and the Basic Offset Table.

    Parameters
    ----------
    lengths : sequence of int
        Of all frames, in bytes, without padding.

    Returns
    -------
    bytes
        Explicit VR little endian. The table is empty where its 32 bits do not suffice, and
        `extended_offset_table` says it instead.
    """
    offsets = _offsets(lengths)
    table = b"" if needs_extended_offset_table(lengths) else pack(f"<{len(offsets)}I", *offsets)
    return _PIXEL_DATA + _ITEM.pack(0xFFFE, 0xE000, len(table)) + table


def frame_item(frame: Buffer) -> tuple[bytes, Buffer, bytes]:
    """Return a frame as a fragment: item header, the frame itself, padding to even length.

    Raises
    ------
    ImageError
        The frame is empty, or longer than one fragment can be.
    """
    length = len(frame)
    if not 0 < length <= _MAX_LENGTH:
        raise ImageError(f"a frame of {length} bytes does not fit in a fragment")
    return _ITEM.pack(0xFFFE, 0xE000, length + length % 2), frame, bytes(length % 2)


def needs_extended_offset_table(lengths: Sequence[int]) -> bool:
    """Return whether offsets of these frames exceed 32 bits (PS3.3 C.7.6.3.1.8)."""
    return sum(map(_item_length, lengths)) > _MAX_LENGTH


def extended_offset_table(lengths: Sequence[int]) -> dict[int, tuple[str, bytes]]:
    """Return the Extended Offset Table and its Lengths, by tag: VR and little endian value.

    Empty unless the Basic Offset Table does not suffice: both at once are not allowed
    (PS3.3 C.7.6.3.1.8). The Lengths are without padding.
    """
    if not needs_extended_offset_table(lengths):
        return {}
    form = f"<{len(lengths)}Q"
    return {
        EXTENDED_OFFSET_TABLE: ("OV", pack(form, *_offsets(lengths))),
        EXTENDED_OFFSET_TABLE_LENGTHS: ("OV", pack(form, *lengths)),
    }


def encapsulated_length(lengths: Sequence[int]) -> int:
    """Return how many bytes Pixel Data takes with these frames, from its header to its end."""
    return len(encapsulate(lengths)) + sum(map(_item_length, lengths)) + len(SEQUENCE_END)


def _item_length(length: int) -> int:
    return _ITEM.size + length + length % 2


def _offsets(lengths: Sequence[int]) -> list[int]:
    return list(accumulate(map(_item_length, lengths[:-1]), initial=0))
