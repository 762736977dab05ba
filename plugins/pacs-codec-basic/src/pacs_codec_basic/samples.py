"""Samples between their container in DICOM and the one that a library wants, exactly."""

from typing import Any, TypeAlias

import numpy as np

from pacs_core.contracts import FrameFormat

Samples: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


def width_of(precision: int) -> int:
    """Return in how many bytes the libraries keep a sample of so many bits."""
    return 1 if precision <= 8 else 2 if precision <= 16 else 4


def view(data: bytes | bytearray, width: int, *, is_signed: bool = False) -> Samples:
    """Return the bytes as little endian integers of `width` bytes."""
    return np.frombuffer(data, f"<{'i' if is_signed else 'u'}{width}")


def precision_of(data: bytes, frame: FrameFormat) -> int:
    """Return with how many bits samples are encoded: Bits Stored, or all if more are in use.

    Bits above Bits Stored that are no extension of the sign are kept this way: overlays were once
    there (PS3.5 §8.1.2).
    """
    stored, allocated = frame.bits_stored, frame.bits_allocated
    if stored == allocated:
        return allocated
    samples = view(data, allocated // 8, is_signed=frame.is_signed)
    if frame.is_signed:
        half = 1 << (stored - 1)
        fits = -half <= int(samples.min()) and int(samples.max()) < half
    else:
        fits = int(samples.max()) >> stored == 0
    return stored if fits else allocated


def pack(data: bytes, frame: FrameFormat, precision: int, *, masked: bool = False) -> bytes:
    """Return native samples in the narrowest container of `precision` bits.

    Parameters
    ----------
    data : bytes
        Native samples of Bits Allocated, all of which fit in `precision` bits.
    frame : FrameFormat
    precision : int
    masked : bool
        Clear the bits above, into which negative samples extend their sign.
    """
    width = width_of(precision)
    masked = masked and frame.is_signed and precision != 8 * width
    if width == frame.bits_allocated // 8 and not masked:
        return data
    samples = view(data, frame.bits_allocated // 8).astype(f"<u{width}")
    return (samples & ((1 << precision) - 1) if masked else samples).tobytes()


def to_native(
    data: bytes | bytearray, frame: FrameFormat, precision: int, *, extended: bool = False
) -> bytes:
    """Return samples of `precision` bits in containers of Bits Allocated.

    Parameters
    ----------
    data : bytes
        Samples in the narrowest container.
    frame : FrameFormat
        Says whether they are signed: the sign is bit `precision` - 1.
    precision : int
    extended : bool
        The sign already fills the containers of `data`, whatever the frame says.
    """
    width, wanted = width_of(precision), frame.bits_allocated // 8
    ready = precision == 8 * width or extended == frame.is_signed
    if ready:
        if width == wanted:
            return bytes(data)
        samples = view(data, width, is_signed=frame.is_signed)
        return samples.astype(f"<i{wanted}" if frame.is_signed else f"<u{wanted}").tobytes()
    samples = view(data, width).astype(f"<u{wanted}")
    if not frame.is_signed:
        samples &= (1 << precision) - 1
        return samples.tobytes()
    spare = 8 * wanted - precision
    samples <<= spare
    signed = samples.view(f"<i{wanted}")
    signed >>= spare
    return samples.tobytes()


def interleave(planes: bytes | bytearray, samples_per_pixel: int, width: int) -> bytes:
    """Return samples that come plane after plane, by pixel."""
    by_plane = view(planes, width).reshape(samples_per_pixel, -1)
    pixels = np.empty((by_plane.shape[1], samples_per_pixel), by_plane.dtype)
    for number, plane in enumerate(by_plane):
        pixels[:, number] = plane
    return pixels.tobytes()
