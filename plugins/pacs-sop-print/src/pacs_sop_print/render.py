"""Films as pictures: what is drawn of a film box, its images and its annotation.

What a pixel value becomes is worked out once for each value, not for each pixel.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen
from PIL import Image, ImageDraw, ImageFont

from pacs_sop_print.config import PrintConfig
from pacs_sop_print.density import GreyScale
from pacs_sop_print.films import Film, FilmImage, PresentationLut, PrintedImage
from pacs_sop_print.layout import (
    ANNOTATION_HEIGHT,
    INCH,
    Placement,
    Rectangle,
    film_size,
    image_boxes,
    place_image,
    resolution_of,
)

Array = npt.NDArray[Any]

_FILTERS: Final = {
    "REPLICATE": Image.Resampling.NEAREST,
    "NONE": Image.Resampling.NEAREST,
    "BILINEAR": Image.Resampling.BILINEAR,
    "CUBIC": Image.Resampling.BICUBIC,
}
"""Of magnification. What is made smaller is averaged, whatever it says, or lines would be lost."""


@frozen
class Sources:
    """What a film is drawn from; open already, for who draws may open nothing.

    Attributes
    ----------
    images : mapping of str to binary file
        Pixels, by the name of the file.
    font : bytes or None
        A TrueType or OpenType font for annotation; None for the one that comes with Pillow.
    """

    images: Mapping[str, BinaryIO]
    font: bytes | None = None


def draw(film: Film, sources: Sources, config: PrintConfig) -> Image.Image:
    """Return a film as it looks.

    Parameters
    ----------
    film : Film
    sources : Sources
    config : PrintConfig

    Returns
    -------
    Image
        In 8 bit grey or RGB, with ``info["dpi"]``.
    """
    resolution = resolution_of(film, config)
    scale = GreyScale(config.max_density, config.min_density, film.illumination, film.ambient)
    width, height = film_size(film.size, landscape=film.landscape)
    whole = Rectangle(0, 0, width, height).pixels(resolution)
    mode = "RGB" if film.is_color else "L"
    border, empty = (_level(value, film, scale) for value in (film.border, film.empty))
    picture = Image.new(mode, whole[2:], _colour(border, mode))
    boxes = image_boxes(film, config)
    images = {each.position: each for each in film.images}
    for position, box in enumerate(boxes, 1):
        area = box.pixels(resolution)
        if position in images:
            _draw_image(picture, area, images[position], film, sources, config, scale)
        else:
            picture.paste(_colour(empty, mode), area)
    for number, text in enumerate(film.annotations):
        line = len(film.annotations) - number
        _draw_text(picture, text, line, border, resolution, config, sources.font)
    picture.info["dpi"] = (resolution, resolution)
    return picture


def _level(density: str, film: Film, scale: GreyScale) -> int:
    """Return the grey of a border density or empty image density (PS3.3 C.13.3)."""
    named = {"BLACK": film.max_density, "WHITE": film.min_density}
    return round(255 * scale.grey(named[density] if density in named else int(density)))


def _colour(level: int, mode: str) -> int | tuple[int, int, int]:
    return level if mode == "L" else (level, level, level)


def _draw_image(
    picture: Image.Image,
    area: tuple[int, int, int, int],
    image: FilmImage,
    film: Film,
    sources: Sources,
    config: PrintConfig,
    scale: GreyScale,
) -> None:
    width, height = area[2] - area[0], area[3] - area[1]
    placement = place_image((width, height), image, resolution_of(film, config), config)
    drawn = _scale(_tones(image, _pixels(image.image, sources), scale), image, placement)
    drawn = drawn.convert(picture.mode)
    left = area[0] + (width - drawn.width) // 2
    top = area[1] + (height - drawn.height) // 2
    if drawn.width > width or drawn.height > height:
        x, y = max((drawn.width - width) // 2, 0), max((drawn.height - height) // 2, 0)
        drawn = drawn.crop((x, y, x + min(width, drawn.width), y + min(height, drawn.height)))
        left, top = max(left, area[0]), max(top, area[1])
    picture.paste(drawn, (left, top))
    if film.trim:
        line = max(round(resolution_of(film, config) / 150), 1)
        outline = (left, top, left + drawn.width - 1, top + drawn.height - 1)
        bright = _level(film.border, film, scale) < 128
        ImageDraw.Draw(picture).rectangle(
            outline, outline=_colour(255 if bright else 0, picture.mode), width=line
        )


def _pixels(image: PrintedImage, sources: Sources) -> Array:
    shape: tuple[int, ...] = (image.rows, image.columns)
    if image.samples > 1:
        shape = (*shape, image.samples)
    kind = np.dtype(np.uint8 if image.bits <= 8 else "<u2")
    return np.fromfile(sources.images[image.file], dtype=kind).reshape(shape)


def _tones(image: FilmImage, pixels: Array, scale: GreyScale) -> Image.Image:
    inverted = image.image.inverted != image.reverse
    if pixels.ndim == 3:
        return Image.fromarray(255 - pixels if inverted else pixels)
    values = np.arange(1 << image.image.bits)
    if inverted:
        values = values[::-1]
    return Image.fromarray(_greys(values, image, scale)[pixels])


def _greys(values: Array, image: FilmImage, scale: GreyScale) -> Array:
    """Return the grey of each pixel value, by Presentation LUT and density."""
    p = _p_values(values / max(len(values) - 1, 1), image.lut)
    darkest, lightest = scale.grey(image.max_density), scale.grey(image.min_density)
    if image.lut.shape == "LIN OD":
        densities = image.max_density - p * (image.max_density - image.min_density)
        greys = np.array([scale.grey(float(density)) for density in densities])
    else:
        greys = darkest + p * (lightest - darkest)
    return np.asarray(np.rint(greys * 255), dtype=np.uint8)


def _p_values(inputs: Array, lut: PresentationLut) -> Array:
    if not lut.table:
        return inputs
    table = np.asarray(lut.table) / ((1 << lut.bits) - 1)
    return np.asarray(table[np.rint(inputs * (len(table) - 1)).astype(int)])


def _scale(drawn: Image.Image, image: FilmImage, placement: Placement) -> Image.Image:
    size = (placement.width, placement.height)
    if size == drawn.size:
        return drawn
    is_smaller = size[0] < drawn.width or size[1] < drawn.height
    method = _FILTERS.get(image.magnification, Image.Resampling.BICUBIC)
    return drawn.resize(size, Image.Resampling.BOX if is_smaller else method)


def _draw_text(
    picture: Image.Image,
    text: str,
    line: int,
    border: int,
    resolution: int,
    config: PrintConfig,
    font_file: bytes | None,
) -> None:
    """Draw an annotation below the images; `line` counts from the bottom, from 1."""
    dots = resolution / INCH
    height = ANNOTATION_HEIGHT * dots
    size = max(height * 0.65, 6.0)
    font = (
        ImageFont.load_default(size)
        if font_file is None
        else ImageFont.truetype(BytesIO(font_file), size)
    )
    at = (config.margin * dots, picture.height - config.margin * dots - (line - 0.5) * height)
    ImageDraw.Draw(picture).text(
        at, text, fill=_colour(255 if border < 128 else 0, picture.mode), font=font, anchor="lm"
    )
