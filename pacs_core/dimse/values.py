"""Values of command elements to bytes and back, a pair of functions for each VR (PS3.5 §6.2).

Decoders get the value field with its padding and return None for an empty value. Both directions
raise ValueError for what the VR does not permit.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from pacs_core.dataset.uid import MAX_UID_LENGTH, is_valid_uid

MAX_AE_LENGTH: Final = 16
MAX_COMMENT_LENGTH: Final = 64

_US: Final = Struct("<H")
_AE: Final = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x5b\x5d-\x7e]")


@lru_cache(maxsize=1024)
def decode_ui(raw: bytes) -> str | None:
    """Decode one UID; trailing NUL padding goes, a NUL within does not pass (PS3.5 §9.4)."""
    if len(raw) > MAX_UID_LENGTH + 1:  # before the cache may keep it
        raise ValueError("a UID of more than 64 characters (PS3.5 §9.1)")
    # Space padding is an error of old devices that costs nothing to forgive.
    text = raw.rstrip(b"\0 ").decode("ascii")
    if not text:
        return None
    if not is_valid_uid(text):
        raise ValueError("not a UID of digits and dots, at most 64 characters (PS3.5 §9.1)")
    return text


@lru_cache(maxsize=1024)
def encode_ui(uid: str) -> bytes:
    """Encode one UID, padded with NUL to even length (PS3.5 §9.4)."""
    if not is_valid_uid(uid):
        raise ValueError(f"{uid!r} is not a UID of digits and dots, at most 64 characters")
    raw = uid.encode("ascii")
    return raw if len(raw) % 2 == 0 else raw + b"\0"


def decode_us(raw: bytes) -> int | None:
    """Decode one unsigned 16-bit number."""
    if not raw:
        return None
    if len(raw) != _US.size:
        raise ValueError(f"{len(raw)} bytes where an unsigned 16-bit number has 2")
    return int.from_bytes(raw, "little")


def encode_us(number: int) -> bytes:
    """Encode one unsigned 16-bit number."""
    if not 0 <= number <= 0xFFFF:
        raise ValueError(f"{number} does not fit an unsigned 16-bit number")
    return _US.pack(number)


def decode_ae(raw: bytes) -> str | None:
    """Decode one application entity title; surrounding spaces do not count (PS3.5 §6.2)."""
    text = raw.rstrip(b"\0").decode("ascii").strip(" ")
    if not text:
        return None
    if not _AE.fullmatch(text):
        raise ValueError("not an AE title of at most 16 printable characters (PS3.5 §6.2)")
    return text


def encode_ae(title: str) -> bytes:
    """Encode one application entity title, padded with a space to even length."""
    if not _AE.fullmatch(title) or not title.strip(" "):
        raise ValueError(f"{title!r} is not an AE title of at most 16 printable characters")
    return _pad_to_even(title)


def decode_lo(raw: bytes) -> str | None:
    """Decode a comment; what is not printable ASCII shows as ``?``, so that logs stay sane."""
    return _printable(raw.rstrip(b"\0 ").decode("latin-1"))[:MAX_COMMENT_LENGTH].strip(" ") or None


def encode_lo(comment: str) -> bytes:
    """Encode a comment in at most 64 characters of the default repertoire (PS3.7 §E.1)."""
    return _pad_to_even(_printable(comment)[:MAX_COMMENT_LENGTH])


def decode_at(raw: bytes) -> tuple[int, ...]:
    """Decode attribute tags, group in the upper 16 bits."""
    if len(raw) % 4:
        raise ValueError(f"{len(raw)} bytes where attribute tags have 4 each")
    words = Struct(f"<{len(raw) // 2}H").unpack(raw)
    return tuple(
        group << 16 | element for group, element in zip(words[::2], words[1::2], strict=True)
    )


def encode_at(tags: tuple[int, ...]) -> bytes:
    """Encode attribute tags, group first."""
    return b"".join(encode_us(tag >> 16) + encode_us(tag & 0xFFFF) for tag in tags)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)


def _pad_to_even(text: str) -> bytes:
    raw = text.encode("ascii")
    return raw if len(raw) % 2 == 0 else raw + b" "


DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "AE": decode_ae,
    "AT": decode_at,
    "LO": decode_lo,
    "UI": decode_ui,
    "US": decode_us,
}

ENCODERS: Final[dict[str, Callable[[Any], bytes]]] = {
    "AE": encode_ae,
    "AT": encode_at,
    "LO": encode_lo,
    "UI": encode_ui,
    "US": encode_us,
}
