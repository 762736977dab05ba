"""Proof that a codestream holds the very frame that it was made of.

A library may be wrong about single images while it is right about a million others, so nothing
short of decoding proves a conversion lossless. The process that has encoded a frame decodes it
again, before it answers, and compares all samples, in all bits that are allocated: bits above Bits
Stored have to come back as well (overlays were once there, PS3.5 §8.1.2).

Decoders are asked in turn, those of another library than the encoder's first: encoder and decoder
of one library may share a mistake. A decoder that refuses proves nothing, and the next is asked;
one that finds another frame ends it. What no decoder reads is not proven.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from pacs_core.contracts.codec import EncodedFrame
from pacs_core.contracts.transcoding import VerificationError
from pacs_core.imaging import CodecError, FrameFormat

_ARRAYS: Final[Mapping[int, Literal["B", "H", "I"]]] = {8: "B", 16: "H", 32: "I"}
"""Array types of unsigned samples, by Bits Allocated."""

Decode = Callable[[bytes, FrameFormat], tuple[bytes, FrameFormat]]
"""Returns the native frame of a codestream, and its format, or raises CodecError."""


def verify(
    encoded: EncodedFrame, data: bytes, form: FrameFormat, decoders: Iterable[tuple[str, Decode]]
) -> None:
    """Decode a frame again, and compare it with what was encoded.

    Parameters
    ----------
    encoded : EncodedFrame
    data : bytes
        The native frame.
    form : FrameFormat
        Of the native frame.
    decoders : iterable of (str, Decode)
        By name; those to ask first before others.

    Raises
    ------
    VerificationError
        It is another frame, or no decoder can read it.
    """
    refusals: list[str] = []
    for name, decode in decoders:
        try:
            found, found_form = decode(encoded.data, encoded.format)
        except CodecError as error:
            refusals.append(f"{name}: {error}")
            continue
        if found_form != form:
            raise VerificationError(f"decoded again by {name}, it is {found_form}, not {form}")
        if difference := _difference(found, data, form):
            raise VerificationError(f"it is not lossless: decoded again by {name}, {difference}")
        return
    raise VerificationError(f"what was encoded cannot be decoded again: {'; '.join(refusals)}")


def is_same_codestream(one: bytes, other: bytes) -> bool:
    """Return whether two codestreams differ at most in the byte that pads them to even length."""
    shorter, longer = sorted((one, other), key=len)
    return longer.startswith(shorter) and len(longer) - len(shorter) <= 1


def _difference(found: bytes, data: bytes, form: FrameFormat) -> str:
    """Return what is different; nothing if all samples are the same."""
    if found == data:
        return ""
    if len(found) != len(data):
        return f"it has {len(found)} bytes instead of {len(data)}"
    array = _ARRAYS.get(form.bits_allocated, "B")
    samples = memoryview(found).cast(array), memoryview(data).cast(array)
    # Without NumPy, which the kernel does not depend on: this runs only if the bytes differ.
    different = sum(map(operator.ne, *samples))
    if spare := -form.rows * form.columns * form.samples_per_pixel * form.bits_allocated % 8:
        # The last byte of a frame of single bits is filled from the lowest (PS3.5 §8.1.1).
        last = (found[-1] ^ data[-1]) << spare & 0xFF
        different -= not last and found[-1] != data[-1]
    return f"{different} of {len(samples[0])} samples differ" if different else ""
