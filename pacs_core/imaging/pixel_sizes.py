"""How high pixels are by their width (PS3.3 C.7.6.3.1.7, C.10.4)."""

from collections.abc import Iterator
from math import inf
from typing import Final

from pacs_core.dataset import ElementSet, tag_of

_MOST_UNEQUAL: Final = 50
"""Times that a pixel may be longer than wide; more cannot be meant."""

_OWN: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_RATIO: Final = "PixelAspectRatio"


def pixel_aspect(elements: ElementSet, frame: int) -> float:
    """Return the height of a pixel of a frame by its width; 1 if nothing says it.

    A spacing goes before Pixel Aspect Ratio, which is for images that have none (PS3.3 Table
    C.7-11c); that of the frame's functional groups goes before that of the image (C.7.6.16.2.1).
    """
    for measures in _pixel_measures(elements, frame):
        if aspect := aspect_of(measures, "PixelSpacing"):
            return aspect
    return aspect_of(elements, *_OWN, _RATIO) or 1.0


def aspect_of(elements: ElementSet, *keywords: str) -> float:
    """Return what the first attribute says that is a pair of sizes, vertical first; 0 if none is.

    One that cannot be meant is as good as none.
    """
    for keyword in keywords:
        try:
            high, wide = map(float, elements.texts(tag_of(keyword)))
        except ValueError:  # not two, or no numbers
            continue
        if 0 < high <= _MOST_UNEQUAL * wide and 0 < wide <= _MOST_UNEQUAL * high < inf:
            return high / wide
    return 0.0


def _pixel_measures(elements: ElementSet, frame: int) -> Iterator[ElementSet]:
    for sequence, item in (
        ("PerFrameFunctionalGroupsSequence", frame - 1),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        for group in elements.items(tag_of(sequence))[item : item + 1]:
            yield from group.items(tag_of("PixelMeasuresSequence"))[:1]
