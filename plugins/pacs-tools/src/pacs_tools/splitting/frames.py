"""Pixels of frames: where native ones lie in the file, and others as they are coded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from pacs_core.dataset import BulkData, encoding_of, tag_of
from pacs_tools.files import DicomFile
from pacs_tools.splitting.classic import CannotSplitError
from pacs_tools.splitting.vectors import take_bits

PIXEL_DATA: Final = tag_of("PixelData")

_TABLES: Final = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")

Span: TypeAlias = tuple[int, int]
"""Offset and length, in the file."""


def read_frames(file: DicomFile, number: int) -> Iterator[bytes | Span]:
    """Iterate over frames, of which native ones are long, and need not be read here.

    Parameters
    ----------
    file : DicomFile
        Not deflated.
    number : int
        How many there are.

    Raises
    ------
    CannotSplitError
        There are no pixels that can be taken apart, or fewer than it says.
    """
    element = file.elements.elements.get(PIXEL_DATA)
    if element is None or not isinstance(element.value, BulkData):
        ends = file.damage and f", or is damaged: {file.damage}"
        raise CannotSplitError(f"it has no Pixel Data (7FE0,0010){ends}")
    start = file.dataset_offset + element.value.offset
    if encoding_of(file.meta.transfer_syntax_uid).encapsulated:
        yield from _read_encapsulated(file, element.value.offset)
        return
    bits = _frame_bits(file)
    held = (file.size - start) * 8 // bits
    if held < number:
        raise CannotSplitError(f"it ends in frame {held + 1} of {number}")
    if not bits % 8:
        yield from ((start + each * bits // 8, bits // 8) for each in range(number))
        return
    # Frames of one bit a pixel follow each other without a gap (PS3.5 §8.1.1).
    with file.path.open("rb") as source:
        for each in range(number):
            source.seek(start + each * bits // 8)
            yield take_bits(source.read(bits // 8 + 2), each * bits % 8, bits)


def read_span(path: Path, span: bytes | Span) -> bytes:
    """Return the pixels of a frame."""
    if isinstance(span, bytes):
        return span
    with path.open("rb") as file:
        file.seek(span[0])
        return file.read(span[1])


def _read_encapsulated(file: DicomFile, offset: int) -> Iterator[bytes]:
    from pacs_core.api.images import EncapsulatedFrames, ImageError, image_of

    attributes = {element.tag: file.elements.texts(element.tag) for element in file.elements}
    offsets, lengths = (tuple(map(int, attributes.get(tag_of(each), ()))) for each in _TABLES)
    try:
        frames = EncapsulatedFrames(
            image_of(attributes), file.meta.transfer_syntax_uid, offsets or None, lengths or None
        )
        for block in file.read_bulk(offset, 1 << 62):
            yield from frames.feed(block)
        frames.finish()
    except ImageError as error:
        raise CannotSplitError(f"its frames cannot be told apart: {error}") from error


def _frame_bits(file: DicomFile) -> int:
    try:
        bits, rows, columns, samples = (
            int(file.elements.texts(tag_of(keyword))[0])
            for keyword in ("BitsAllocated", "Rows", "Columns", "SamplesPerPixel")
        )
    except (IndexError, ValueError) as error:
        raise CannotSplitError("the size of its frames is not known") from error
    if bits % 8 and bits != 1:
        raise CannotSplitError(f"its samples of {bits} bits do not begin with a byte")
    if file.elements.texts(tag_of("PhotometricInterpretation")) == ("YBR_FULL_422",):
        raise CannotSplitError("its pixels are subsampled: convert them first")
    if not rows * columns * samples * bits:
        raise CannotSplitError("its frames have no pixels")
    return rows * columns * samples * bits
