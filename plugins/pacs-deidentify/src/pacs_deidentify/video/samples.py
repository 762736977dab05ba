"""Samples of the tracks of MP4 files: where they are, and what is overwritten in them.

ISO/IEC 14496-12 §8, 14496-15 §5.3.3 and §8.3.3.
"""

import struct
import sys
from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, Protocol

from attrs import define

from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.video.elementary import ElementaryStream
from pacs_deidentify.video.index import (
    Box,
    Reader,
    boxes,
    find_metadata,
    is_sound,
    named,
    read_index,
)
from pacs_deidentify.video.units import H264, H265, Codec, Mpeg2, Unit

_MOST_SAMPLES: Final = 1 << 22
_ENTRY: Final = 78
_COMPRESSOR: Final = slice(42, 74)
"""Of a visual sample entry: where boxes begin in it, and where a name of what has made it is."""

_FREE: Final = b"free"


class RangeEditor(Protocol):
    """Overwrites what is in ranges, each of which it is told the beginning of."""

    found: bool

    def begin(self) -> None:
        """Start with a range."""

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """Edit the next bytes of a range."""


class LengthPrefixed:
    """NAL units, each after its length."""

    def __init__(self, codec: Codec, size: int) -> None:
        self.found = False
        self._codec, self._size = codec, size
        self.begin()

    def begin(self) -> None:
        """See base."""
        self._head = bytearray()
        self._left = 0
        self._unit: Unit | None = None

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """See base."""
        at = start
        while at < end:
            whole = self._size + self._codec.header
            if len(self._head) < whole:
                taken = min(end - at, whole - len(self._head))
                self._head += data[at : at + taken]
                at += taken
                if len(self._head) == whole:
                    length = int.from_bytes(self._head[: self._size], "big")
                    self._left = max(length - self._codec.header, 0)
                    self._unit = self._codec.unit(bytes(self._head[self._size :]))
            stop = min(end, at + self._left)
            if self._unit and stop > at:
                self.found |= self._unit.edit(data, at, stop)
            self._left -= stop - at
            at = stop
            if len(self._head) == whole and not self._left:
                self._head.clear()


class Marked(ElementaryStream):
    """Units that begin with start codes, as those of MPEG-2 and MPEG-4 Visual."""

    def begin(self) -> None:
        """See base."""


class Erased:
    """What is neither seen nor heard: captions, time codes, names."""

    def __init__(self) -> None:
        self.found = False

    def begin(self) -> None:
        """See base."""

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """See base."""
        self.found |= any(data[start:end])
        data[start:end] = bytes(end - start)


class Silenced(Erased):
    """Sound: who speaks, and whose name is said."""


class Freed:
    """Kinds of boxes that become free space (14496-12 §8.1.2)."""

    def __init__(self) -> None:
        self.found = False
        self._at = 0

    def begin(self) -> None:
        """See base."""
        self._at = 0

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """See base."""
        self.found = True
        data[start:end] = _FREE[self._at : self._at + end - start]
        self._at += end - start


@define
class Ranges:
    """Ranges of a file with one editor, in ascending order of where they begin."""

    editor: RangeEditor
    starts: "array[int]"
    sizes: "array[int]"
    _next: int = 0
    _at: int = 0
    _left: int = 0

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """Edit the next bytes of the file."""
        at = start
        while at < end:
            if not self._left:
                at += self._go_to_range(end - at)
                if at == end:
                    return
            stop = min(end, at + self._left)
            self.editor.edit(data, at, stop)
            self._left -= stop - at
            self._at += stop - at
            at = stop

    def _go_to_range(self, most: int) -> int:
        """Go to where the next range begins, or by so many bytes; return by how many."""
        while self._next < len(self.starts) and (
            self.starts[self._next] < self._at or not self.sizes[self._next]
        ):
            self._next += 1  # within another, or empty
        gap = most
        if self._next < len(self.starts):
            gap = min(most, self.starts[self._next] - self._at)
            if gap < most:
                self._left = self.sizes[self._next]
                self._next += 1
                self.editor.begin()
        self._at += gap
        return gap


class Mp4:
    """Overwrites what the tracks of an MP4 file say beside pictures.

    Parameters
    ----------
    reader : Reader
        Of the whole file, for its index.
    keeps_sound : bool, optional
        Whether tracks of sound stay; else they are erased, and their part of the index as well.

    Raises
    ------
    DeidentificationError
        It is damaged, or its frames are in movie fragments.
    """

    def __init__(self, reader: Reader, *, keeps_sound: bool = False) -> None:
        try:
            self._ranges = list(_find_ranges(reader, keeps_sound=keeps_sound))
        except (struct.error, IndexError, OverflowError, KeyError) as error:
            raise DeidentificationError("the index of its video is damaged") from error

    @property
    def found(self) -> bool:
        """Whether anything was overwritten."""
        return any(ranges.editor.found for ranges in self._ranges)

    @property
    def silenced(self) -> bool:
        """See base."""
        editors = [ranges.editor for ranges in self._ranges]
        return any(isinstance(editor, Silenced) and editor.found for editor in editors)

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """Edit a range of the file, which follows that of the call before."""
        for ranges in self._ranges:
            ranges.edit(data, start, end)


def _find_ranges(reader: Reader, *, keeps_sound: bool) -> Iterator[Ranges]:
    moov, origin = read_index(reader)
    for box in boxes(moov, 0, len(moov)):
        if box.kind == b"mvex":
            raise DeidentificationError("its video is in movie fragments: remux it first")
        if box.kind == b"trak" and not (keeps_sound and is_sound(moov, box)):
            yield from _ranges_of_track(moov, box, origin)
    metadata = find_metadata(reader, moov, origin, keeps_sound=keeps_sound)
    starts, sizes = zip(*sorted(metadata.erased), strict=True)
    yield Ranges(Erased(), array("Q", starts), array("Q", (max(size, 0) for size in sizes)))
    freed = array("Q", sorted(metadata.freed))
    yield Ranges(Freed(), freed, array("Q", [len(_FREE)]) * len(freed))


def _ranges_of_track(moov: bytes, trak: Box, origin: int) -> Iterator[Ranges]:
    media = named(moov, named(moov, trak)[b"mdia"])
    kind = moov[media[b"hdlr"].start + 8 : media[b"hdlr"].start + 12]
    tables = named(moov, named(moov, media[b"minf"])[b"stbl"])
    editor: RangeEditor = Silenced() if is_sound(moov, trak) else Erased()
    if kind == b"vide":
        descriptions = tables[b"stsd"]
        for entry in boxes(moov, descriptions.start + 8, descriptions.end):
            name = origin + entry.start + _COMPRESSOR.start
            yield _range(Erased(), name, _COMPRESSOR.stop - _COMPRESSOR.start)
            inner = named(moov, Box(b"", entry.start + _ENTRY, entry.end))
            editor = _editor_of(moov, inner)
            if b"hvcC" in inner:
                yield from _sei_arrays(moov, inner[b"hvcC"], origin)
    starts, sizes = _samples(moov, tables)
    if any(first > second for first, second in pairwise(starts)):
        order = sorted(range(len(starts)), key=starts.__getitem__)
        starts = array("Q", (starts[number] for number in order))
        sizes = array("Q", (sizes[number] for number in order))
    yield Ranges(editor, starts, sizes)


def _range(editor: RangeEditor, start: int, size: int) -> Ranges:
    return Ranges(editor, array("Q", [start]), array("Q", [size]))


def _editor_of(moov: bytes, inner: dict[bytes, Box]) -> RangeEditor:
    if b"avcC" in inner:
        sets = _parameter_sets(moov, inner[b"avcC"])
        return LengthPrefixed(H264(sets), (moov[inner[b"avcC"].start + 4] & 3) + 1)
    if b"hvcC" in inner:
        return LengthPrefixed(H265(), (moov[inner[b"hvcC"].start + 21] & 3) + 1)
    return Marked(Mpeg2())


def _parameter_sets(moov: bytes, box: Box) -> Iterator[bytes]:
    """Iterate over the sequence parameter sets of H.264, without headers (14496-15 §5.3.3.1.2)."""
    at = box.start + 6
    for _ in range(moov[box.start + 5] & 0x1F):
        (length,) = struct.unpack_from(">H", moov, at)
        yield moov[at + 3 : min(at + 2 + length, box.end)]
        at += 2 + length


def _sei_arrays(moov: bytes, box: Box, origin: int) -> Iterator[Ranges]:
    """Iterate over where the configuration of a decoder has units, SEI among them."""
    at = box.start + 23
    for _ in range(moov[box.start + 22]):
        (units,) = struct.unpack_from(">H", moov, at + 1)
        start = at = at + 3
        for _ in range(units):
            at += 2 + struct.unpack_from(">H", moov, at)[0]
        yield _range(LengthPrefixed(H265(), 2), origin + start, at - start)


def _samples(moov: bytes, tables: dict[bytes, Box]) -> "tuple[array[int], array[int]]":
    """Return where the samples of a track are, and how large (14496-12 §8.7)."""
    sizes = _sizes(moov, tables)
    wide = b"co64" in tables
    chunks = _table(moov, tables[b"co64" if wide else b"stco"], "Q" if wide else "I", 4)
    runs = _table(moov, tables[b"stsc"], "I", 4, width=3)
    firsts, counts = runs[::3], runs[1::3]
    starts, number = array("Q"), 0
    for (first, last), count in zip(pairwise([*firsts, len(chunks) + 1]), counts, strict=True):
        for position in chunks[max(first - 1, 0) : max(last - 1, 0)]:
            for size in sizes[number : number + count]:
                starts.append(position)
                position += size
            number += count
    return starts, sizes[: len(starts)]


def _sizes(moov: bytes, tables: dict[bytes, Box]) -> "array[int]":
    box = tables.get(b"stsz")
    if box is None:
        raise DeidentificationError("the index of its video has no table of sizes (stsz)")
    size, count = struct.unpack_from(">II", moov, box.start + 4)
    if count > _MOST_SAMPLES:
        raise DeidentificationError(f"its video has more than {_MOST_SAMPLES} samples")
    return array("Q", [size]) * count if size else array("Q", _table(moov, box, "I", 8))


def _table(moov: bytes, box: Box, form: str, before: int, width: int = 1) -> "array[int]":
    """Return the numbers of a table, after that of its entries."""
    start = box.start + before
    (count,) = struct.unpack_from(">I", moov, start)
    numbers = array(form)
    end = start + 4 + count * width * numbers.itemsize
    if end > box.end or count > _MOST_SAMPLES:
        raise DeidentificationError("the index of its video is damaged")
    numbers.frombytes(moov[start + 4 : end])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
