"""Rate of lossy compression: quality from 0 to 100, or the best for a compression ratio."""

from collections.abc import Callable
from typing import Final

from pacs_core.contracts import CodecError, EncodeOptions, FrameFormat

DEFAULT_QUALITY: Final = 90.0
BEST: Final = 100.0
"""Where a syntax may be lossless, this quality is."""


def is_best(options: EncodeOptions) -> bool:
    """Return whether nothing may be lost.

    Raises
    ------
    CodecError
        The quality is not from 0 to 100.
    """
    return options.ratio is None and _quality(options) == BEST


def encode_lossy(
    encode: Callable[[float], bytes], frame: FrameFormat, options: EncodeOptions
) -> bytes:
    """Return a codestream of the quality or ratio that is asked for.

    Parameters
    ----------
    encode : callable
        Makes a codestream of a quality.
    frame : FrameFormat
    options : EncodeOptions
        A ratio goes before a quality. Of its codestreams of whole qualities below 100, the
        largest that is small enough is taken, or else the smallest: no more than 8 are made.

    Raises
    ------
    CodecError
        The quality is not from 0 to 100, or the ratio is below 1.
    """
    if options.ratio is None:
        return encode(_quality(options))
    if not options.ratio >= 1:
        raise CodecError(f"a compression ratio of {options.ratio:g}; it must be 1 or more")
    return _largest_within(encode, frame.size / options.ratio)


def _quality(options: EncodeOptions) -> float:
    quality = DEFAULT_QUALITY if options.quality is None else options.quality
    if not 0 <= quality <= BEST:
        raise CodecError(f"a quality of {quality:g}; it must be from 0 to 100")
    return quality


def _largest_within(encode: Callable[[float], bytes], size: float) -> bytes:
    best, low, high = encode(0), 1, int(BEST) - 1
    while low <= high:
        middle = (low + high) // 2
        codestream = encode(middle)
        if len(codestream) <= size:
            best, low = codestream, middle + 1
        else:
            high = middle - 1
    return best
