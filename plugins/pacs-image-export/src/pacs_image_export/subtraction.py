"""Subtraction of masks, as digital subtraction angiography has it (PS3.3 C.7.6.10, PS3.4 N.2).

It stands between the Modality LUT and the values of interest: what is subtracted is what the
Modality LUT makes of frames, which for X-Ray images is proportional to the logarithm of the
intensity. The difference has a sign: 0 is where mask and contrast frames are the same.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from pacs_core.api.conversion import StoredFrame
from pacs_core.contracts import Subtraction
from pacs_image_export.attributes import FrameAttributes
from pacs_image_export.errors import RenderError
from pacs_image_export.grey import modality_of
from pacs_image_export.samples import Array, array_of, levels_of


def subtract(frames: Mapping[int, StoredFrame], subtraction: Subtraction) -> Array:
    """Return the difference, in units of the Modality LUT's output.

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
    difference = _mean(frames, subtraction.contrast)
    if subtraction.mask:
        down, right = subtraction.shift
        mask = _move(_move(_mean(frames, subtraction.mask), down, 0), right, 1)
        difference -= mask
    return difference


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


def _move(values: Array, by: float, axis: int) -> Array:
    """Return values moved along an axis, between pixels too; what comes in repeats the edge."""
    last = values.shape[axis] - 1
    at = np.clip(np.arange(last + 1) - by, 0, last)
    before = np.floor(at).astype("i8")
    part = (at - before).reshape((-1, 1) if axis == 0 else (1, -1))
    after = np.minimum(before + 1, last)
    moved: Array = values.take(before, axis) * (1 - part) + values.take(after, axis) * part
    return moved
