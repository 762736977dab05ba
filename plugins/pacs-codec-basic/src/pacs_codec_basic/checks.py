"""Checks of every codec before it calls a library."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from pacs_core.api.images import CodestreamImage
from pacs_core.contracts import CodecError, FrameFormat

MAX_SIDE: Final = 65535
"""Rows and Columns are unsigned shorts."""


def require_format(frame: FrameFormat, bits_allocated: Collection[int]) -> None:
    """Refuse a frame that no image can be, or whose samples are no whole bytes.

    Raises
    ------
    CodecError
        Says which attribute has which value.
    """
    if not (1 <= frame.rows <= MAX_SIDE and 1 <= frame.columns <= MAX_SIDE):
        raise CodecError(f"a frame of {frame.rows} rows and {frame.columns} columns")
    if frame.samples_per_pixel not in (1, 3):
        raise CodecError(f"{frame.samples_per_pixel} samples per pixel, neither 1 nor 3")
    if frame.bits_allocated not in bits_allocated:
        allowed = ", ".join(map(str, sorted(bits_allocated)))
        raise CodecError(f"Bits Allocated is {frame.bits_allocated}, not one of {allowed}")
    if not 1 <= frame.bits_stored <= frame.bits_allocated:
        raise CodecError(f"{frame.bits_stored} bits stored of {frame.bits_allocated} allocated")
    if frame.planar_configuration and frame.samples_per_pixel > 1:
        raise CodecError("the samples are by plane; codecs take them by pixel")


def require_data(data: bytes, frame: FrameFormat) -> None:
    """Refuse bytes that are not one frame.

    Raises
    ------
    CodecError
        Says how many there are, and how many there should be.
    """
    if len(data) != frame.size:
        raise CodecError(f"{len(data)} bytes are no frame of {frame.size}")


def require_match(image: CodestreamImage, frame: FrameFormat) -> None:
    """Refuse a codestream that is not the frame of which the dataset speaks.

    Raises
    ------
    CodecError
        Says what the codestream holds, and what the dataset announces.
    """
    found = (image.rows, image.columns, image.components)
    wanted = (frame.rows, frame.columns, frame.samples_per_pixel)
    if found != wanted:
        raise CodecError(
            "the codestream has {} rows, {} columns and {} components, ".format(*found)
            + "but Rows, Columns and Samples per Pixel are {}, {} and {}".format(*wanted)
        )
    if not 1 <= image.precision <= frame.bits_allocated:
        raise CodecError(
            f"samples of {image.precision} bits do not fit in {frame.bits_allocated} allocated"
        )


@contextmanager
def library_errors(action: str) -> Iterator[None]:
    """Turn whatever a library raises into a :class:`CodecError` that says what failed."""
    try:
        yield
    except (CodecError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of a library in Rust is no Exception
        raise CodecError(f"cannot {action}: {str(error) or type(error).__name__}") from error
