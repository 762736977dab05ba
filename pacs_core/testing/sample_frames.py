"""Frames of the kinds that codecs meet: uniform, smooth, noise, and structured as images are.

Libraries have faults that neither noise nor a uniform frame shows: some entropy coders go wrong
only where background, speckle, text and colours come together in certain shares. So what comes
of a scanner is imitated here, the same each time.
"""

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from attrs import evolve, frozen

from pacs_core.contracts import FrameFormat

Pixel = tuple[int, int, int]
Scene = list[list[Pixel]]
"""Rows of pixels. Of a frame of one sample per pixel, the second of three counts."""

_LETTERS: Final = (0x7C4A52627C, 0x00427E4000, 0x62524A4600, 0x7E12120C00)
"""Five columns of eight dots each."""


@frozen
class Picture:
    """A native frame."""

    format: FrameFormat
    data: bytes


def picture_of(frame: FrameFormat, values: Sequence[int]) -> Picture:
    """Return a frame of these samples, cut to the bits that are stored, with sign extension."""
    width, stored = frame.bits_allocated // 8, frame.bits_stored
    half, whole = 1 << (stored - 1), 1 << stored
    cut = [value % whole for value in values]
    if frame.is_signed:
        cut = [value - whole if value >= half else value for value in cut]
    if width == 1 and not frame.is_signed:
        return Picture(frame, bytes(cut))
    data = b"".join(value.to_bytes(width, "little", signed=frame.is_signed) for value in cut)
    return Picture(frame, data)


def pictures(frame: FrameFormat) -> dict[str, Picture]:
    """Return frames of a format: uniform, at the ends of the range, smooth, and noise."""
    count = frame.size * 8 // frame.bits_allocated
    top = (1 << frame.bits_stored) - 1
    noise = random.Random(frame.size)  # noqa: S311 (the same noise each time)
    return {
        "zeros": picture_of(frame, [0] * count),
        "ones": picture_of(frame, [top] * count),
        "checkers": picture_of(frame, [top * (n % 2) for n in range(count)]),
        "ramp": picture_of(frame, range(count)),
        "noise": picture_of(frame, [noise.randint(0, top) for _ in range(count)]),
    }


@lru_cache(maxsize=64)
def structured_pictures(frame: FrameFormat) -> dict[str, Picture]:
    """Return frames of a format that have the structure of images."""
    rows, columns, top = frame.rows, frame.columns, (1 << frame.bits_stored) - 1
    slope = _grey(
        [[(x + y) * top // (rows + columns) for x in range(columns)] for y in range(rows)]
    )
    flat: Pixel = (top // 3, top // 2, top // 5)
    lonely = [[flat] * columns for _ in range(rows)]
    lonely[-1][-1] = (flat[0] ^ 1, flat[1] ^ 1, flat[2])
    scenes: dict[str, Scene] = {
        "gradient": slope,
        "text burnt in": _overlay_letters(slope, top),
        "saturated": [[_steep(pixel, top) for pixel in row] for row in slope],
        "palette": [[_index(x // 5, y // 3, top) for x in range(columns)] for y in range(rows)],
        "one colour": [[flat] * columns for _ in range(rows)],
        "one odd pixel": lonely,
        "ultrasound": ultrasound(rows, columns, top, seed=1),
    }
    return {name: paint(frame, scene) for name, scene in scenes.items()}


def paint(frame: FrameFormat, scene: Scene) -> Picture:
    """Return a frame of one or three samples per pixel that shows a scene."""
    if frame.samples_per_pixel == 1:
        return picture_of(frame, [pixel[1] for row in scene for pixel in row])
    return picture_of(frame, [sample for row in scene for pixel in row for sample in pixel])


def tile_picture(picture: Picture, rows: int, columns: int) -> Picture:
    """Return a frame of another size that is covered with a picture, cut off where it ends."""
    frame = picture.format
    pixel = frame.samples_per_pixel * frame.bits_allocated // 8
    times = -(-columns // frame.columns)
    width = frame.columns * pixel
    lines = [
        (picture.data[start : start + width] * times)[: columns * pixel]
        for start in range(0, len(picture.data), width)
    ]
    data = b"".join((lines * -(-rows // frame.rows))[:rows])
    return Picture(evolve(frame, rows=rows, columns=columns), data)


def ultrasound(rows: int, columns: int, top: int, seed: int) -> Scene:
    """Return speckle on black, white boxes of text, and coloured marks; odd seeds are tinted.

    Parameters
    ----------
    rows, columns : int
    top : int
        Value of white.
    seed : int
        Of what is where.
    """
    chance = random.Random(seed)  # noqa: S311 (the same image each time)
    scene: Scene = [[(0, 0, 0)] * columns for _ in range(rows)]
    for area in _areas(chance, scene, 5, rows // 2, columns // 2):
        mean = chance.choice((1, 4, 16, 64)) * top / 255
        for y, x in area:
            scene[y][x] = (min(top, int(chance.expovariate(1 / mean))),) * 3
    for area in _areas(chance, scene, 5, 64, 64):
        ink = chance.choice((0, 0.05, 0.3))
        for y, x in area:
            scene[y][x] = (0 if chance.random() < ink else top,) * 3
    for area in _areas(chance, scene, 3, 24, 24):
        colour = (chance.randint(0, top), chance.randint(0, top), chance.randint(0, top))
        for y, x in area:
            scene[y][x] = colour
    if seed % 2:
        scene[::7] = [[(red // 2, green, blue) for red, green, blue in row] for row in scene[::7]]
    return scene


def _areas(
    chance: random.Random, scene: Scene, most: int, height: int, width: int
) -> Iterator[list[tuple[int, int]]]:
    """Iterate over some rectangles, each as the places in it."""
    rows, columns = len(scene), len(scene[0])
    for _ in range(chance.randint(1, most)):
        top, left = chance.randrange(rows), chance.randrange(columns)
        bottom = min(rows, top + chance.randint(1, max(1, height)))
        right = min(columns, left + chance.randint(1, max(1, width)))
        yield [(y, x) for y in range(top, bottom) for x in range(left, right)]


def _grey(values: list[list[int]]) -> Scene:
    return [[(value, value, value) for value in row] for row in values]


def _overlay_letters(scene: Scene, top: int) -> Scene:
    """Return a scene with lines of letters in white, as annotations are burnt in."""
    return [
        [(top, top, top) if _is_ink(x, y) else pixel for x, pixel in enumerate(row)]
        for y, row in enumerate(scene)
    ]


def _is_ink(x: int, y: int) -> bool:
    letter, column = _LETTERS[x // 6 % len(_LETTERS)], x % 6
    return y % 24 < 8 and column < 5 and bool(letter >> (8 * (4 - column) + y % 24) & 1)


def _steep(pixel: Pixel, top: int) -> Pixel:
    """Return a pixel after so much contrast that only the middle quarter is neither end."""
    red, green, blue = (max(0, min(top, 4 * value - 3 * top // 2)) for value in pixel)
    return red, green, blue


def _index(x: int, y: int, top: int) -> Pixel:
    """Return one of seven colours whose numbers say nothing of how alike they are."""
    number = (x * x + 3 * y + x * y) % 7
    return ((number * 97) & top, (number * 61 + 13) & top, (number * 151 + 7) & top)
