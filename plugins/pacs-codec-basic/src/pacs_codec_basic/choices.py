"""Choices of lossy compression, and for which images they may be made."""

from typing import Final

from pacs_core.contracts import CodecError, EncodeOptions, FrameFormat

_INDICES: Final = "PALETTE COLOR"


def require_options(options: EncodeOptions) -> None:
    """Refuse options out of range.

    Raises
    ------
    CodecError
        Says which, and what the range is.
    """
    if options.ratio is not None and not 1 <= options.ratio < float("inf"):
        raise CodecError(f"a ratio of {options.ratio}; it is 1 at least")
    if options.quality is not None and not 0 <= options.quality <= 100:
        raise CodecError(f"a quality of {options.quality}; it is from 0 to 100")


def require_lossy_format(frame: FrameFormat) -> None:
    """Refuse indices of colours, which lossy transfer syntaxes do not know (PS3.5 §8.2.3, §8.2.4).

    Raises
    ------
    CodecError
        Says what to take instead.
    """
    if frame.photometric_interpretation == _INDICES:
        raise CodecError(f"{_INDICES} is only for the lossless transfer syntax: choose that")
