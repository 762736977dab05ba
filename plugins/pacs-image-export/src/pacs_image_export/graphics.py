"""Graphics drawn on pictures: what a presentation state has beside grey levels (PS3.3 C.10.5).

Points are of the image; the picture may be a part of it, turned, flipped and scaled, so that each
point goes the same way. Text stays upright.
"""

import math
from collections.abc import Callable, Sequence

from attrs import frozen
from PIL import Image, ImageDraw, ImageFont

from pacs_core.contracts import Graphic

Point = tuple[float, float]

_ELLIPSE_POINTS = 72
_RADIUS = 3
_FONT_SIZE = 13


@frozen
class Placement:
    """Where the pixels of an image are in its picture.

    Attributes
    ----------
    left, top : int
        Of the part that is shown, in the image.
    width, height : int
        Of that part, before it is turned.
    rotation : int
        Degrees, clockwise.
    flip : bool
    scale : (float, float)
        Across and down, of what was turned.
    """

    left: int
    top: int
    width: int
    height: int
    rotation: int = 0
    flip: bool = False
    scale: tuple[float, float] = (1.0, 1.0)

    def place(self, point: Point, *, relative: bool = False) -> Point:
        """Return where a point is in the picture.

        Parameters
        ----------
        point : (float, float)
            Column and row, from 1 in the middle of the first pixel; if `relative`, from 0 to 1 of
            the picture, which is not turned any more.
        relative : bool
        """
        across, down = self.scale
        if relative:
            wide, high = self._turned_size()
            return point[0] * wide * across, point[1] * high * down
        x, y = point[0] - 0.5 - self.left, point[1] - 0.5 - self.top
        x, y = _ROTATIONS.get(self.rotation, _unturned)(x, y, self.width, self.height)
        if self.flip:
            x = self._turned_size()[0] - x
        return x * across, y * down

    def _turned_size(self) -> tuple[int, int]:
        is_upright = self.rotation in {0, 180}
        return (self.width, self.height) if is_upright else (self.height, self.width)


def _unturned(x: float, y: float, _width: int, _height: int) -> Point:
    return x, y


_ROTATIONS: dict[int, Callable[[float, float, int, int], Point]] = {
    90: lambda x, y, _width, height: (height - y, x),
    180: lambda x, y, width, height: (width - x, height - y),
    270: lambda x, y, width, _height: (y, width - x),
}


def draw(image: Image.Image, graphics: Sequence[Graphic], placement: Placement) -> Image.Image:
    """Return a picture with graphics on it, white with a black rim for text."""
    if not graphics:
        return image
    white = 255 if image.mode == "L" else (255, 255, 255)
    black = 0 if image.mode == "L" else (0, 0, 0)
    canvas = ImageDraw.Draw(image)
    for graphic in graphics:
        points = [placement.place(p, relative=graphic.relative) for p in _outline(graphic)]
        if graphic.kind == "TEXT":
            font = ImageFont.load_default(_FONT_SIZE)
            canvas.text(points[0], graphic.text, white, font, stroke_width=1, stroke_fill=black)
        elif graphic.kind == "POINT":
            x, y = points[0]
            canvas.ellipse((x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS), outline=white)
        elif graphic.filled and len(points) > 2:
            canvas.polygon(points, fill=white)
        elif len(points) > 1:
            canvas.line(points, fill=white)
    return image


def _outline(graphic: Graphic) -> Sequence[Point]:
    """Return the points of a graphic's line, before it is placed."""
    points = graphic.points
    if graphic.kind == "CIRCLE" and len(points) == 2:
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        return _ellipse((x, y), (radius, 0.0), (0.0, radius))
    if graphic.kind == "ELLIPSE" and len(points) == 4:
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
        centre = ((ax + bx) / 2, (ay + by) / 2)
        return _ellipse(centre, ((bx - ax) / 2, (by - ay) / 2), ((dx - cx) / 2, (dy - cy) / 2))
    return points


def _ellipse(centre: Point, major: Point, minor: Point) -> list[Point]:
    angles = (2 * math.pi * step / _ELLIPSE_POINTS for step in range(_ELLIPSE_POINTS + 1))
    return [
        (
            centre[0] + major[0] * math.cos(a) + minor[0] * math.sin(a),
            centre[1] + major[1] * math.cos(a) + minor[1] * math.sin(a),
        )
        for a in angles
    ]
