"""Encapsulated Pixel Data within sequences, such as icons (PS3.3 F.7, C.7.6.1.1.6).

They are in the transfer syntax of the dataset, but it is the image that gets another one: what is
left inside would be encapsulated in a native dataset, or JPEG in one of JPEG 2000. So each item
with such pixels is replaced, and the sequences around it get undefined length. Wherever it is: in
an Icon Image Sequence (0088,0200), in a private sequence, in sequences of sequences.
"""

from collections.abc import Callable
from struct import Struct
from typing import Final

from attrs import define, field

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    MalformedDataset,
    element_header,
    encoding_of,
)
from pacs_core.dataset.layout import IMPLICIT, layout_of

# Theory of operation
#
# Most headers hold no nested pixels, and walking all sequences of each would cost more than the
# conversion of a small image. So the bytes are first searched for how such an element begins. What
# is found may be a coincidence within a value; then the walk finds nothing, and nothing changes.
#
# Items are replaced from the inside out. Whatever contains a replaced item changes its length, so
# that it and its sequence get undefined length: that needs no second pass to know the lengths.

Replace = Callable[[bytes, int], bytes | None]
"""Takes the elements of an item, and the tag of its sequence; returns what takes their place."""

MAX_DEPTH: Final = 64
"""Sequences in sequences, below which nobody keeps an icon."""

_PIXEL_DATA: Final = 0x7FE0_0010
_SIGNS: Final = tuple(b"\xe0\x7f\x10\0" + vr + b"\0\0\xff\xff\xff\xff" for vr in (b"OB", b"OW"))
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_UNDEFINED: Final = 0xFFFF_FFFF
_EXPLICIT: Final = layout_of(encoding_of(EXPLICIT_VR_LITTLE_ENDIAN))
_TAG, _LENGTH32 = Struct("<HH"), Struct("<I")


def may_hold_nested_pixels(data: bytes) -> bool:
    """Return whether there may be encapsulated Pixel Data in a sequence of these elements."""
    return any(sign in data for sign in _SIGNS)


def replace_nested_pixels(header: bytes, replace: Replace) -> bytes:
    """Return elements with items replaced that have encapsulated Pixel Data.

    Parameters
    ----------
    header : bytes
        Top-level elements in explicit VR little endian, up to Pixel Data.
    replace : callable
        Returns None to leave out the sequence that the item is in.

    Raises
    ------
    MalformedDataset
        Sequences do not add up, or nest deeper than `MAX_DEPTH` with such an item in them.
    """
    return _Rewriter(header, replace).dataset(0, len(header), 0)[1]


@define
class _Rewriter:
    data: bytes
    replace: Replace
    implicit: bool = field(default=False)

    def dataset(self, position: int, end: int, depth: int) -> tuple[int, bytes, bool]:
        """Return where elements end, what becomes of them, and whether they have such pixels."""
        out: list[bytes] = []
        mark, has_pixels = position, False
        while end - position >= 8:
            tag, vr, start, length = self._header(position)
            if tag == _ITEM_END:
                break
            if length == _UNDEFINED and vr in {b"OB", b"OW"}:
                has_pixels |= depth > 0 and tag == _PIXEL_DATA
                position = self._fragments(start, end)
            elif length == _UNDEFINED or (
                vr == b"SQ"
                and any(self.data.find(sign, start, start + length) >= 0 for sign in _SIGNS)
            ):
                limit = end if length == _UNDEFINED else start + length
                after, changed = self._sequence(tag, vr, start, limit, depth)
                if changed is not None:
                    out += [self.data[mark:position], changed]
                    mark = after
                position = after
            else:
                position = start + length
        out.append(self.data[mark:position])
        return position, b"".join(out), has_pixels

    def _sequence(
        self, tag: int, vr: bytes, position: int, end: int, depth: int
    ) -> tuple[int, bytes | None]:
        """Return where a sequence ends, and its replacement; None if nothing changes."""
        if depth >= MAX_DEPTH:
            what = f"sequences with Pixel Data in them nest deeper than {MAX_DEPTH}"
            raise MalformedDataset(what, position)
        # A UN of undefined length is a sequence in implicit VR, whatever is around it
        # (PS3.5 §6.2.2), and so is all that is in it.
        was_implicit, self.implicit = self.implicit, self.implicit or vr == b"UN"
        items, changed, dropped = [], False, False
        while end - position >= 8:
            item, length = self._item(position)
            position += 8
            if item == _SEQUENCE_END:
                break
            if item != _ITEM:
                continue
            limit = min(end, end if length == _UNDEFINED else position + length)
            after, content, has_pixels = self.dataset(position, limit, depth + 1)
            if has_pixels:
                replaced = self.replace(content, tag)
                dropped |= replaced is None
                content = content if replaced is None else replaced
            changed |= content != self.data[position:after]
            items.append(content)
            position = after + 8 if length == _UNDEFINED else limit
        self.implicit = was_implicit
        if dropped:
            return position, b""
        return position, _write_sequence(tag, items) if changed else None

    def _fragments(self, position: int, end: int) -> int:
        while end - position >= 8:
            item, length = self._item(position)
            position += 8
            if item == _SEQUENCE_END:
                break
            position += length
        return position

    def _item(self, position: int) -> tuple[int, int]:
        group, element = _TAG.unpack_from(self.data, position)
        return group << 16 | element, _LENGTH32.unpack_from(self.data, position + 4)[0]

    def _header(self, position: int) -> tuple[int, bytes, int, int]:
        """Return tag, VR, where the value begins, and its length (PS3.5 §7.1)."""
        header = (IMPLICIT if self.implicit else _EXPLICIT).read_header(self.data, position, 0)
        if header is None:
            raise MalformedDataset("truncated: an element's header is incomplete", position)
        tag, vr, start, length = header
        return tag, vr.encode(), start, length


def _write_sequence(tag: int, items: list[bytes]) -> bytes:
    parts = [element_header(tag, "SQ", _UNDEFINED, EXPLICIT_VR_LITTLE_ENDIAN)]
    for content in items:
        parts += [_delimiter(_ITEM, _UNDEFINED), content, _delimiter(_ITEM_END, 0)]
    return b"".join([*parts, _delimiter(_SEQUENCE_END, 0)])


def _delimiter(tag: int, length: int) -> bytes:
    return _TAG.pack(tag >> 16, tag & 0xFFFF) + _LENGTH32.pack(length)
