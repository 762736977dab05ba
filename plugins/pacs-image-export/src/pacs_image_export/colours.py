"""Colours to 8-bit RGB (PS3.3 C.7.6.3.1.2)."""

import numpy as np

from pacs_core.contracts import FrameFormat
from pacs_image_export.errors import RenderError
from pacs_image_export.samples import Array
from pacs_image_export.tables import Table


def eight_bits(samples: Array, bits: int) -> Array:
    """Return samples of so many bits in 8."""
    if bits == 8:
        return samples.astype("u1")
    return np.rint(samples.astype("f8") * 255 / ((1 << bits) - 1)).clip(0, 255).astype("u1")


def rgb_of(samples: Array, frame: FrameFormat) -> Array:
    """Return a colour frame as 8-bit RGB.

    Raises
    ------
    RenderError
        Its colour space is not known here.
    """
    colours = eight_bits(samples, frame.bits_stored)
    if frame.photometric_interpretation == "RGB":
        return colours
    if frame.photometric_interpretation not in ("YBR_FULL", "YBR_FULL_422"):
        name = frame.photometric_interpretation
        raise RenderError(f"Photometric Interpretation {name} cannot be shown")
    luma, blue, red = (colours[..., index].astype("f8") for index in range(3))
    blue, red = blue - 128, red - 128
    rgb = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.rint(np.stack(rgb, -1)).clip(0, 255).astype("u1")


def apply_palette(samples: Array, palette: list[Table]) -> Array:
    """Return a frame of PALETTE COLOR as 8-bit RGB."""
    return np.stack([eight_bits(table.look_up(samples), table.bits) for table in palette], -1)
