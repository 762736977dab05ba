"""Subtraction of masks, as digital subtraction angiography has it (PS3.3 C.7.6.10, PS3.4 N.2).

Edges are enhanced after it: what a pixel has more than the mean around it is added once more in the
strongest case, which Display Filter Percentage leaves to the application (C.8.19.7).

It stands between the Modality LUT and the values of interest: what is subtracted is what the
Modality LUT makes of frames, which for X-Ray images is proportional to the logarithm of the
intensity. The difference has a sign: 0 is where mask and contrast frames are the same.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from attrs import frozen

from pacs_core.api.conversion import StoredFrame
from pacs_core.contracts import Subtraction
from pacs_image_export.attributes import FrameAttributes
from pacs_image_export.errors import RenderError
from pacs_image_export.grey import modality_of
from pacs_image_export.samples import Array, array_of, levels_of
from pacs_image_export.shutters import within_vertices


@frozen(eq=False)
class Derived:
    """What is shown instead of a frame's own values.

    Attributes
    ----------
    values : array
        In units of the Modality LUT's output.
    is_difference : bool
        Whether they have a sign, and 0 is in their middle.
    """

    values: Array
    is_difference: bool


def derive(frames: Mapping[int, StoredFrame], subtraction: Subtraction) -> Derived:
    """Return what a subtraction makes of frames.

    Parameters
    ----------
    frames : mapping of int to StoredFrame
        By their numbers.
    subtraction : Subtraction

    Raises
    ------
    RenderError
        A frame is not there, or the image is in colour.
    """
    values = _mean(frames, subtraction.contrast)
    if subtraction.mask:
        mask = _mean(frames, subtraction.mask)
        moved = _shift(mask, subtraction.shift)
        for region in subtraction.regions:
            within = within_vertices(region.points, (mask.shape[0], mask.shape[1]))
            moved[within] = _shift(mask, region.shift)[within]
        values -= subtraction.weight * moved
    if subtraction.enhancement:
        values += subtraction.enhancement / 100 * (values - _blur(values))
    return Derived(values, bool(subtraction.mask))


def _mean(frames: Mapping[int, StoredFrame], numbers: Iterable[int]) -> Array:
    total, count = None, 0
    for number in numbers:
        if (frame := frames.get(number)) is None:
            raise RenderError(f"frame {number}, which a mask is about, is not there")
        values = _values(frame)
        total = values if total is None else total + values
        count += 1
    if total is None:
        raise RenderError("there are no frames to subtract from")
    return total / count


def _values(frame: StoredFrame) -> Array:
    form = frame.format
    if form.samples_per_pixel != 1 or form.photometric_interpretation == "PALETTE COLOR":
        raise RenderError("masks are for grey images: this one is in colour")
    levels = levels_of(array_of(frame.data, form), form)
    modality = modality_of(FrameAttributes(frame), form, for_display=True)
    return levels.of(modality(levels.values).astype("f8"))


def _shift(values: Array, shift: tuple[float, float]) -> Array:
    down, right = shift
    return _move(_move(values, down, 0), right, 1)


def _blur(values: Array) -> Array:
    """Return the mean of each pixel and the eight around it; the edge is repeated outside."""
    padded = np.pad(values, 1, mode="edge")
    rows, columns = values.shape
    total = np.zeros_like(values)
    for down in range(3):
        for right in range(3):
            total += padded[down : down + rows, right : right + columns]
    return total / 9


def _move(values: Array, by: float, axis: int) -> Array:
    """Return values moved along an axis, between pixels too; what comes in repeats the edge."""
    last = values.shape[axis] - 1
    at = np.clip(np.arange(last + 1) - by, 0, last)
    before = np.floor(at).astype("i8")
    part = (at - before).reshape((-1, 1) if axis == 0 else (1, -1))
    after = np.minimum(before + 1, last)
    moved: Array = values.take(before, axis) * (1 - part) + values.take(after, axis) * part
    return moved
