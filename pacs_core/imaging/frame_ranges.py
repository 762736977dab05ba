"""Ranges of single frames in encapsulated Pixel Data, found without reading the others.

By the first of these that applies:

1. The frame's entry in the Extended or Basic Offset Table, if the table has no faults, there is a
   fragment where it points to, which begins as codestreams do, and the fragments from there end
   exactly where the next frame begins (PS3.5 A.4, PS3.3 C.7.6.3.1.8).
2. The headers of all fragments: a single frame has them all; as many fragments as frames have one
   each; else a frame begins with each fragment that begins as a codestream does, if there are as
   many of these as frames. If there are fewer, and all of them begin so, the last frames are
   missing.

If none does, the value has to be read from its beginning: `EncapsulatedFrames`.

How it works: as `ElementReader`, a generator asks for ranges and is sent their bytes.
"""

from array import array
from collections.abc import Generator, Sequence
from itertools import pairwise
from struct import Struct
from typing import TypeAlias

from pacs_core.imaging.boundaries import OffsetTable, signatures_of
from pacs_core.imaging.encapsulated import (
    MAX_FRAGMENTS_PER_FRAME,
    MAX_FRAME_BYTES,
    MAX_OFFSET_TABLE_BYTES,
)
from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.image import Image
from pacs_core.imaging.samples import Buffer
from pacs_core.imaging.syntaxes import pixel_syntax

# Theory of operation
#
# This is the twin of `EncapsulatedFrames` for whoever can jump. That one reads everything and is
# certain; this one reads headers of fragments only, and may say that there is no telling. It must
# never be wrong where the other would be right, since one frame would be shown under the number of
# another. Hence a table is believed only if the fragment it points to begins as a codestream does
# and the fragments end exactly where the next frame should begin.
#
# The walk over all headers is done once, and what it has found is kept for the next frame of the
# instance. Several may look for frames of it at the same time: what is found is set in one step,
# when it is complete, and each finds the same.

Span: TypeAlias = tuple[int, int]
"""Offset and length, in the value of Pixel Data."""

Finding: TypeAlias = Generator[Span, Buffer, "list[Span] | None"]

_HEADER = Struct("<HHI")
_ITEM = 0xFFFE_E000
_SEQUENCE_DELIMITATION = 0xFFFE_E0DD
_UNDEFINED_LENGTH = 0xFFFF_FFFF
_MAX_FRAGMENTS = 1 << 20


class FrameRanges:
    """Finds frames in one instance's Pixel Data.

    Parameters
    ----------
    image : Image
    transfer_syntax_uid : str
    extended_offsets, extended_lengths : sequence of int, optional
        Values of (7FE0,0001) and (7FE0,0002), see `offsets_of`.
    max_frame_bytes : int
        The longest frame that is accepted.
    """

    def __init__(
        self,
        image: Image,
        transfer_syntax_uid: str,
        extended_offsets: Sequence[int] | None = None,
        extended_lengths: Sequence[int] | None = None,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self._frames = image.frames
        self._max_frame_bytes = max_frame_bytes
        self._signatures = signatures_of(pixel_syntax(transfer_syntax_uid), image)
        self._head = max(map(len, self._signatures), default=0)
        self._tables: list[OffsetTable] = []
        if extended_offsets is not None:
            self._tables.append(OffsetTable("Extended Offset Table", extended_offsets))
        usable = extended_lengths is not None and len(extended_lengths) == image.frames
        self._lengths = extended_lengths if usable else None
        self._first = -1
        self._by_headers: list[list[Span]] | None = None
        self._walked = False
        self._fragments = 0

    @property
    def known_frames(self) -> int:
        """How many frames there are, as far as that is known by now; at most what is said."""
        return self._frames if self._by_headers is None else len(self._by_headers)

    @property
    def held(self) -> int:
        """How many numbers are remembered, roughly: of offset tables, and of fragments."""
        return self._fragments + sum(len(table.offsets) for table in self._tables)

    def extent(self, number: int) -> Span | None:
        """Return where a frame and the headers of its fragments lie, if that is known by now."""
        if self._by_headers is not None:
            if number > len(self._by_headers):
                return None
            spans = self._by_headers[number - 1]
            start, (last, length) = spans[0][0], spans[-1]
            extent = start, last + length - start
        elif self._tables and number < self._frames:
            offsets = self._tables[0].offsets
            extent = self._first + offsets[number - 1], offsets[number] - offsets[number - 1]
        else:
            return None
        return extent if 0 < extent[1] <= self._max_frame_bytes else None

    def find(self, number: int) -> Finding:
        """Return the spans of a frame, from 1, in order; None if there is no telling.

        Raises
        ------
        ImageError
            These are no items, or a limit is exceeded.
        """
        if self._first < 0:
            yield from self._read_first_item()
        spans = yield from self._by_table(number)
        if spans is None:
            if not self._walked:
                self._by_headers = yield from self._walk()
                self._fragments = sum(map(len, self._by_headers or ()))
                self._walked = True
            spans = next(iter((self._by_headers or [])[number - 1 : number]), None)
        if spans is not None and sum(length for _, length in spans) > self._max_frame_bytes:
            raise ImageError(f"frame {number} has more than {self._max_frame_bytes} bytes")
        return self._without_padding(number, spans)

    def count(self, most: int) -> Generator[Span, Buffer, int]:
        """Return how many frames there are, as far as that matters for those up to `most`.

        Raises
        ------
        ImageError
            As of :meth:`find`.
        """
        if not self._walked:
            yield from self.find(max(min(most, self._frames), 1))
        return self.known_frames

    def _read_first_item(self) -> Generator[Span, Buffer, None]:
        header = yield 0, _HEADER.size
        tag, length = _item(header)
        if tag != _ITEM or length == _UNDEFINED_LENGTH:
            raise ImageError("Pixel Data does not begin with a Basic Offset Table item")
        tables = [*self._tables]
        if length == 4 * self._frames and length <= MAX_OFFSET_TABLE_BYTES:
            table = yield _HEADER.size, length
            offsets = array("Q", [offset for (offset,) in Struct("<I").iter_unpack(table)])
            tables.append(OffsetTable("Basic Offset Table", offsets))
        if self._first < 0:  # nobody else has meanwhile
            self._tables = [table for table in tables if not table.fault(self._frames)]
            self._first = _HEADER.size + length

    def _by_table(self, number: int) -> Finding:
        for table in self._tables:
            start = self._first + table.offsets[number - 1]
            is_last = number == self._frames
            end = None if is_last else self._first + table.offsets[number]
            spans: list[Span] = []
            position = start
            while end is None or position < end:
                header = yield position, _HEADER.size + self._head
                if len(header) < _HEADER.size:
                    break
                tag, length = _item(header)
                if tag == _SEQUENCE_DELIMITATION and end is None:
                    return spans or None
                if tag != _ITEM or length == _UNDEFINED_LENGTH or not length:
                    break
                if not spans and not self._is_signed(header[_HEADER.size :]):
                    break
                spans.append((position + _HEADER.size, length))
                position += _HEADER.size + length
                _check_count(spans, MAX_FRAGMENTS_PER_FRAME)
            else:
                if position == end:
                    return spans
        return None

    def _is_signed(self, head: Buffer) -> bool:
        if not self._signatures:
            return True
        return any(bytes(head).startswith(name[: len(head)]) for name in self._signatures)

    def _walk(self) -> Generator[Span, Buffer, list[list[Span]] | None]:
        """Read the headers of all fragments, and tell the frames apart by them."""
        spans: list[Span] = []
        starts: list[int] = []
        position = self._first
        while True:
            header = yield position, _HEADER.size + self._head
            if len(header) < _HEADER.size:
                raise ImageError("the dataset ends before the Sequence Delimitation Item")
            tag, length = _item(header)
            position += _HEADER.size
            if tag == _SEQUENCE_DELIMITATION:
                break
            if not (tag or length):
                continue
            if tag != _ITEM or length == _UNDEFINED_LENGTH:
                raise ImageError(f"{tag:08X} where a fragment is due (at byte {position})")
            if length:
                if self._signatures and self._is_signed(header[_HEADER.size :][:length]):
                    starts.append(len(spans))
                spans.append((position, length))
                _check_count(spans, _MAX_FRAGMENTS)
            position += length
        if self._frames == 1 and spans:
            return [spans]
        if len(spans) == self._frames and len(starts) in {0, len(spans)}:
            return [[span] for span in spans]
        if len(starts) == self._frames and starts[0] == 0:
            return [spans[a:b] for a, b in pairwise((*starts, len(spans)))]
        if len(starts) == len(spans) < self._frames:
            # A codestream in each: there are fewer frames than is said, and no doubt which.
            return [[span] for span in spans] or None
        return None

    def _without_padding(self, number: int, spans: list[Span] | None) -> list[Span] | None:
        if spans is None or self._lengths is None or len(spans) != 1:
            return spans
        offset, stored = spans[0]
        length = self._lengths[number - 1]
        return [(offset, length if stored - length in {0, 1} else stored)]


def _item(header: Buffer) -> tuple[int, int]:
    if len(header) < _HEADER.size:
        raise ImageError("the dataset ends within encapsulated Pixel Data")
    group, element, length = _HEADER.unpack_from(header)
    return group << 16 | element, length


def _check_count(spans: list[Span], most: int) -> None:
    if len(spans) > most:
        raise ImageError(f"there are more than {most} fragments")
