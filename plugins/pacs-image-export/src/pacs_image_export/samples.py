"""A native frame as an array (PS3.5 §8.1.1)."""

from typing import Any, TypeAlias

import numpy as np
from attrs import frozen

from pacs_core.contracts import FrameFormat
from pacs_image_export.errors import RenderError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def array_of(data: bytes, frame: FrameFormat) -> Array:
    """Return the samples: rows, columns, and a third axis for colours.

    Bits above Bits Stored are no part of a sample; they may have held overlays.

    Raises
    ------
    RenderError
        Samples have a number of bits that arrays do not have.
    """
    if frame.bits_allocated == 1:
        return cells_of(data, frame)
    cells = cells_of(data, frame)
    above = frame.bits_allocated - frame.bits_stored
    # The second shift repeats the sign where there is one.
    return (cells << above) >> above if above else cells


def cells_of(data: bytes, frame: FrameFormat) -> Array:
    """Return the samples with all bits that are allocated to them.

    Raises
    ------
    RenderError
        That is a number of bits that arrays do not have.
    """
    shape = (frame.rows, frame.columns) + (3,) * (frame.samples_per_pixel == 3)
    if frame.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")
        return bits[: frame.rows * frame.columns].reshape(shape)
    if frame.bits_allocated not in (8, 16, 32, 64):
        raise RenderError(f"{frame.bits_allocated} bits allocated: 1, 8, 16, 32 or 64 can be read")
    kind = "i" if frame.is_signed else "u"
    return np.frombuffer(data, f"<{kind}{frame.bits_allocated // 8}").reshape(shape)


@frozen(eq=False)
class Levels:
    """The different values of a frame: what is done to each is done once.

    Attributes
    ----------
    values : array
        Ascending; all that Bits Stored allows if that are few, else those that occur.
    positions : array
        Of each sample's value among them.
    low, high : int
        The lowest and the highest value that Bits Stored allows.
    """

    values: Array
    positions: Array
    low: int
    high: int

    def of(self, results: Array) -> Array:
        """Return what has become of the values, for each sample."""
        found: Array = results[self.positions]
        return found

    def occur(self) -> Array:
        """Return for each of the values whether a sample has it."""
        found = np.zeros(len(self.values), bool)
        found[self.positions] = True
        return found


_FEW_BITS = 16


def levels_of(samples: Array, frame: FrameFormat) -> Levels:
    """Return the values of a frame with one sample for each pixel."""
    # A single bit has no sign, whatever Pixel Representation says.
    is_signed = frame.is_signed and frame.bits_allocated > 1
    low = -(1 << (frame.bits_stored - 1)) if is_signed else 0
    high = low + (1 << frame.bits_stored) - 1
    if frame.bits_stored > _FEW_BITS:
        values, positions = np.unique(samples, return_inverse=True)
        return Levels(values, positions.reshape(samples.shape), low, high)
    positions = (samples.astype("i4") - low).astype("u2")
    return Levels(np.arange(low, high + 1), positions, low, high)
