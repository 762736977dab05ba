"""Header of a codestream, and whether the dataset agrees with it.

Headers are read here, before a library sees them: it allocates what they ask for.
"""

from typing import Final

from pacs_core.api.images import CodestreamImage
from pacs_core.contracts import CodecError, FrameFormat

MAX_SIDE: Final = 0xFFFF
"""Rows and Columns are unsigned shorts (PS3.3 C.7.6.3)."""
_CONTAINERS: Final = (8, 16)


def check_format(frame: FrameFormat) -> None:
    """Refuse a format that nothing here can code.

    Raises
    ------
    CodecError
        No pixels, a side beyond the standard's limit, or samples of other than 8 or 16 bits.
    """
    if not (0 < frame.rows <= MAX_SIDE and 0 < frame.columns <= MAX_SIDE):
        raise CodecError(f"{frame.rows} x {frame.columns} pixels; each side has 1 to {MAX_SIDE}")
    if frame.samples_per_pixel not in (1, 3):
        raise CodecError(f"{frame.samples_per_pixel} samples per pixel; only 1 or 3 are coded")
    if frame.bits_allocated not in _CONTAINERS:
        raise CodecError(f"{frame.bits_allocated} bits allocated; only 8 or 16 are coded")
    if not 0 < frame.bits_stored <= frame.bits_allocated:
        raise CodecError(f"{frame.bits_stored} of {frame.bits_allocated} bits stored")


def check_agreement(header: CodestreamImage, frame: FrameFormat) -> None:
    """Refuse a codestream that is not the frame which the dataset describes.

    Raises
    ------
    CodecError
        Rows, columns or components differ, or its samples do not fit in Bits Allocated.
    """
    found = (header.rows, header.columns, header.components)
    expected = (frame.rows, frame.columns, frame.samples_per_pixel)
    if found != expected:
        raise CodecError(
            f"the codestream holds {_image(*found)}, but the dataset says {_image(*expected)}"
        )
    if not 0 < header.precision <= frame.bits_allocated:
        raise CodecError(
            f"the codestream has samples of {header.precision} bits, "
            f"but the dataset allocates {frame.bits_allocated}"
        )


def _image(rows: int, columns: int, components: int) -> str:
    return f"{rows} x {columns} pixels of {components} components"
