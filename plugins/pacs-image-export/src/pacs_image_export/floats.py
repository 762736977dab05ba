"""Floating point pixels, as parametric maps have them (PS3.3 C.7.6.24, C.7.6.25)."""

import numpy as np

from pacs_core.api.conversion import StoredFrame
from pacs_core.dataset import tag_of
from pacs_image_export.attributes import FrameAttributes, raw_value
from pacs_image_export.errors import RenderError
from pacs_image_export.grey import modality_of
from pacs_image_export.samples import Array
from pacs_image_export.subtraction import Derived

_PADDING = {
    32: ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    64: ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}


def float_values(frame: StoredFrame) -> Derived:
    """Return what is shown of a frame whose samples are floats.

    Padding, and what is not finite, becomes the lowest of the other values, so that it neither
    widens the window nor stands out.

    Raises
    ------
    RenderError
        They are no floats.
    """
    form = frame.format
    if form.bits_allocated not in _PADDING or form.samples_per_pixel != 1:
        raise RenderError(
            f"{form.samples_per_pixel} x {form.bits_allocated} bits are no floating point pixel"
        )
    attributes = FrameAttributes(frame)
    stored = np.frombuffer(frame.data, f"<f{form.bits_allocated // 8}")
    stored = stored.reshape(form.rows, form.columns)
    is_value = np.isfinite(stored) & ~_is_padding(stored, attributes)
    with np.errstate(all="ignore"):
        values = modality_of(attributes, form)(stored.astype("f8"))
    is_value &= np.isfinite(values)
    lowest = values[is_value].min() if is_value.any() else 0.0
    return Derived(np.where(is_value, values, lowest), is_difference=False)


def _is_padding(stored: Array, attributes: FrameAttributes) -> Array:
    """Return which samples are padding (PS3.3 C.7.6.24.1.1)."""
    ends = [
        np.frombuffer(raw[: stored.itemsize], stored.dtype)[0]
        for keyword in _PADDING[8 * stored.itemsize]
        if len(raw := raw_value(attributes.dataset(), tag_of(keyword))) >= stored.itemsize
    ]
    if not ends:
        return np.zeros(stored.shape, bool)
    padding: Array = (stored >= min(ends)) & (stored <= max(ends))
    return padding
