"""Datasets written by keyword, bulk data included, and their encoding (PS3.5 §7)."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from struct import pack
from typing import TypeAlias

from pacs_core.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    encode_attributes,
    encoding_of,
    tag_of,
    vr_of,
)

Given: TypeAlias = "str | bytes | Sequence[str] | Sequence[Mapping[str, Given]]"
"""A value as tests write it: one text, several, items keyed by keyword, or bulk data."""

Values: TypeAlias = Mapping[str, Given]
"""A dataset as tests write it: values by keyword."""

_ITEM = 0xFFFE_E000
_WORDS = frozenset({tag_of("PixelData"), tag_of("WaveformData")})
"""Of those that may be OB or OW, these are OW here (PS3.5 §8.1.2, PS3.5 §8.3)."""


def attributes_of(values: Values) -> Attributes:
    """Return values by tag, as a parser would; bulk data is left out."""
    return {
        tag_of(keyword): _plain(value)
        for keyword, value in values.items()
        if not isinstance(value, bytes)
    }


def _plain(value: Given) -> tuple[str | Attributes, ...]:
    if isinstance(value, str | bytes):
        return (str(value),) if value else ()
    return tuple(each if isinstance(each, str) else attributes_of(each) for each in value)


def encode_values(values: Values, transfer_syntax_uid: str, character_set: Iterable[str]) -> bytes:
    """Return a dataset, encoded.

    Parameters
    ----------
    values : Values
        Bulk data is in little endian byte order, 16-bit words where its VR is OW.
    transfer_syntax_uid : str
        One with native pixel data.
    character_set : iterable of str
        Specific Character Set (0008,0005) of the texts; empty for the default repertoire.

    Raises
    ------
    UnencodableValue
        A value does not fit its VR.
    """
    if transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        plain = encode_values(values, EXPLICIT_VR_LITTLE_ENDIAN, character_set)
        return deflate.compress(plain) + deflate.flush()
    return _Encoder(transfer_syntax_uid, tuple(character_set)).dataset(values)


class _Encoder:
    """Puts together what the kernel's encoder makes of each attribute, and bulk data."""

    def __init__(self, transfer_syntax_uid: str, character_set: tuple[str, ...]) -> None:
        self._syntax = transfer_syntax_uid
        self._character_set = character_set
        self._encoding = encoding_of(transfer_syntax_uid)
        self._order = "<" if self._encoding.little_endian else ">"
        self._declaration = encode_attributes({}, transfer_syntax_uid, character_set)

    def dataset(self, values: Values) -> bytes:
        return self._declaration + self._elements(values)

    def _elements(self, values: Values) -> bytes:
        tagged = sorted((tag_of(keyword), value) for keyword, value in values.items())
        return b"".join(self._element(tag, value) for tag, value in tagged)

    def _element(self, tag: int, value: Given) -> bytes:
        if isinstance(value, bytes):
            vr = "OW" if tag in _WORDS else vr_of(tag)
            padded = value + bytes(len(value) % 2)
            if vr == "OW" and self._order == ">":
                padded = b"".join(padded[at : at + 2][::-1] for at in range(0, len(padded), 2))
            return self._long_element(tag, vr, padded)
        if vr_of(tag) == "SQ":
            items = [self._elements(item) for item in value if not isinstance(item, str)]
            encoded = b"".join(self._header(_ITEM, len(item)) + item for item in items)
            return self._long_element(tag, "SQ", encoded)
        whole = encode_attributes({tag: _plain(value)}, self._syntax, self._character_set)
        return whole[len(self._declaration) :]

    def _long_element(self, tag: int, vr: str, value: bytes) -> bytes:
        if not self._encoding.explicit:
            return self._header(tag, len(value)) + value
        prefix = pack(f"{self._order}HH2sxx", tag >> 16, tag & 0xFFFF, vr.encode())
        return prefix + pack(f"{self._order}I", len(value)) + value

    def _header(self, tag: int, length: int) -> bytes:
        return pack(f"{self._order}HHI", tag >> 16, tag & 0xFFFF, length)
