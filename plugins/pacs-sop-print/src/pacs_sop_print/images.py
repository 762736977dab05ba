"""Images of image boxes, and Presentation LUTs, as requests bring them (PS3.3 C.13.5, C.11.4)."""

import uuid
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from pacs_core.dimse import DimseError, Status
from pacs_sop_print.attributes import require, tag_of, value_of
from pacs_sop_print.films import PresentationLut, PrintedImage

_SAMPLES: Final = {"MONOCHROME1": 1, "MONOCHROME2": 1, "RGB": 3}
_MAX_ENTRIES: Final = 1 << 16


def read_image(item: Dataset, *, is_color: bool, limit: int) -> tuple[PrintedImage, bytes]:
    """Return the image of an item of the image sequence, and its pixels as they are kept.

    Raises
    ------
    DimseError
        It is none that can be printed.
    """
    interpretation = str(require(item, "PhotometricInterpretation"))
    samples = _number(item, "SamplesPerPixel", 1, 3)
    _expect(_SAMPLES.get(interpretation) == samples, "PhotometricInterpretation", interpretation)
    _expect((samples == 3) == is_color, "SamplesPerPixel", samples)
    rows, columns = _number(item, "Rows", 1, 65535), _number(item, "Columns", 1, 65535)
    allocated = _number(item, "BitsAllocated", 8, 16)
    stored = _number(item, "BitsStored", 1, allocated)
    high = _number(item, "HighBit", stored - 1, allocated - 1)
    _expect(allocated in (8, 16), "BitsAllocated", allocated)
    _expect(not is_color or (allocated, stored) == (8, 8), "BitsStored", stored)
    _expect(_number(item, "PixelRepresentation", 0, 1) == 0, "PixelRepresentation", 1)
    planar = _number(item, "PlanarConfiguration", 0, 1) if is_color else 0
    size = rows * columns * samples * allocated // 8
    if size > limit:
        raise DimseError(Status.RESOURCE_LIMITATION, f"An image has at most {limit} bytes")
    data = require(item, "PixelData")
    _expect(isinstance(data, bytes) and len(data) >= size, "PixelData", f"{len(data)} bytes")
    image = PrintedImage(
        f"{uuid.uuid4().hex}.raw",
        rows,
        columns,
        samples,
        stored,
        interpretation == "MONOCHROME1",
        _aspect(item),
    )
    return image, _pixels(data[:size], image, allocated, high, planar)


def _pixels(data: bytes, image: PrintedImage, allocated: int, high: int, planar: int) -> bytes:
    if image.samples == 3:
        if planar == 0:
            return data
        planes = np.frombuffer(data, np.uint8).reshape(3, image.rows * image.columns)
        return planes.T.tobytes()
    kind = np.dtype(np.uint8 if allocated == 8 else "<u2")
    values: npt.NDArray[Any] = np.frombuffer(data, kind)
    shift = high + 1 - image.bits
    values = (values >> shift) & ((1 << image.bits) - 1)
    return bytes(values.astype(np.dtype(np.uint8 if image.bits <= 8 else "<u2")))


def _aspect(item: Dataset) -> float:
    """Return the height of a pixel in widths: Pixel Aspect Ratio is vertical, horizontal."""
    value = value_of(item, "PixelAspectRatio")
    if value is None:
        return 1.0
    try:
        vertical, horizontal = (float(each) for each in value)
        ratio = vertical / horizontal
    except (TypeError, ValueError, ZeroDivisionError):
        ratio = 0.0
    _expect(0.01 <= ratio <= 100, "PixelAspectRatio", value)
    return ratio


def read_lut(dataset: Dataset) -> PresentationLut:
    """Return the Presentation LUT of an N-CREATE (PS3.4 Table H.4-23, H.4.9.2.1.1.1).

    Its entries have 10 to 16 bits, and map values from 0 on. Their number should be that of the
    values of the images, but any is stretched over these: some images have 8 bits, others 12.

    Raises
    ------
    DimseError
        It has neither table nor shape, or both, or one that is none.
    """
    sequence = value_of(dataset, "PresentationLUTSequence")
    given = value_of(dataset, "PresentationLUTShape")
    _expect(sequence is None or given is None, "PresentationLUTShape", f"{given} beside a table")
    if sequence is None:
        shape = str(require(dataset, "PresentationLUTShape"))
        _expect(shape in ("IDENTITY", "LIN OD"), "PresentationLUTShape", shape)
        return PresentationLut(shape)
    item = sequence[0]
    descriptor = require(item, "LUTDescriptor")
    try:
        count, first, bits = (int(each) for each in descriptor)
    except (TypeError, ValueError):
        count = first = bits = -1
    count = count or _MAX_ENTRIES
    _expect(
        2 <= count <= _MAX_ENTRIES and first == 0 and 10 <= bits <= 16, "LUTDescriptor", descriptor
    )
    data = require(item, "LUTData")
    if isinstance(data, bytes):
        values = np.frombuffer(data[: len(data) & ~1], "<u2").tolist()
    else:
        values = [int(each) for each in (data if hasattr(data, "__iter__") else [data])]
    _expect(len(values) >= count, "LUTData", f"{len(values)} values")
    table = values[:count]
    _expect(max(table) < 1 << bits, "LUTData", max(table))
    return PresentationLut("", tuple(table), bits)


def _number(item: Dataset, keyword: str, low: int, high: int) -> int:
    value = require(item, keyword)
    _expect(isinstance(value, int) and low <= value <= high, keyword, value)
    return int(value)


def _expect(is_right: bool, keyword: str, value: Any) -> None:
    if not is_right:
        raise DimseError(
            Status.INVALID_ATTRIBUTE_VALUE,
            f"{keyword} cannot be {str(value)[:40]}",
            (tag_of(keyword),),
        )
