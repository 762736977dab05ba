"""Display shutters: what surrounds the part of an image that matters is covered (PS3.3 C.7.6.11).

They are about the image's own pixels, so that what is covered is turned and scaled with the rest.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from pacs_core.api.conversion import StoredFrame
from pacs_core.contracts import Shutter
from pacs_image_export.attributes import FrameAttributes
from pacs_image_export.overlays import points_of
from pacs_image_export.samples import Array

Shape = tuple[int, int]


def cover(
    picture: Array,
    shutters: Sequence[Shutter],
    grey: float,
    frame: StoredFrame,
    attributes: FrameAttributes,
) -> Array:
    """Return a picture of which only what is within all shutters can be seen.

    Parameters
    ----------
    picture : array
        Of 8 bits: grey, or red, green and blue.
    shutters : sequence of Shutter
        Of an unknown kind none is applied.
    grey : float
        0 to 1.
    frame : StoredFrame
    attributes : FrameAttributes
        Takes warnings of bitmaps that cannot be used.
    """
    shape = (picture.shape[0], picture.shape[1])
    seen = np.ones(shape, bool)
    for each in shutters:
        if each.kind == "BITMAP":
            seen &= ~points_of(each.group, shape, frame, attributes)
        elif each.kind in _WITHIN and each.points:
            seen &= _WITHIN[each.kind](each, shape)
    picture = picture.copy()
    picture[~seen] = round(255 * min(max(grey, 0.0), 1.0))
    return picture


def _within_rectangle(shutter: Shutter, shape: Shape) -> Array:
    (left, top), (right, bottom) = shutter.points[0], shutter.points[-1]
    rows, columns = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    return (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)


def _within_circle(shutter: Shutter, shape: Shape) -> Array:
    ((x, y),) = shutter.points[:1]
    rows, columns = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    return (rows - y) ** 2 + (columns - x) ** 2 <= shutter.radius**2


def _within_polygon(shutter: Shutter, shape: Shape) -> Array:
    return within_vertices(shutter.points, shape)


def within_vertices(points: Sequence[tuple[float, float]], shape: Shape) -> Array:
    """Return which pixels are within a polygon, its edge among them.

    Parameters
    ----------
    points : sequence of (float, float)
        Columns and rows, from 1.
    shape : (int, int)
        Rows and columns.
    """
    mask = Image.new("1", (shape[1], shape[0]))
    vertices = [(x - 1, y - 1) for x, y in points]
    if len(vertices) > 2:
        ImageDraw.Draw(mask).polygon(vertices, fill=1, outline=1)
    return np.asarray(mask, bool)


_WITHIN: Final[dict[str, Callable[[Shutter, Shape], Array]]] = {
    "RECTANGULAR": _within_rectangle,
    "CIRCULAR": _within_circle,
    "POLYGONAL": _within_polygon,
}
