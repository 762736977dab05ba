"""Choices of a site about its archive."""

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

CharacterSetOf: TypeAlias = Callable[[str], tuple[str, ...]]
"""The Specific Character Set that is assumed of datasets of an AE title, where they do not say."""


def no_character_set(_ae_title: str) -> tuple[str, ...]:
    """Assume nothing."""
    return ()


FLUSH_INTERVAL = 1.0
"""Seconds between two flushes of what is written behind."""

FLUSH_BYTES = 64 << 20
"""Bytes of objects, written behind, that are flushed before the time."""


class DuplicatePolicy(Enum):
    """What happens to an instance whose UID is taken by other content.

    The same content is always acknowledged without being written again. Under no policy is
    other content lost without a trace: what is replaced is replaced on purpose and audited.
    """

    KEEP_FIRST = "keep-first"
    """The first stays the one that is served; the newcomer is kept durably beside it."""
    REPLACE = "replace"
    """The newcomer is served from now on, the former object is deleted."""
    REJECT = "reject"
    """The newcomer is refused."""


class VerifyReads(Enum):
    """Which reads are checked against the digest of what was stored."""

    OFF = "off"
    """None; only that the object has its size."""
    SAMPLED = "sampled"
    """One of sixteen, by chance."""
    ALWAYS = "always"
    """Each: what is damaged is not handed out."""
