"""How element headers are laid out on the wire (PS3.5 §7.1, §7.5)."""

from collections.abc import Callable
from functools import cache
from struct import Struct
from typing import TypeAlias

from attrs import frozen

from pacs_core.dataset.errors import MalformedDataset
from pacs_core.dataset.transfer_syntax import Encoding

Buffer: TypeAlias = bytes | memoryview
Header: TypeAlias = tuple[int, str, int, int]
"""Tag, value representation ("" if implicit), where the value starts, its length."""

UNDEFINED_LENGTH = 0xFFFF_FFFF
ITEM = 0xFFFE_E000
ITEM_DELIMITATION = 0xFFFE_E00D
SEQUENCE_DELIMITATION = 0xFFFE_E0DD
FOREIGN_GROUPS = frozenset({0x0000, 0x0002, 0xFFFE})
"""Groups of command sets, File Meta Information and delimitation: never in a dataset."""

BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
WIDE_VRS = BULK_VRS | {"SQ", "SV", "UC", "UR", "UT", "UV"}
"""Those with a 32-bit length field after two reserved bytes (PS3.5 Table 7.1-1)."""

NARROW_VRS = frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905
)
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
    """

    explicit: bool
    little_endian: bool
    read_header: Callable[[Buffer, int, int], Header | None]
    read_item: Callable[[Buffer, int], tuple[int, int]]


def layout_of(encoding: Encoding) -> Layout:
    """Return the layout of an encoding; deflation and encapsulation do not matter here."""
    return _layout(encoding.explicit, encoding.little_endian)


@cache
def _layout(explicit: bool, little_endian: bool) -> Layout:
    order = "<" if little_endian else ">"
    header = _explicit_header(order) if explicit else _implicit_header(order)
    return Layout(explicit, little_endian, header, _item_reader(order))


def _explicit_header(order: str) -> Callable[[Buffer, int, int], Header | None]:
    unpack = Struct(order + "HH2sH").unpack_from
    unpack_length = Struct(order + "I").unpack_from
    forms = _FORMS.get

    def read(buffer: Buffer, position: int, base: int) -> Header | None:
        group, element, code, length = unpack(buffer, position)
        form = forms(code)
        if form is None:
            # Delimitation items have no VR, so this may be one (PS3.5 §7.5).
            return _delimiter(buffer, position, base, group << 16 | element)
        vr, wide = form
        if not wide:
            return group << 16 | element, vr, position + 8, length
        if len(buffer) < position + 12:
            return None
        return group << 16 | element, vr, position + 12, unpack_length(buffer, position + 8)[0]

    def _delimiter(buffer: Buffer, position: int, base: int, tag: int) -> Header:
        if tag < 0xFFFE_0000:
            code = bytes(buffer[position + 4 : position + 6])
            what = f"{shown(tag)} has the unknown VR {code!r}"
            raise MalformedDataset(what, base + position)
        return tag, "", position + 8, unpack_length(buffer, position + 4)[0]

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


IMPLICIT = _layout(explicit=False, little_endian=True)
