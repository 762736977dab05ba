"""Native frames as arrays, and back, exactly.

Codestreams carry Bits Stored as their precision. Most know only unsigned samples: then a signed
one is its two's complement pattern of so many bits, and its sign is extended after decoding.
"""

from typing import Any, TypeAlias

import numpy as np

from pacs_core.contracts import FrameFormat

Samples: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def shape_of(frame: FrameFormat) -> tuple[int, ...]:
    """Return the shape of a frame's array: rows, columns, and samples if there are several."""
    colour = () if frame.samples_per_pixel == 1 else (frame.samples_per_pixel,)
    return (frame.rows, frame.columns, *colour)


def samples_of(data: bytes, frame: FrameFormat) -> Samples:
    """Return a native frame as an array of the type that it declares, without a copy."""
    kind = "i" if frame.is_signed else "u"
    return np.frombuffer(data, f"<{kind}{frame.bits_allocated // 8}").reshape(shape_of(frame))


def precision_of(samples: Samples, frame: FrameFormat) -> int:
    """Return how many bits the samples need: Bits Stored, or all if there are stray ones above.

    Overlays were once stored in the bits above Bits Stored (PS3.5 §8.1.2, retired).
    """
    stored, allocated = frame.bits_stored, frame.bits_allocated
    if stored == allocated:
        return allocated
    low, high = (-1 << (stored - 1), 1 << (stored - 1)) if frame.is_signed else (0, 1 << stored)
    return stored if samples.min() >= low and samples.max() < high else allocated


def narrow(samples: Samples, precision: int) -> Samples:
    """Return the samples in as many bytes as `precision` needs."""
    kind, width = samples.dtype.kind, 1 if precision <= 8 else 2
    container: Samples = samples.astype(f"<{kind}{width}", copy=False)
    return container


def patterns(samples: Samples, precision: int) -> Samples:
    """Return the lowest `precision` bits of the samples, as unsigned samples."""
    container = narrow(samples, precision)
    bits: Samples = container.view(f"<u{container.itemsize}")
    if samples.dtype.kind == "i" and precision < 8 * container.itemsize:
        bits = bits & bits.dtype.type((1 << precision) - 1)
    return bits


def to_native(decoded: Samples, precision: int, frame: FrameFormat) -> bytes:
    """Return a decoded array as a native frame.

    Parameters
    ----------
    decoded : array
        Signed or unsigned, as the library found it.
    precision : int
        Bits of a sample in the codestream; in a signed frame the uppermost is the sign.
    frame : FrameFormat
        Whether samples are signed is for the dataset to say.
    """
    allocated = frame.bits_allocated
    wide = decoded.astype(f"<u{allocated // 8}", copy=False)
    spare = allocated - precision
    if spare and frame.is_signed and decoded.dtype.kind == "u":
        wide = (wide << spare).view(f"<i{allocated // 8}") >> spare
    elif spare and not frame.is_signed and decoded.dtype.kind == "i":
        wide = wide & wide.dtype.type((1 << precision) - 1)
    return wide.tobytes()
