"""Pixels of frames: where native ones lie in the file, and others as they are coded."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from pacs_tools.splitting.classic import CannotSplitError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PIXEL_DATA: Final = (0x7FE0, 0x0010)


Span: TypeAlias = tuple[int, int]
"""Offset and length, in the file."""


def read_frames(file: BinaryIO, dataset: "Dataset", number: int) -> Iterator[bytes | Span]:
    """Iterate over frames, of which native ones are long, and need not be read here.

    Parameters
    ----------
    file : BinaryIO
        At the element of Pixel Data.
    dataset : Dataset
        All before.
    number : int
        How many there are.

    Raises
    ------
    CannotSplitError
        There are no pixels that can be taken apart, or fewer than it says.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    head = file.read(8 if syntax.is_implicit_VR else 12)
    order = "little" if syntax.is_little_endian else "big"
    tag = tuple(int.from_bytes(head[at : at + 2], order) for at in (0, 2))  # type: ignore[arg-type]
    if tag != _PIXEL_DATA:
        raise CannotSplitError("it has no Pixel Data (7FE0,0010)")
    if syntax.is_encapsulated:
        yield from _read_encapsulated(file, dataset, number)
        return
    length = _frame_length(dataset)
    held = (os.fstat(file.fileno()).st_size - file.tell()) // length
    if held < number:
        raise CannotSplitError(f"it ends in frame {held + 1} of {number}")
    start = file.tell()
    yield from ((start + each * length, length) for each in range(number))


def read_span(path: Path, span: bytes | Span) -> bytes:
    """Return the pixels of a frame."""
    if isinstance(span, bytes):
        return span
    with path.open("rb") as file:
        file.seek(span[0])
        return file.read(span[1])


def _read_encapsulated(file: BinaryIO, dataset: "Dataset", number: int) -> Iterator[bytes]:
    from pydicom.encaps import generate_frames

    table = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    found = 0
    try:
        for frame in generate_frames(
            file, number_of_frames=number, extended_offsets=table if all(table) else None
        ):
            found += 1
            yield frame
    except (ValueError, EOFError, OSError) as error:
        raise CannotSplitError(f"its frames cannot be told apart: {error}") from error
    if found != number:
        raise CannotSplitError(f"it has {found} frames, and says {number}")


def _frame_length(dataset: "Dataset") -> int:
    try:
        bits, rows, columns, samples = (
            int(dataset[keyword].value)
            for keyword in ("BitsAllocated", "Rows", "Columns", "SamplesPerPixel")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CannotSplitError(f"the size of its frames is not known: {error}") from error
    if bits % 8:
        raise CannotSplitError(f"its frames of {bits} bits a sample do not begin with a byte")
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
        raise CannotSplitError("its pixels are subsampled: convert them first")
    length = rows * columns * samples * bits // 8
    if length < 1:
        raise CannotSplitError("its frames have no pixels")
    return length
