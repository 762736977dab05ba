"""Lookup tables of a dataset: modality, VOI and palette colour (PS3.3 C.11.1, C.11.2, C.7.9)."""

from io import BytesIO
from typing import Any

import numpy as np
from attrs import frozen
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs_core.contracts import FrameFormat
from pacs_image_export.errors import RenderError
from pacs_image_export.samples import Array

_COLOURS = ("Red", "Green", "Blue")


@frozen(eq=False)
class Table:
    """A lookup table.

    Attributes
    ----------
    first : int
        The value that the first entry is for; lower ones have the same.
    entries : array
    bits : int
        Of an entry.
    """

    first: int
    entries: Array
    bits: int

    def look_up(self, samples: Array) -> Array:
        """Return the entries for samples; those beyond the ends have the entry there."""
        positions = np.clip(samples.astype("i8") - self.first, 0, len(self.entries) - 1)
        found: Array = self.entries[positions]
        return found


def dataset_of(header: bytes) -> Dataset:
    """Return a header, of explicit VR little endian, as a dataset.

    Raises
    ------
    RenderError
        It cannot be read.
    """
    try:
        return dcmread(BytesIO(_PREFIX + header), force=True)
    except Exception as error:
        raise RenderError(f"the header cannot be read: {error}") from error


# File meta information with nothing but the transfer syntax.
_PREFIX = bytes(128) + b"DICM" + b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"


def table_of(dataset: Dataset, sequence: str, frame: FrameFormat) -> Table | None:
    """Return the first table of ``ModalityLUTSequence`` or ``VOILUTSequence``, if there is one.

    Raises
    ------
    RenderError
        It is not what its descriptor says.
    """
    items = dataset.get(sequence)
    if not items:
        return None
    item = items[0]
    return _table(item, "LUTDescriptor", "LUTData", f"{sequence}: ", frame.is_signed)


def palette_of(dataset: Dataset) -> list[Table]:
    """Return the tables for red, green and blue.

    Raises
    ------
    RenderError
        One is missing, is not what its descriptor says, or comes in segments.
    """
    names = [f"{colour}PaletteColorLookupTable" for colour in _COLOURS]
    if any(f"Segmented{name}Data" in dataset for name in names):
        raise RenderError("segmented palettes (PS3.3 C.7.9.2) are not expanded")
    return [_table(dataset, f"{name}Descriptor", f"{name}Data", "", False) for name in names]


def _table(holder: Any, descriptor: str, data: str, where: str, signed: bool) -> Table:
    described, value = holder.get(descriptor), holder.get(data)
    try:
        count, first, bits = map(int, described)
        entries = _entries(value, bits, (count & 0xFFFF) or 0x1_0000)
    except (TypeError, ValueError) as error:
        raise RenderError(f"{where}{data} and {descriptor} make no table: {error}") from error
    first &= 0xFFFF
    return Table(first - (0x1_0000 if signed and first > 0x7FFF else 0), entries, bits)


def _entries(value: Any, bits: int, count: int) -> Array:
    if not 1 <= bits <= 16:
        raise ValueError(f"{bits} bits to an entry")
    if isinstance(value, bytes):
        # With 8 bits, two entries may share a word, or each have one of its own.
        width = "u1" if bits <= 8 and len(value) < 2 * count else "<u2"
        entries = np.frombuffer(value[: len(value) // 2 * 2], width)
    else:
        numbers = [value] if isinstance(value, int) else list(value)
        entries = np.array([int(number) & 0xFFFF for number in numbers], "<u2")
    if len(entries) < count:
        raise ValueError(f"{len(entries)} entries, {count} expected")
    return entries[:count]
