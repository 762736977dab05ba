"""Masks that are subtracted from frames, as images and presentation states have them.

There are three places with nearly the same attributes: the Mask Module of an image (PS3.3
C.7.6.10), that of a Grayscale Softcopy Presentation State (C.11.13), and that of an XA/XRF one
(C.11.19). The first item that is for a frame counts. How much of the mask is subtracted, and how
much edges are enhanced, is in a Frame Display Sequence for ranges of frames (C.8.19.7, C.11.21).

Frames that a mask is not for are shown as they are: those out of its range, and those for which
there are not enough others (C.7.6.10.1.1).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from pacs_core.contracts import RegionShift, Subtraction
from pacs_core.dataset import ElementSet
from pacs_dicomweb.element_values import floats_of, is_for, items_of, numbers_of, text_of

MOST_MASKED: Final = 1000
"""Frames that are averaged, at most."""

_MOST_VERTICES: Final = 10_000
_NATIVE: Final = "NAT"

Shift = tuple[float, float]


@frozen
class Masks:
    """What is subtracted from the frames of an image.

    Attributes
    ----------
    uid : str
        SOP Instance UID of the image.
    frames : int
        How many it has.
    items : tuple of ElementSet
        Of the Mask Subtraction Sequence.
    displays : tuple of ElementSet
        Of the Frame Display Sequence.
    mode : str
        Recommended Viewing Mode, where no display has another.
    is_asked_for : bool
        Whether masks are subtracted whatever mode is recommended.
    only : frozenset of int
        Frames that masks are for; empty for all.
    own_shifts : tuple of ElementSet
        Per-frame functional groups, which may have the Frame Pixel Shift of an Enhanced XA image
        (C.8.19.6.4); one for each frame, or none.
    """

    uid: str
    frames: int
    items: tuple[ElementSet, ...]
    displays: tuple[ElementSet, ...] = ()
    mode: str = ""
    is_asked_for: bool = False
    only: frozenset[int] = frozenset()
    own_shifts: tuple[ElementSet, ...] = ()

    def subtractions(self, numbers: Iterable[int]) -> tuple[Subtraction, ...]:
        """Return how frames are shown; nothing if all are shown as they are."""
        found = tuple(map(self._subtraction, numbers))
        return found if any(each.is_derived for each in found) else ()

    def _subtraction(self, number: int) -> Subtraction:
        display = _display_for(self.displays, number)
        enhancement = _percentage(display, "DisplayFilterPercentage")
        mode = (display and text_of(display, "RecommendedViewingMode")) or self.mode
        item = next((each for each in self.items if self._applies(each, number)), None)
        is_native = mode == _NATIVE and not self.is_asked_for
        if item is None or is_native or self.frames < 2:
            return Subtraction((number,), enhancement=enhancement)
        contrast, mask = _pair(item, number)
        # Mask frames that are not there are an error of the image; a shifted one is a matter of
        # where the frame is in its run.
        needed = contrast if text_of(item, "MaskOperation") == "AVG_SUB" else (*contrast, *mask)
        if not mask or not all(1 <= each <= self.frames for each in needed):
            return Subtraction((number,), enhancement=enhancement)
        shift, regions = self._shifts(item, number)
        weight = 1 - _percentage(display, "MaskVisibilityPercentage") / 100
        return Subtraction(contrast, mask, shift, weight, regions, enhancement)

    def _applies(self, item: ElementSet, number: int) -> bool:
        if self.only and number not in self.only:
            return False
        ranges = numbers_of(item, "ApplicableFrameRange")
        return is_for(item, self.uid, number) and (not ranges or _range_of(ranges, number) != ())

    def _shifts(self, item: ElementSet, number: int) -> tuple[Shift, tuple[RegionShift, ...]]:
        """Return by how much the mask is moved, and parts of it (C.7.6.10.1.2, C.11.19)."""
        shift, regions = _shift_of(item), []
        identity = text_of(item, "SubtractionItemID")
        groups = self.own_shifts[number - 1 : number]
        for own in (
            each for group in groups for each in items_of(group, "FramePixelShiftSequence")
        ):
            if text_of(own, "SubtractionItemID") == identity:
                shift = _shift_of(own)
        for ranged in items_of(item, "PixelShiftSequence"):
            if not _range_of(numbers_of(ranged, "PixelShiftFrameRange"), number):
                continue
            for region in items_of(ranged, "RegionPixelShiftSequence"):
                vertices = numbers_of(region, "VerticesOfTheRegion")[: 2 * _MOST_VERTICES]
                if vertices:
                    points = tuple(zip(vertices[1::2], vertices[::2], strict=False))
                    regions.append(RegionShift(points, _shift_of(region)))
                else:
                    shift = _shift_of(region)
        return shift, tuple(regions)


def _pair(item: ElementSet, number: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the frames whose mean is shown, and those whose mean is the mask (C.7.6.10.1)."""
    averaged = min(max((*numbers_of(item, "ContrastFrameAveraging"), 1)[0], 1), MOST_MASKED)
    contrast = tuple(range(number, number + averaged))
    operation = text_of(item, "MaskOperation")
    offset = (*numbers_of(item, "TIDOffset"), 1)[0]
    if operation == "AVG_SUB":
        return contrast, numbers_of(item, "MaskFrameNumbers")[:MOST_MASKED]
    if operation == "TID":
        return contrast, (number - offset,)
    if operation == "REV_TID":  # the mask goes back as far as the frame goes forth
        first, _ = _range_of(numbers_of(item, "ApplicableFrameRange"), number) or (number, number)
        return contrast, (2 * first - number - offset,)
    return contrast, ()


def _range_of(ranges: Sequence[int], number: int) -> tuple[()] | tuple[int, int]:
    """Return the range that a frame is in, of pairs of a first and a last; nothing if in none."""
    for first, last in zip(ranges[::2], ranges[1::2], strict=False):
        if first <= number <= last:
            return first, last
    return ()


def _display_for(displays: Iterable[ElementSet], number: int) -> ElementSet | None:
    for each in displays:
        trim = (*numbers_of(each, "StartTrim")[:1], *numbers_of(each, "StopTrim")[:1])
        if _range_of(trim, number):
            return each
    return None


def _shift_of(item: ElementSet) -> Shift:
    down, right = (*floats_of(item, "MaskSubPixelShift"), 0.0, 0.0)[:2]
    return down, right


def _percentage(item: ElementSet | None, keyword: str) -> float:
    found = floats_of(item, keyword) if item is not None else ()
    return min(max((*found, 0.0)[0], 0.0), 100.0)


def own_masks(header: ElementSet, uid: str, frames: int) -> Masks:
    """Return the masks that an image has itself (C.7.6.10), as somebody asks for them.

    Parameters
    ----------
    header : ElementSet
    uid : str
    frames : int
    """
    return Masks(
        uid,
        frames,
        items_of(header, "MaskSubtractionSequence"),
        items_of(header, "FrameDisplaySequence"),
        is_asked_for=True,
        own_shifts=items_of(header, "PerFrameFunctionalGroupsSequence"),
    )
