"""Text that is burnt into native images, found by optical character recognition (PS3.15 E.3.1).

The engine is `rapidocr-onnxruntime`, with its models: nothing is fetched and nothing leaves the
machine. It finds what is printed in letters of some ten pixels and more. What it has read is used
for nothing but to tell text from what merely looks like some, and is never said.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pacs_core.dataset import swap_words
from pacs_deidentify.bit_blanking import BitLayout
from pacs_deidentify.blanking import Layout, NativeLayout, native_layout
from pacs_deidentify.errors import CompressedPixelsError, DeidentificationError
from pacs_deidentify.files import ReadFile
from pacs_deidentify.regions import Region

_FEWEST: Final = 2
"""Letters and digits of a text: one alone tells left from right."""

Picture = NDArray[np.uint8]


def find_text(read: ReadFile) -> list[Region] | None:
    """Return where text is in any frame of an image; None if its pixels cannot be looked at.

    Raises
    ------
    CompressedPixelsError
        They can when they are native.
    """
    if len(read.pixels) == 1 and read.pixels[0].encapsulated:
        raise CompressedPixelsError(
            "pixels are compressed, and nothing here decodes them, so that nobody has read them"
        )
    spans = [span for span in read.pixels if not span.encapsulated]
    if len(spans) != 1 or len(read.pixels) != 1:
        return None
    try:
        layout = native_layout(read.dataset, read.meta.transfer_syntax_uid, words=spans[0].words)
    except (DeidentificationError, AttributeError, TypeError, ValueError):
        return None
    if spans[0].end - spans[0].value < layout.length:
        return None  # which the caller refuses
    regions: dict[Region, None] = {}
    for number in range(layout.frames):
        picture = _draw_frame(read, spans[0].value, layout, number)
        regions |= dict.fromkeys(_recognize(picture))
    return list(regions)


def _draw_frame(read: ReadFile, start: int, layout: Layout, number: int) -> Picture:
    pixels = layout.rows * layout.columns
    if isinstance(layout, BitLayout):  # which begins and ends within bytes
        first, last = number * pixels, (number + 1) * pixels
        words = first // 16 * 2, -(-last // 16) * 2
        read.content.seek(start + words[0])
        data = read.content.read(words[1] - words[0])
        bits = np.frombuffer(swap_words(data, 2 if layout.swaps else 1), np.uint8)
        shown = np.unpackbits(bits, bitorder="little")[first - words[0] * 8 :][:pixels]
        return (shown * 255).reshape(layout.rows, layout.columns)
    size = layout.length // layout.frames
    first = number * size
    # Of samples that stand in words, big endian, a frame may be a byte more on either side.
    before = first % 2 if layout.swaps else 0
    read.content.seek(start + first - before)
    data = read.content.read(size + before + ((size + before) % 2 if layout.swaps else 0))
    frame = bytes(swap_words(data, 2 if layout.swaps else 1))[before : before + size]
    return draw(frame, layout, read.dataset)


def draw(frame: bytes, layout: NativeLayout, dataset: Dataset) -> Picture:
    """Return a frame with values from 0 to 255, from its lowest to its highest."""
    order = "<" if dataset.original_encoding[1] is not False else ">"
    kind = np.dtype(f"{order}u{layout.sample}")
    values = np.frombuffer(frame, kind).astype(np.int64)
    values &= int(np.frombuffer(layout.mask, kind)[0])
    if int(dataset.get("PixelRepresentation", 0)) == 1:
        sign = 1 << int(dataset.BitsStored) - 1
        values = (values ^ sign) - sign
    if layout.samples > 1:
        shape = (layout.samples, layout.rows, layout.columns)
        planes = values.reshape(shape if layout.planar else (*shape[1:], shape[0]))
        values = planes if not layout.planar else np.moveaxis(planes, 0, -1)
        if str(dataset.get("PhotometricInterpretation", "")).startswith("YBR"):
            values = values[..., 0]
    else:
        values = values.reshape(layout.rows, layout.columns)
    low, high = int(values.min()), int(values.max())
    return ((values - low) * 255 // max(high - low, 1)).astype(np.uint8)


def _recognize(picture: Picture) -> Iterator[Region]:
    shown = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    found, _ = _engine()(shown, use_cls=False)
    for corners, text, _ in found or ():
        if sum(letter.isalnum() for letter in text) < _FEWEST:
            continue
        left, top = (int(min(each)) for each in zip(*corners, strict=True))
        right, bottom = (int(max(each)) + 1 for each in zip(*corners, strict=True))
        # The ends of letters may stand out of what was found.
        margin = 2 + (bottom - top) // 4
        yield Region(
            max(left - margin, 0),
            max(top - margin, 0),
            right - max(left - margin, 0) + margin,
            bottom - max(top - margin, 0) + margin,
        )


@cache
def _engine() -> Any:
    """Return the engine, which is made where it is used: each process has a thread of its own."""
    from rapidocr_onnxruntime import RapidOCR

    return RapidOCR(det_intra_op_num_threads=1, rec_intra_op_num_threads=1)
