"""A native frame as an array (PS3.5 §8.1.1)."""

from typing import Any, TypeAlias

import numpy as np

from pacs_core.contracts import FrameFormat
from pacs_image_export.errors import RenderError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


def array_of(data: bytes, frame: FrameFormat) -> Array:
    """Return the samples: rows, columns, and a third axis for colours.

    Bits above Bits Stored are no part of a sample; they may have held overlays.

    Raises
    ------
    RenderError
        Samples have a number of bits that arrays do not have.
    """
    shape = (frame.rows, frame.columns) + (3,) * (frame.samples_per_pixel == 3)
    if frame.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")
        return bits[: frame.rows * frame.columns].reshape(shape)
    if frame.bits_allocated not in (8, 16, 32, 64):
        raise RenderError(f"{frame.bits_allocated} bits allocated: 1, 8, 16, 32 or 64 can be read")
    kind = "i" if frame.is_signed else "u"
    samples = np.frombuffer(data, f"<{kind}{frame.bits_allocated // 8}").reshape(shape)
    above = frame.bits_allocated - frame.bits_stored
    # The second shift repeats the sign where there is one.
    return (samples << above) >> above if above else samples
