"""Headers of elements and items, written in any encoding (PS3.5 §7.1, §7.5)."""

from struct import Struct

from pacs_core.dataset.errors import UnencodableValue
from pacs_core.dataset.layout import NARROW_VRS, WIDE_VRS, shown
from pacs_core.dataset.transfer_syntax import Encoding, encoding_of

LONGEST_NARROW = 0xFFFE
"""The most bytes that a length field of 16 bits can tell, as lengths are even."""


class HeaderWriter:
    """Writes headers in one encoding; deflation is left to the caller."""

    def __init__(self, encoding: Encoding) -> None:
        order = "<" if encoding.little_endian else ">"
        self._explicit = encoding.explicit
        self._bare = Struct(order + "HHI").pack
        self._narrow = Struct(order + "HH2sH").pack
        self._wide = Struct(order + "HH2sxxI").pack

    def item(self, tag: int, length: int) -> bytes:
        """Write what has no VR in any encoding: items and delimitation items."""
        return self._bare(tag >> 16, tag & 0xFFFF, length)

    def element(self, tag: int, vr: str, length: int) -> bytes:
        """Write an element's header; the length must fit the VR."""
        if not self._explicit:
            return self._bare(tag >> 16, tag & 0xFFFF, length)
        pack = self._wide if vr in WIDE_VRS else self._narrow
        return pack(tag >> 16, tag & 0xFFFF, vr.encode(), length)


def element_header(tag: int, vr: str, length: int, transfer_syntax_uid: str) -> bytes:
    """Encode the header of one element.

    Parameters
    ----------
    tag : int
    vr : str
        Its value representation, of which an implicit encoding writes nothing.
    length : int
        Bytes of the value, even; 0xFFFFFFFF where a delimitation item ends it.
    transfer_syntax_uid : str
        How the dataset is encoded; deflation is left to the caller.

    Raises
    ------
    UnencodableValue
        If there is no such VR, or its length field cannot tell this length.
    """
    if vr not in WIDE_VRS and vr not in NARROW_VRS:
        raise UnencodableValue(f"{shown(tag)}: there is no VR {vr!r}")
    if length > (LONGEST_NARROW if vr in NARROW_VRS else 0xFFFF_FFFF) or length < 0:
        raise UnencodableValue(f"{shown(tag)}: VR {vr} cannot have {length} bytes")
    return HeaderWriter(encoding_of(transfer_syntax_uid)).element(tag, vr, length)
