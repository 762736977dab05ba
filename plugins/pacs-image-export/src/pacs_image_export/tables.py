"""Lookup tables: modality, VOI and palette colour (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5)."""

from struct import unpack

import numpy as np
from attrs import evolve, frozen
from pydicom.dataset import Dataset

from pacs_core.dataset import tag_of
from pacs_image_export.attributes import FrameAttributes, raw_value
from pacs_image_export.errors import RenderError
from pacs_image_export.samples import Array

_DESCRIPTOR, _DATA = tag_of("LUTDescriptor"), tag_of("LUTData")
_COLOURS = ("Red", "Green", "Blue")

_DISCRETE, _LINEAR, _INDIRECT = range(3)


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

    def look_up(self, values: Array) -> Array:
        """Return the entries for values; those beyond the ends have the entry there."""
        positions = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype("i8")
        found: Array = self.entries[positions]
        return found

    def fractions(self, values: Array) -> Array:
        """Return the entries for values as fractions of the highest that there can be."""
        return np.minimum(self.look_up(values) / ((1 << self.bits) - 1), 1)


@frozen
class Descriptor:
    """A LUT Descriptor: how many entries, the first value mapped, and bits of an entry."""

    count: int
    first: int
    bits: int


def descriptor_of(raw: bytes, *, is_signed: bool) -> Descriptor | None:
    """Return a LUT Descriptor; None if it has no three values.

    Parameters
    ----------
    raw : bytes
    is_signed : bool
        Whether what the table maps can be negative: says how the first value mapped is meant
        (PS3.3 C.11.1.1.1, C.11.2.1.1), whatever its VR.
    """
    if len(raw) < 6:
        return None
    count, first, bits = unpack("<HHH", raw[:6])
    if is_signed and first > 0x7FFF:
        first -= 0x1_0000
    # A count of 0 stands for 65536, which an unsigned short cannot hold.
    return Descriptor(count or 0x1_0000, first, min(bits, 16))


def first_table(attributes: FrameAttributes, sequence: str, *, is_signed: bool) -> Table | None:
    """Return the first table that is one of ``ModalityLUTSequence`` or ``VOILUTSequence``.

    Parameters
    ----------
    attributes : FrameAttributes
        Takes warnings of those that are none.
    sequence : str
    is_signed : bool
        See :func:`descriptor_of`.
    """
    for number, item in enumerate(attributes.items(sequence), 1):
        where = f"item {number} of {sequence}"
        descriptor = descriptor_of(raw_value(item, _DESCRIPTOR), is_signed=is_signed)
        data = raw_value(item, _DATA)
        if descriptor is None or not data:
            what = "LUT Data" if descriptor else "LUT Descriptor"
            attributes.warn(f"{where} is ignored: it has no {what}")
            continue
        return _make_table(descriptor, _entries(data, descriptor), where, attributes)
    return None


def _make_table(
    descriptor: Descriptor, entries: Array, where: str, attributes: FrameAttributes
) -> Table:
    if len(entries) < descriptor.count:
        attributes.warn(
            f"{where}: there are {len(entries)} entries, not {descriptor.count}; the last one "
            "stands for the others"
        )
    needed = int(entries.max()).bit_length()
    if needed > descriptor.bits:
        attributes.warn(f"{where}: entries have {needed} bits, not {descriptor.bits}")
    return Table(descriptor.first, entries, max(descriptor.bits, needed, 1))


def _entries(data: bytes, descriptor: Descriptor) -> Array:
    """Return entries of 8 or 16 bits: with 8, two may share a word or have one each."""
    words = np.frombuffer(data[: len(data) // 2 * 2] or b"\0\0", "<u2")
    if descriptor.bits > 8 or len(data) >= 2 * descriptor.count:
        return words[: descriptor.count]
    is_short = len(data) < descriptor.count
    if is_short and not (words > 0xFF).any():
        return words
    return np.frombuffer(data, "u1")[: descriptor.count]


def palette_of(attributes: FrameAttributes, *, is_signed: bool) -> list[Table]:
    """Return the tables for red, green and blue, segmented ones expanded.

    Raises
    ------
    RenderError
        One is missing, or has no entries.
    """
    dataset = attributes.dataset()
    tables = [_palette_table(dataset, colour, attributes, is_signed) for colour in _COLOURS]
    if all(table.bits > 8 and not (table.entries > 0xFF).any() for table in tables) and any(
        table.entries.any() for table in tables
    ):
        attributes.warn("the palette says 16 bits for entries of 8: they are taken as such")
        tables = [evolve(table, bits=8) for table in tables]
    return tables


def _palette_table(
    dataset: Dataset, colour: str, attributes: FrameAttributes, is_signed: bool
) -> Table:
    name = f"{colour}PaletteColorLookupTable"
    raw = raw_value(dataset, tag_of(f"{name}Descriptor"))
    descriptor = descriptor_of(raw, is_signed=is_signed)
    if descriptor is None:
        raise RenderError(f"the image has a palette, but no {name}Descriptor")
    data = raw_value(dataset, tag_of(f"{name}Data"))
    segments = raw_value(dataset, tag_of(f"Segmented{name}Data"))
    if data:
        entries = _entries(data, descriptor)
    elif segments:
        entries = expand(segments, descriptor.count, 8 if descriptor.bits <= 8 else 16)
    else:
        raise RenderError(f"the image has a palette, but no {name}Data")
    return _make_table(descriptor, entries, f"{name}Data", attributes)


def expand(data: bytes, count: int, bits: int) -> Array:
    """Return the entries of a segmented palette (PS3.3 C.7.9.2).

    Parameters
    ----------
    data : bytes
    count : int
        Entries that there should be; no more are made, whatever the segments say.
    bits : int
        Of each number in `data`, 8 or 16.

    Raises
    ------
    RenderError
        It is not made of segments.
    """
    size = bits // 8
    numbers = np.frombuffer(data[: len(data) // size * size], f"<u{size}")
    expanded = _Expansion(numbers, count, 32 // bits)
    expanded.run(0, None)
    if not expanded.length:
        raise RenderError("a segmented palette has no entries")
    return expanded.entries[: expanded.length]


class _Expansion:
    """Segments as they are expanded, one after the other."""

    def __init__(self, numbers: Array, count: int, words_of_offset: int) -> None:
        self._numbers = numbers
        self._words_of_offset = words_of_offset
        self.entries: Array = np.zeros(count, "<u2")
        self.length = 0

    def run(self, at: int, segments: int | None) -> None:
        """Expand segments from a position: so many of them, or all that there are."""
        while at + 2 < len(self._numbers) and self.length < len(self.entries) and segments != 0:
            kind, length = int(self._numbers[at]), int(self._numbers[at + 1])
            at += 2
            if kind == _DISCRETE:
                self._add(self._numbers[at : at + length])
                at += length
            elif kind == _LINEAR and self.length:
                # A line goes from the last entry there is to the number that the segment gives.
                start, end = int(self.entries[self.length - 1]), int(self._numbers[at])
                steps = np.arange(1, length + 1) / max(length, 1)
                self._add(np.rint(start + (end - start) * steps))
                at += 1
            elif kind == _INDIRECT and segments is None:
                offset = self._numbers[at : at + self._words_of_offset].tobytes()
                # An offset counts bytes, from the beginning of the data.
                self.run(int.from_bytes(offset, "little") // self._numbers.itemsize, length)
                at += self._words_of_offset
            else:
                raise RenderError("a segmented palette is not made of segments (PS3.3 C.7.9.2)")
            segments = None if segments is None else segments - 1

    def _add(self, values: Array) -> None:
        room = self.entries[self.length : self.length + len(values)]
        room[:] = values[: len(room)]
        self.length += len(room)
