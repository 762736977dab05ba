"""The value model that index, query and identifiers share.

An attribute is keyed by its tag as an integer, 0xGGGGEEEE. Its values are text, decoded to Unicode
and without padding; numbers are text as well (AT: eight hexadecimal digits). An attribute without
a value has the empty tuple. Items of a sequence are attributes again. Bulk values (OB, OD, OF, OL,
OV, OW, UN) are not represented.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import frozen

Value: TypeAlias = "str | Attributes"
Attributes: TypeAlias = Mapping[int, tuple[Value, ...]]
MutableAttributes: TypeAlias = dict[int, tuple[Value, ...]]

SPECIFIC_CHARACTER_SET = 0x0008_0005
PIXEL_DATA_TAGS = frozenset({0x7FE0_0008, 0x7FE0_0009, 0x7FE0_0010})


@frozen
class PixelDataElement:
    """The header of the Pixel Data, Float Pixel Data or Double Float Pixel Data of a dataset.

    Attributes
    ----------
    tag : int
    vr : str
        As sent; OW, OF or OD where none is sent.
    length : int or None
        Bytes of the value; None if it is encapsulated (PS3.5 A.4).
    """

    tag: int
    vr: str
    length: int | None


def texts(attributes: Attributes, tag: int) -> tuple[str, ...]:
    """Return the textual values of one attribute; none when it is absent or a sequence."""
    return tuple(value for value in attributes.get(tag, ()) if isinstance(value, str))


def items(attributes: Attributes, tag: int) -> tuple[Attributes, ...]:
    """Return the items of one sequence; none when it is absent or not a sequence."""
    return tuple(value for value in attributes.get(tag, ()) if not isinstance(value, str))
