"""Targets of a scan: which tags it passes over, looks at, or decodes the values of."""

from functools import lru_cache
from typing import Final

from pacs_core.dataset.dictionary import sequence_tags, vr_of
from pacs_core.dataset.layout import NARROW_VRS
from pacs_core.dataset.model import PIXEL_DATA_TAGS, SPECIFIC_CHARACTER_SET
from pacs_core.dataset.speedups import HeaderWalk, header_walk

LATE: Final = min(PIXEL_DATA_TAGS)
"""From this tag on elements are looked at one by one."""

PASSED: Final = ""
LOOKED_AT: Final = "SQ"
WIDE: Final = "UN"
_MOST_KINDS: Final = 4096


class ScanTargets:
    """What to do with each tag, for a set of wanted ones.

    Attributes
    ----------
    collected : frozenset of int
        What is wanted, and Specific Character Set.
    last : int
        The last of the wanted tags: nothing follows Pixel Data.
    kinds : dict
        Of tags that were met before. Data that are looked at with each element are to be few: those
        of all sequences would not be in the processor's cache when the next instance comes.
    """

    __slots__ = ("_sequences", "_walk", "_wanted", "collected", "kinds", "last")

    def __init__(self, wanted: frozenset[int]) -> None:
        self.collected = wanted | {SPECIFIC_CHARACTER_SET}
        # Wanting Pixel Data, or what comes after it, would otherwise mean never to be done.
        self.last = min(max(wanted, default=0), LATE - 1)
        self.kinds: dict[int, str] = {}
        self._wanted = wanted
        self._sequences = sequence_tags()
        self._walk: HeaderWalk | None = None

    @property
    def walk(self) -> HeaderWalk | None:
        """The walk in C for these targets; None where the one in Python is used."""
        if self._walk is None and (make := header_walk().maker) is not None:
            wanted = {tag: self.kind(tag) for tag in self.collected if tag > 0}
            self._walk = make(wanted, self._sequences, self.last)
        return self._walk

    def kind(self, tag: int) -> str:
        """Return `PASSED`, `LOOKED_AT`, or of a plain value that is wanted its VR in PS3.6."""
        kind = PASSED
        if tag == SPECIFIC_CHARACTER_SET or tag in self._sequences:
            kind = LOOKED_AT
        elif tag in self._wanted:
            vr = vr_of(tag)
            kind = vr if vr in NARROW_VRS else WIDE
        # Peers choose tags: private ones by the million must not fill the memory.
        if len(self.kinds) >= _MOST_KINDS:
            self.kinds.clear()
        self.kinds[tag] = kind
        return kind


targets_for = lru_cache(maxsize=64)(ScanTargets)
"""The targets for a set of wanted tags: the same for all instances, so they are made once."""
