"""Plain elements, which are taken without being looked at one by one, where that is done in C.

`ElementReader` says what is plain. Where the distribution pacs-speedups is installed, elements are
taken by it, and whole sequences too; without it the reader takes fewer, itself.
"""

from functools import cache
from typing import Final

from pacs_core.dataset.data_elements import DataElement, ElementSet
from pacs_core.dataset.dictionary import vrs_of
from pacs_core.dataset.speedups import PlainElements, plain_elements

_MOST: Final = 8192

known_vrs: dict[int, str] = {}
"""VRs of standard elements that were met without one, where nothing else has a say."""


@cache
def plain_taker() -> PlainElements | None:
    """Return what takes plain elements in C; None if nothing does."""
    maker = plain_elements().maker
    return None if maker is None else maker(DataElement, ElementSet)


def remember_vr(tag: int, vr: str) -> None:
    """Note the VR of an element that was sent without one."""
    # Peers choose tags: unknown ones by the million must not fill the memory.
    if tag not in known_vrs and len(known_vrs) < _MOST and len(vrs_of(tag)) == 1:
        known_vrs[tag] = vr
