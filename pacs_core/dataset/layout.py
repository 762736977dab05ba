"""Layout of element headers on the wire (PS3.5 §7.1, §7.5).

A VR that the standard does not know is read as UN. Two capital letters may be a VR of the future,
which has a length of 32 bits after two reserved bytes (PS3.5 §6.2, note; Table 7.1-1). Where those
are not zero, or the letters are none ("??", two spaces), the length has 16 bits: that is what
writes such things. What is not printable is no VR at all, but the length of an element that was
written without one.
"""

from collections.abc import Callable
from functools import cache
from struct import Struct
from typing import TypeAlias

from attrs import frozen

from pacs_core.dataset.transfer_syntax import Encoding

# Theory of operation
#
# The functions that read headers are made by a function for each encoding, with the `Struct` of its
# byte order in a closure: there is no look-up and no branch for it on the way of an element. They
# return plain tuples, and take the buffer and a position instead of a slice, which would be a copy
# or another view.
#
# All of them return None, or raise, before they look at a byte that is not there; eight bytes must
# be there, the length of the shortest header. What a header claims is not judged here: whether a
# length fits into what it is in, only the walk knows.
#
# What an unknown value representation means is decided in one place (`_read_unknown`), by all
# readers alike, or the scan on arrival would accept what a conversion then cannot read.

Buffer: TypeAlias = bytes | memoryview
Header: TypeAlias = tuple[int, str, int, int]
"""Tag, value representation ("" if implicit), where the value starts, its length."""

UNDEFINED_LENGTH = 0xFFFF_FFFF
ITEM = 0xFFFE_E000
ITEM_DELIMITATION = 0xFFFE_E00D
SEQUENCE_DELIMITATION = 0xFFFE_E0DD
ITEM_TAGS = frozenset({ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION})
FOREIGN_GROUPS = frozenset({0x0000, 0x0002})
"""Groups of command sets and File Meta Information: never in a dataset, and skipped there."""

MAX_DEPTH = 1024
"""How deeply sequences may nest."""

BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
WIDE_VRS = BULK_VRS | {"SQ", "SV", "UC", "UR", "UT", "UV"}
"""Those with a 32-bit length field after two reserved bytes (PS3.5 Table 7.1-1)."""

NARROW_VRS = frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905
)
NARROW_CODES = {vr.encode(): vr for vr in NARROW_VRS}
"""Those with a 16-bit length field, by what the wire has."""

_FORMS = {vr.encode(): (vr, vr in WIDE_VRS) for vr in WIDE_VRS | NARROW_VRS}


def shown(tag: int) -> str:
    """Return a tag as the standard prints it: (0010,0020)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


@frozen
class Layout:
    """Readers of the headers of one encoding.

    Attributes
    ----------
    read_header : callable
        ``(buffer, position, base)`` to the element's `Header`, or None if its 12 bytes are not
        all there. At least 8 must be. `base` is the buffer's offset in the dataset, for errors.
    read_item : callable
        ``(buffer, position)`` to tag and length of an item or delimitation item.
    unpack_narrow : callable
        ``(buffer, position)`` to group, element, code of the VR, and length if that has 16 bits.
    unpack_bare : callable
        ``(buffer, position)`` to group, element and length of what has no VR.
    unpack_length : callable
        ``(buffer, position)`` to a length of 32 bits, alone in a tuple.
    """

    explicit: bool
    little_endian: bool
    read_header: Callable[[Buffer, int, int], Header | None]
    read_item: Callable[[Buffer, int], tuple[int, int]]
    unpack_narrow: Callable[[Buffer, int], tuple[int, int, bytes, int]]
    unpack_bare: Callable[[Buffer, int], tuple[int, int, int]]
    unpack_length: Callable[[Buffer, int], tuple[int]]


def layout_of(encoding: Encoding) -> Layout:
    """Return the layout of an encoding; deflation and encapsulation do not matter here."""
    return _layout(encoding.explicit, encoding.little_endian)


@cache
def _layout(explicit: bool, little_endian: bool) -> Layout:
    order = "<" if little_endian else ">"
    header = _explicit_header(order) if explicit else _implicit_header(order)
    unpackers = (Struct(order + form).unpack_from for form in ("HH2sH", "HHI", "I"))
    return Layout(explicit, little_endian, header, _item_reader(order), *unpackers)


def _explicit_header(order: str) -> Callable[[Buffer, int, int], Header | None]:
    unpack = Struct(order + "HH2sH").unpack_from
    unpack_tag = Struct(order + "HH").unpack_from
    unpack_length = Struct(order + "I").unpack_from
    forms = _FORMS.get

    def read(buffer: Buffer, position: int, base: int) -> Header | None:
        group, element, code, length = unpack(buffer, position)
        form = forms(code)
        if form is None:
            return _read_unknown(buffer, position, group << 16 | element, code, length)
        vr, wide = form
        if not wide:
            return group << 16 | element, vr, position + 8, length
        if len(buffer) < position + 12:
            return None
        return group << 16 | element, vr, position + 12, unpack_length(buffer, position + 8)[0]

    def _read_unknown(
        buffer: Buffer, position: int, tag: int, code: bytes, length: int
    ) -> Header | None:
        start = position + 8
        if tag >= ITEM:
            # Delimitation items have no VR, so this may be one (PS3.5 §7.5).
            return tag, "", start, unpack_length(buffer, position + 4)[0]
        if not (tag or length or any(code)):
            return 0, "UN", start, 0
        capitals = code.isalpha() and code.isupper()
        printable = all(0x20 <= byte < 0x7F for byte in code)
        if not (capitals or code == b"\0\0" or printable):
            return tag, "UN", start, unpack_length(buffer, position + 4)[0]
        if length:
            return tag, "UN", start, length
        if len(buffer) < position + 12:
            return None
        group, element = unpack_tag(buffer, start)
        if not capitals and element and group << 16 | element > tag:
            # The next element begins here: this one has a length of 16 bits, which is 0.
            return tag, "UN", start, 0
        return tag, "UN", position + 12, unpack_length(buffer, start)[0]

    return read


def _implicit_header(order: str) -> Callable[[Buffer, int, int], Header | None]:
    unpack = Struct(order + "HHI").unpack_from

    def read(buffer: Buffer, position: int, base: int) -> Header | None:
        group, element, length = unpack(buffer, position)
        return group << 16 | element, "", position + 8, length

    return read


def _item_reader(order: str) -> Callable[[Buffer, int], tuple[int, int]]:
    unpack = Struct(order + "HHI").unpack_from

    def read(buffer: Buffer, position: int) -> tuple[int, int]:
        group, element, length = unpack(buffer, position)
        return group << 16 | element, length

    return read


IMPLICIT = layout_of(Encoding(explicit=False))
_EXPLICIT = layout_of(Encoding())


def read_foreign(layout: Layout, buffer: Buffer, position: int, header: Header) -> Header | None:
    """Return the header of an element of `FOREIGN_GROUPS`, as what it was copied from writes it.

    File Meta Information is in explicit VR little endian (PS3.10 §7.1), whatever it is found in.
    """
    if (
        header[0] >> 16
        and layout == IMPLICIT
        and bytes(buffer[position + 4 : position + 6]) in _FORMS
    ):
        return _EXPLICIT.read_header(buffer, position, 0)
    return header


def read_last_header(layout: Layout, buffer: Buffer, position: int, left: int) -> Header | None:
    """Return the header of an element of which fewer than 12 bytes can be there; None if cut.

    What follows is not looked at, as it is of something else: an end, as far as this knows.
    """
    alone = bytes(buffer[position : position + 8]) + _AFTER
    header = layout.read_header(alone, 0, 0)
    if header is None or header[2] > left:
        return None
    tag, vr, start, length = header
    return tag, vr, position + start, length


# A sequence delimiter, which no reader takes for a part of the header before it.
_AFTER = b"\xfe\xff\xdd\xe0"


def begins_with_vr(dataset: Buffer) -> bool:
    """Tell whether the first element has a VR of the standard where explicit encodings have it."""
    return bytes(dataset[4:6]) in _FORMS


def begins_with_item(layout: Layout, buffer: Buffer, start: int) -> bool:
    """Tell whether a value, of which eight bytes are there, can be that of a sequence."""
    tag, length = layout.read_item(buffer, start)
    return tag in ITEM_TAGS or not (tag or length)


def is_padding(rest: Buffer, after_pixel_data: bool) -> bool:
    """Tell whether what follows the last element, too short to be one, is padding.

    Two zeros begin no element of a dataset. One may: (6000,3000) begins with a zero, but nothing
    does that follows Pixel Data.
    """
    return not any(rest) and (len(rest) > 1 or after_pixel_data)
