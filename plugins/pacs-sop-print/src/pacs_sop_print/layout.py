"""Layout of films: places of image boxes and annotation, and of an image in its box.

All lengths are in millimetres until they are asked for in pixels.
"""

import re
from typing import Final

from attrs import frozen

from pacs_sop_print.config import PrintConfig
from pacs_sop_print.films import Film, FilmImage
from pacs_sop_print.statuses import PrintStatus

INCH: Final = 25.4
ANNOTATION_HEIGHT: Final = 6.0
MAX_ANNOTATIONS: Final = 6

_SIZES: Final = {"A4": (210.0, 297.0), "A3": (297.0, 420.0)}
_UNITS: Final = {"IN": INCH, "CM": 10.0}
_SLIDES: Final = {"SLIDE": (36.0, 24.0), "SUPERSLIDE": (40.0, 40.0)}
"""What is seen of a slide (35 mm) and of a superslide (40 mm), width and height."""
_MOUNT: Final = 50.8
"""Width and height of a mounted slide, 2 inches: so many of them fit."""

_GRID: Final = re.compile(r"STANDARD\\([1-9]\d{0,3}),([1-9]\d{0,3})")
_LINES: Final = re.compile(r"(ROW|COL)\\([1-9]\d{0,3}(?:,[1-9]\d{0,3})*)")


@frozen
class Rectangle:
    """A part of a film, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def pixels(self, resolution: int) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom in pixels."""
        edges = (self.x, self.y, self.x + self.width, self.y + self.height)
        left, top, right, bottom = (round(edge * resolution / INCH) for edge in edges)
        return left, top, max(right, left + 1), max(bottom, top + 1)


class LayoutError(ValueError):
    """An Image Display Format that is none, or that is not supported."""


def film_size(size: str, *, landscape: bool) -> tuple[float, float]:
    """Return width and height of a Film Size ID (PS3.3 C.13.3), in portrait orientation or not."""
    if size in _SIZES:
        width, height = _SIZES[size]
    else:
        sides = re.findall(r"(\d+(?:_\d+)?)(IN|CM)", size)
        width, height = (float(n.replace("_", ".")) * _UNITS[unit] for n, unit in sides)
    return (height, width) if landscape else (width, height)


def count_boxes(display_format: str, size: str, *, landscape: bool) -> int:
    """Return how many image boxes an Image Display Format has (PS3.3 Table C.13-3).

    Raises
    ------
    LayoutError
    """
    grid = _GRID.fullmatch(display_format)
    if grid:
        return int(grid[1]) * int(grid[2])
    lines = _LINES.fullmatch(display_format)
    if lines:
        return sum(int(n) for n in lines[2].split(","))
    if display_format in _SLIDES:
        columns, rows = _slide_grid(film_size(size, landscape=landscape))
        return columns * rows
    if display_format.startswith("CUSTOM\\"):
        raise LayoutError("this printer has no custom layouts")
    raise LayoutError("it is none of STANDARD\\C,R, ROW\\R1,R2.., COL\\C1,C2.., SLIDE, SUPERSLIDE")


def resolution_of(film: Film, config: PrintConfig) -> int:
    """Return the pixels per inch of a film."""
    return config.high_resolution if film.high_resolution else config.resolution


def image_boxes(film: Film, config: PrintConfig) -> list[Rectangle]:
    """Return the image boxes of a film by position.

    STANDARD and ROW count row by row from the upper left, COL column by column (PS3.3 C.13.5.1).
    """
    width, height = film_size(film.size, landscape=film.landscape)
    below = ANNOTATION_HEIGHT * len(film.annotations)
    inner = Rectangle(
        config.margin,
        config.margin,
        max(width - 2 * config.margin, 1.0),
        max(height - 2 * config.margin - below, 1.0),
    )
    grid, lines = _GRID.fullmatch(film.format), _LINES.fullmatch(film.format)
    if grid:
        return _rows(inner, [int(grid[1])] * int(grid[2]), config.gap)
    if lines:
        counts = [int(n) for n in lines[2].split(",")]
        if lines[1] == "ROW":
            return _rows(inner, counts, config.gap)
        turned = _rows(Rectangle(inner.y, inner.x, inner.height, inner.width), counts, config.gap)
        return [Rectangle(box.y, box.x, box.height, box.width) for box in turned]
    return _slides(film, (width, height))


def _rows(inner: Rectangle, counts: list[int], gap: float) -> list[Rectangle]:
    boxes = []
    part = inner.height / len(counts)
    height = _share(inner.height, len(counts), gap)
    for row, count in enumerate(counts):
        cell, width = inner.width / count, _share(inner.width, count, gap)
        y = inner.y + row * part + (part - height) / 2
        boxes += [
            Rectangle(inner.x + column * cell + (cell - width) / 2, y, width, height)
            for column in range(count)
        ]
    return boxes


def _share(length: float, count: int, gap: float) -> float:
    """Return what one of several has of a length, without the gap: at least half of its part."""
    part = length / count
    return max(part - gap, part / 2) if count > 1 else part


def _slide_grid(size: tuple[float, float]) -> tuple[int, int]:
    return max(int(size[0] // _MOUNT), 1), max(int(size[1] // _MOUNT), 1)


def _slides(film: Film, size: tuple[float, float]) -> list[Rectangle]:
    columns, rows = _slide_grid(size)
    width, height = _SLIDES[film.format]
    left = (size[0] - columns * _MOUNT + _MOUNT - width) / 2
    top = (size[1] - rows * _MOUNT + _MOUNT - height) / 2
    return [
        Rectangle(left + column * _MOUNT, top + row * _MOUNT, width, height)
        for row in range(rows)
        for column in range(columns)
    ]


@frozen
class Placement:
    """An image in its box, in pixels of the film.

    Attributes
    ----------
    width, height : int
        Of the whole image, as it is scaled; where that is more than the box, the middle of it is
        printed.
    status : int
        A :class:`PrintStatus`, or 0.
    """

    width: int
    height: int
    status: int = 0


_STATUS_OF: Final = {
    "DECIMATE": PrintStatus.DECIMATED,
    "CROP": PrintStatus.CROPPED,
    "FAIL": PrintStatus.IMAGE_TOO_LARGE,
    "": PrintStatus.DEMAGNIFIED,
}


def place(
    box: tuple[int, int],
    image: tuple[int, int],
    *,
    aspect: float = 1.0,
    requested: int = 0,
    magnified: bool = True,
    behaviour: str = "",
    default: str = "DECIMATE",
) -> Placement:
    """Return how large an image is in its box, and what its requestor is to know of that.

    An image is as wide as was requested; or, without magnification, has its own pixels; or else
    fills its box. What does not fit is treated as requested (PS3.3 C.13.5, Requested
    Decimate/Crop Behavior): also where an image that would fill its box has more pixels than it.

    Parameters
    ----------
    box, image : (int, int)
        Width and height in pixels.
    aspect : float
        Height of a pixel of the image in widths.
    requested : int
        Width, in pixels of the film; 0 for none.
    magnified : bool
        Whether Magnification Type is not NONE.
    behaviour, default : str
        Requested Decimate/Crop Behavior, and the printer's own.
    """
    columns, rows = image[0], max(round(image[1] * aspect), 1)
    fitted = _fit(box, (columns, rows))
    if requested:
        wanted = (requested, max(round(requested * rows / columns), 1))
    elif not magnified:
        wanted = (columns, rows)
    elif columns <= box[0] and rows <= box[1]:
        return Placement(*fitted)
    else:
        wanted, default = (columns, rows), ""
    if wanted[0] <= box[0] and wanted[1] <= box[1]:
        return Placement(*wanted)
    chosen = behaviour or default
    return Placement(*(wanted if chosen == "CROP" else fitted), _STATUS_OF[chosen])


def place_image(
    box: tuple[int, int], image: FilmImage, resolution: int, config: PrintConfig
) -> Placement:
    """Return how large an image is in a box of so many pixels, see :func:`place`."""
    return place(
        box,
        (image.image.columns, image.image.rows),
        aspect=image.image.aspect,
        requested=round(image.width * resolution / INCH),
        magnified=image.magnification != "NONE",
        behaviour=image.behaviour,
        default=config.behaviour,
    )


def placement_statuses(film: Film, config: PrintConfig) -> list[int]:
    """Return the statuses of all images of a film that do not simply fit into their boxes."""
    boxes, resolution = image_boxes(film, config), resolution_of(film, config)
    statuses = []
    for image in film.images:
        left, top, right, bottom = boxes[image.position - 1].pixels(resolution)
        size = (right - left, bottom - top)
        statuses.append(place_image(size, image, resolution, config).status)
    return [status for status in statuses if status]


def _fit(box: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    factor = min(box[0] / size[0], box[1] / size[1])
    return max(round(size[0] * factor), 1), max(round(size[1] * factor), 1)
