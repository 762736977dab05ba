"""Text that PostgreSQL cannot hold: U+0000, and lone surrogates.

U+0000 becomes U+0001 U+0001, and U+0001 becomes U+0001 U+0002. That can be undone, and keeps the
order of texts, and which of them begin with which. Lone surrogates become U+FFFD.
"""

from typing import Any, Final

from pacs_core.relational import representable

LONGEST: Final = 2000
"""Bytes of a value in an index, whose entries have 2,700 at most; longer ones have another."""
LONGEST_KEY: Final = 500
"""Characters of a Patient ID, and of its issuer, that tell patients apart."""


def encode(text: str) -> str:
    """Return text as it is stored."""
    if "\x00" in text or "\x01" in text:
        text = text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
    return text if text.isascii() else representable(text)


def decode(value: Any) -> Any:
    """Return text as it was, and all else as it is."""
    if isinstance(value, str) and "\x01" in value:
        return value.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01")
    return value


def bound(value: Any) -> Any:
    """Return a parameter as the driver takes it."""
    if isinstance(value, str):
        return encode(value)
    if isinstance(value, list | tuple):
        return [bound(each) for each in value]
    return value
