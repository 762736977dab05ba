"""Names of users and tokens, as they are compared."""

import unicodedata
from typing import Final

MAX_NAME: Final = 64


def is_name(text: str) -> bool:
    """Tell whether a text can be a name: printable, no colon (RFC 7617), no space at its ends."""
    return (
        0 < len(text) <= MAX_NAME
        and text.isprintable()
        and ":" not in text
        and text == text.strip()
        and len(key_of(text)) <= 4 * MAX_NAME
    )


def key_of(name: str) -> str:
    """Return what is equal for names that people take for one (RFC 8265 §3.3)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
