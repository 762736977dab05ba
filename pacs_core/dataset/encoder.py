"""Encodes attributes as elements in ascending order of tags (PS3.5 §7.1)."""

from functools import lru_cache
from struct import Struct, error

from attrs import frozen

from pacs_core.dataset.dictionary import may_be_signed, vr_of
from pacs_core.dataset.errors import UnencodableValue
from pacs_core.dataset.layout import BULK_VRS, ITEM, WIDE_VRS, shown
from pacs_core.dataset.model import Attributes, Value
from pacs_core.dataset.transfer_syntax import Encoding
from pacs_core.dataset.values import Encoder, value_encoder

# Theory of operation
#
# All that can be known of an element without its value is prepared once per tag and form, as a
# `_Plan`: the header, the width of the length, the function that encodes. Encoding an element is
# then three appends. The cache holds more plans than archives have attributes in use.
#
# Lengths are explicit throughout: the size of an item is known once it is encoded, and peers that
# mishandle undefined length are not rare.
#
# An attribute of "US or SS" is tried as US, and as SS if that fails. Pixel Representation would
# tell, but for an item it stands outside of that; the values are enough, since only a negative one
# cannot be US, and what fits both is the same bytes in both.

_FAILURES = (ValueError, TypeError, AttributeError, error)


@frozen
class _Plan:
    """How to write one attribute: its header up to the length, the length, the value."""

    nests: bool
    prefix: bytes
    length: Struct
    encode: Encoder


class DatasetEncoder:
    """Encodes in one encoding and character set.

    Parameters
    ----------
    encoding : Encoding
        Layout of the elements; deflation is left to the caller.
    character_sets : tuple of str
        The values of Specific Character Set.
    """

    def __init__(self, encoding: Encoding, character_sets: tuple[str, ...]) -> None:
        self._form = (encoding.explicit, encoding.little_endian)
        self._item = Struct("<HHI" if encoding.little_endian else ">HHI")
        self._character_sets = character_sets

    def encode(self, attributes: Attributes) -> bytes:
        """Encode a dataset or item; raises `UnencodableValue`."""
        out: list[bytes] = []
        for tag in sorted(attributes):
            values = attributes[tag]
            try:
                self._append(out, tag, values, signed=False)
            except _FAILURES as failure:
                self._append_signed(out, tag, values, failure)
        return b"".join(out)

    def _append(self, out: list[bytes], tag: int, values: tuple[Value, ...], signed: bool) -> None:
        nested = bool(values) and not isinstance(values[0], str)
        plan = _plan(tag, nested, signed, *self._form)
        raw = self._items(values) if plan.nests else plan.encode(values, self._character_sets)  # type: ignore[arg-type]
        out += (plan.prefix, plan.length.pack(len(raw)), raw)

    def _append_signed(
        self, out: list[bytes], tag: int, values: tuple[Value, ...], failure: Exception
    ) -> None:
        """A negative value of an attribute that is "US or SS" is SS; all else has failed."""
        try:
            if not may_be_signed(tag):
                raise failure
            self._append(out, tag, values, signed=True)
        except _FAILURES as final:
            raise UnencodableValue(f"{shown(tag)} cannot be encoded: {final}") from final

    def _items(self, items: tuple[Value, ...]) -> bytes:
        # Only what the program or the depth-capped parser built gets here, so recursion is safe.
        out: list[bytes] = []
        for item in items:
            raw = self.encode(item)  # type: ignore[arg-type]
            out += (self._item.pack(ITEM >> 16, ITEM & 0xFFFF, len(raw)), raw)
        return b"".join(out)


@lru_cache(maxsize=8192)
def _plan(tag: int, nested: bool, signed: bool, explicit: bool, little_endian: bool) -> _Plan:
    vr = "SS" if signed else vr_of(tag)
    if vr == "UN":
        vr = "SQ" if nested else "LO"
    order = "<" if little_endian else ">"
    prefix = Struct(order + "HH").pack(tag >> 16, tag & 0xFFFF)
    narrow = explicit and vr not in WIDE_VRS
    if explicit:
        prefix += vr.encode() + (b"" if narrow else b"\0\0")
    length = Struct(order + ("H" if narrow else "I"))
    unfit = vr in BULK_VRS or nested != (vr == "SQ")
    nests = nested and vr == "SQ"
    return _Plan(
        nests, prefix, length, _only_empty(vr) if unfit else value_encoder(vr, little_endian)
    )


def _only_empty(vr: str) -> Encoder:
    def encode(values: tuple[str, ...], character_sets: tuple[str, ...]) -> bytes:
        if values:
            raise UnencodableValue(f"VR {vr} takes no such value")
        return b""

    return encode
