"""Unique identifiers as they come from the wire (PS3.5 §9.1)."""

import re
from functools import lru_cache
from typing import Final

MAX_UID_LENGTH: Final = 64

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")


@lru_cache(maxsize=8192)  # each UID of an object is checked where it is used, and most recur
def is_valid_uid(text: str) -> bool:
    """Tell whether `text` is safe and meaningful as a UID (PS3.5 §9.1).

    Strict on the repertoire (ASCII digits and single dots between them) and on the length (1 to 64
    characters). Leading zeros of a component, which the standard forbids, are tolerated: devices
    in the field emit them, and refusing the object loses an examination.

    Parameters
    ----------
    text : str
        The UID without padding.

    Returns
    -------
    bool
    """
    return len(text) <= MAX_UID_LENGTH and _UID.fullmatch(text) is not None
