"""Comments in compressed frames, overwritten: they are no pixels, and may be anything."""

from typing import Final

# Theory of operation
#
# Codestreams of the JPEG family have segments for whatever a program wants to say (COM), and for
# what cameras know: when, where, whose (APP1, APP13). No decoder needs them, so that their bytes
# become zeros; their lengths stay, and with them offset tables. What decoders may need stays: JFIF
# (APP0), ICC profiles (APP2), the colour transforms of JPEG-LS (APP8) and of Adobe (APP14).

_JPEG: Final = b"\xff\xd8"
_COMMENTS_OF_JPEG: Final = frozenset({0xFE, *range(0xE0, 0xF0)} - {0xE0, 0xE2, 0xE8, 0xEE})
_END_OF_JPEG_HEADER: Final = frozenset({0xDA, 0xD9})
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_J2K: Final = b"\xff\x4f"
_COMMENT_OF_J2K: Final = 0x64
_END_OF_J2K_HEADER: Final = frozenset({0x90, 0x93, 0xD9})


def blank_comments(fragment: bytearray) -> None:
    """Overwrite the comments at the beginning of a fragment, if it begins a frame.

    Parameters
    ----------
    fragment : bytearray
        Its beginning suffices: comments stand before what is coded.
    """
    start = bytes(fragment[:2])
    if start == _JPEG:
        _blank(fragment, _COMMENTS_OF_JPEG, _END_OF_JPEG_HEADER, 4)
    elif start == _J2K:
        # Registration of the comment (Rcom) is of two bytes (ISO/IEC 15444-1 A.9.2).
        _blank(fragment, frozenset({_COMMENT_OF_J2K}), _END_OF_J2K_HEADER, 6)


def _blank(data: bytearray, comments: frozenset[int], ends: frozenset[int], head: int) -> None:
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in ends:
            return
        if marker == 0xFF:  # fill bytes (ISO/IEC 10918-1 B.1.1.2)
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker in comments:
            last = min(end, len(data))
            data[position + head : last] = bytes(max(last - position - head, 0))
        if end <= position + 2:
            return
        position = end
