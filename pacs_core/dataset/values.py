"""The value of one element: bytes to the value model and back (PS3.5 §6.2)."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from struct import Struct, error
from typing import TypeAlias

from pacs_core.dataset.charset import decode_text, encode_text
from pacs_core.dataset.errors import UnencodableValue

# Theory of operation
#
# A value is text to everybody above: numbers are written as decimals, tags as hexadecimals, so that
# conditions, an index and JSON need not know how each VR lies in bytes. Bulk data and sequences
# never come here.
#
# Decoding takes what there is: bytes that fill no number are dropped, padding of either kind is
# removed wherever it may be. Encoding is the opposite: it refuses what is no number, because nobody
# could tell later what was meant.
#
# Most values of a header were met before, in the instance before: `decode_short` remembers them, by
# their bytes. Long ones are seldom repeated, and would fill the memory.

_FORMATS = {
    "FD": "d",
    "FL": "f",
    "SL": "i",
    "SS": "h",
    "SV": "q",
    "UL": "I",
    "US": "H",
    "UV": "Q",
}
_NUMBERS = {
    little_endian: {vr: Struct(order + form) for vr, form in _FORMATS.items()}
    for little_endian, order in ((True, "<"), (False, ">"))
}
_TAGS = {True: Struct("<HH"), False: Struct(">HH")}
_UNSPLIT = frozenset({"LT", "ST", "UR", "UT"})
_LEADING_PADDING = frozenset({"AE", "CS", "DS", "IS", "LO", "SH"})
_PADDING = " \0"

Encoder: TypeAlias = Callable[[tuple[str, ...], tuple[str, ...]], bytes]


SHORT_VALUE = 128
"""Bytes up to which decoded values are remembered: most headers repeat what others said."""


@lru_cache(maxsize=16384)
def decode_short(
    vr: str, raw: bytes, little_endian: bool, character_sets: tuple[str, ...]
) -> tuple[str, ...]:
    """Do the same as :func:`decode_value`, faster for values that were met before.

    What has more than `SHORT_VALUE` bytes is not for here: it would be kept.
    """
    return decode_value(vr, raw, little_endian, character_sets)


def decode_value(
    vr: str, raw: bytes | memoryview, little_endian: bool, character_sets: tuple[str, ...]
) -> tuple[str, ...]:
    """Decode a value that is neither a sequence nor bulk data.

    Trailing padding is removed; leading spaces too where PS3.5 §6.2 calls them insignificant (AE,
    CS, DS, IS, LO, SH). Bytes that do not fill a number are ignored.
    """
    number = _NUMBERS[little_endian].get(vr)
    if number is not None:
        whole = len(raw) - len(raw) % number.size
        return tuple([str(value) for (value,) in number.iter_unpack(raw[:whole])])
    if vr == "AT":
        pairs = _TAGS[little_endian].iter_unpack(raw[: len(raw) - len(raw) % 4])
        return tuple([f"{group:04X}{element:04X}" for group, element in pairs])
    return _split(vr, decode_text(raw, vr, character_sets))


def _split(vr: str, text: str) -> tuple[str, ...]:
    text = text.rstrip(_PADDING)
    if vr in _LEADING_PADDING:
        text = text.lstrip(" ")
    if not text:
        return ()
    if "\\" not in text or vr in _UNSPLIT:
        return (text,)
    strip = str.strip if vr in _LEADING_PADDING else str.rstrip
    return tuple([strip(part, _PADDING) for part in text.split("\\")])


def encode_value(vr: str, values: tuple[str, ...], character_sets: tuple[str, ...]) -> bytes:
    """Encode a value that is neither a sequence nor bulk data, little endian and padded.

    Raises
    ------
    UnencodableValue
        Text is no number where one is due.
    """
    return value_encoder(vr, True)(values, character_sets)


def value_encoder(vr: str, little_endian: bool) -> Encoder:
    """Return the function from values and character sets to bytes of even length.

    The function raises `UnencodableValue` for text that is no number where one is due.
    """
    if vr in _FORMATS:
        return _number_encoder(vr, _NUMBERS[little_endian][vr])
    if vr == "AT":
        return _tag_encoder(_TAGS[little_endian])
    pad = b"\0" if vr == "UI" else b" "  # PS3.5 §6.2

    def encode(values: tuple[str, ...], character_sets: tuple[str, ...]) -> bytes:
        text = values[0] if len(values) == 1 else "\\".join(values)
        raw = encode_text(text, vr, character_sets)
        return raw + pad if len(raw) & 1 else raw

    return encode


def _number_encoder(vr: str, number: Struct) -> Encoder:
    parse: Callable[[str], float] = float if vr in {"FD", "FL"} else int

    def encode(values: tuple[str, ...], character_sets: tuple[str, ...]) -> bytes:
        try:
            return b"".join([number.pack(parse(value)) for value in values])
        except (ValueError, OverflowError, error) as failure:
            raise UnencodableValue(f"{_shown(values)} is no {vr}, {_due(vr, number)}") from failure

    return encode


def _due(vr: str, number: Struct) -> str:
    if vr in {"FD", "FL"}:
        return "a number"
    is_signed, bits = vr.startswith("S"), 8 * number.size
    lowest, highest = -is_signed << (bits - 1), (1 << (bits - is_signed)) - 1
    return f"a whole number from {lowest} to {highest}"


def _tag_encoder(pair: Struct) -> Encoder:
    def encode(values: tuple[str, ...], character_sets: tuple[str, ...]) -> bytes:
        try:
            tags = [int(value, 16) for value in values]
            return b"".join([pair.pack(tag >> 16, tag & 0xFFFF) for tag in tags])
        except (ValueError, error) as failure:
            raise UnencodableValue(f"{_shown(values)} is no AT: {failure}") from failure

    return encode


def _shown(values: Iterable[str]) -> str:
    return repr("\\".join(values))[:80]
