"""Reads the elements of a dataset that lies in an object, without reading its long values.

How it works: the reader asks for ranges of bytes and is given them (a generator of `(offset,
length)`), so that it can be driven by files, object stores and buffers alike. It takes a window of
the dataset at a time and walks from header to header with a stack of its own; what is long is not
asked for. Of encapsulated Pixel Data it reads nothing but the headers of the fragments, to find
what follows them.

It puts up with the same oddities as `ElementWalk`: what has been stored can be read.
"""

import struct
import sys
from collections.abc import Generator
from itertools import chain
from typing import BinaryIO, Final, TypeAlias

from attrs import define, evolve, field, frozen

from pacs_core.dataset.byte_order import swap_words, word_size
from pacs_core.dataset.charset import declare, with_default
from pacs_core.dataset.data_elements import BulkData, DataElement, ElementPath, ElementSet
from pacs_core.dataset.errors import MalformedDataset
from pacs_core.dataset.layout import (
    BULK_VRS,
    FOREIGN_GROUPS,
    IMPLICIT,
    ITEM,
    ITEM_DELIMITATION,
    ITEM_TAGS,
    NARROW_CODES,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Buffer,
    Header,
    Layout,
    begins_with_item,
    layout_of,
    read_foreign,
    read_last_header,
    shown,
)
from pacs_core.dataset.model import PIXEL_DATA_TAGS, SPECIFIC_CHARACTER_SET, PixelDataElement
from pacs_core.dataset.plain_elements import known_vrs, plain_taker, remember_vr
from pacs_core.dataset.speedups import PlainElements
from pacs_core.dataset.transfer_syntax import IMPLICIT_VR_LITTLE_ENDIAN, encoding_of
from pacs_core.dataset.values import decode_value
from pacs_core.dataset.vr_resolution import DECISIVE_TAGS, NOTHING_KNOWN, VrContext, resolve_vr

# Theory of operation
#
# The reader is a generator that asks for ranges and is sent bytes. It thus has no opinion on where
# a dataset lies: a file, an object store behind a network and a buffer in memory drive the same
# code, and only the driver knows whether it waits.
#
# One window of the dataset is in memory (`_buffer`, which begins at `_base`); `end` is the
# position, and the only one. `_load` has so many bytes at the position, and asks for a whole window
# where it has to ask at all, so that a header of a hundred elements costs one read. A value that is
# longer than the limits allow is noted as `BulkData`, and the position jumps behind it: its bytes
# are never asked for.
#
# Most elements are plain (`_take_plain`), and taken in a tight loop: in C where pacs-speedups is
# installed, which takes sequences as well, if they lie whole in the window. What it cannot take it
# leaves at its first byte, so that the walk here is the reference for all that is odd.
#
# The stack holds what is open, and each of its entries has two ends. `end` is where it ends by its
# own length, or `_DELIMITED`. `bound` is the nearest end of anything around it. All lengths are
# held against the bound. The size of the dataset may not be known (a deflated one): then the bound
# of the root is as far as can be, and a read that returns less than was asked for lowers the bounds
# of all that is open.
#
# `ElementWalk` recodes while data arrive, `Parser` takes what is in memory whole, this one reads
# what has been stored: three walks, because each would be slow, or hold too much, in the place of
# another. They share how headers are read (`layout`), and what is put up with there.

Reading: TypeAlias = Generator[tuple[int, int], Buffer, None]
"""Asks for `length` bytes at `offset` of the dataset; is sent them, or fewer at its end."""

WINDOW: Final = 16 * 1024
_READ: Final = 64 * 1024
_DELIMITED: Final = -1
_FRAGMENTED: Final = frozenset({"OB", "OW"})


@frozen
class ReadLimits:
    """How much of a dataset is read, whatever is in it.

    Attributes
    ----------
    bulk : int
        Bytes up to which a value of VR OB, OD, OF, OL, OV, OW or UN is read.
    value : int
        Bytes up to which any other value is read.
    total : int
        Bytes of all values together; what goes beyond it is left where it is.
    elements : int
        Number of elements.
    depth : int
        How deeply sequences may nest.
    """

    bulk: int = 1024
    value: int = 256 * 1024
    total: int = 64 << 20
    elements: int = 500_000
    depth: int = 100


_DECISIVE: Final = frozenset({*DECISIVE_TAGS, *PIXEL_DATA_TAGS, SPECIFIC_CHARACTER_SET})
"""Tags of what decides how something else is read."""


@define
class _OpenSet:
    """A dataset, item or sequence being read; `items` is None unless it is a sequence."""

    layout: Layout
    character_sets: tuple[str, ...]
    end: int
    bound: int
    context: VrContext
    tag: int = 0
    elements: dict[int, DataElement] = field(factory=dict)
    items: list[ElementSet] | None = None


class ElementReader:
    """Reads one dataset: drive :meth:`run`, then take :attr:`elements`.

    Parameters
    ----------
    transfer_syntax_uid : str
        Offsets are those of the inflated dataset, if it is a deflated one: inflate it first.
    size : int, optional
        Bytes of the dataset, if they are known.
    limits : ReadLimits
    until_pixel_data : bool
        Read no further than the header of top-level Pixel Data.
    default_character_set : tuple of str
        Specific Character Set of what names none, or lies; empty for Latin-1.
    with_offsets : bool
        Note where each element, and each item, begins.

    Attributes
    ----------
    offsets : dict of ElementPath to int
        Where the headers of elements, and those of items, begin, if that was asked for.
    pixel_data : PixelDataElement or None
        The header of top-level Pixel Data, Float or Double Float Pixel Data.
    pixel_data_offset : int
        Where its value begins.
    end : int
        Where reading has ended.
    """

    def __init__(
        self,
        transfer_syntax_uid: str,
        size: int | None = None,
        *,
        limits: ReadLimits | None = None,
        until_pixel_data: bool = False,
        default_character_set: tuple[str, ...] = (),
        with_offsets: bool = False,
    ) -> None:
        self.offsets: dict[ElementPath, int] = {}
        self._with_offsets = with_offsets
        self.pixel_data: PixelDataElement | None = None
        self.pixel_data_offset = 0
        self._limits = limits or ReadLimits()
        self._until_pixel_data = until_pixel_data
        layout = layout_of(encoding_of(transfer_syntax_uid))
        end = sys.maxsize if size is None else size
        sets = with_default((), default_character_set)
        self._root = _OpenSet(layout, sets, end, end, NOTHING_KNOWN)
        self._stack = [self._root]
        self._buffer: Buffer = b""
        self._base = 0
        self.end = 0
        self._sequence_end = -1
        self._obstacle = 0
        self._spent = 0
        self._count = 0
        self._stopped = False

    @property
    def elements(self) -> ElementSet:
        """What has been read."""
        return ElementSet(self._root.elements, self._root.character_sets)

    def run(self) -> Reading:
        """Read the dataset.

        Raises
        ------
        MalformedDataset
            It is none in that transfer syntax, or exceeds the limits.
        """
        while not self._stopped:
            top = self._stack[-1]
            if self.end in (top.end, top.bound):
                if top is self._root:
                    return
                self._close()
                continue
            if self.end + 12 > self._base + len(self._buffer):
                yield from self._load(12)
            left = top.bound - self.end
            if left < 8:
                yield from self._pass_padding(left)
            elif top.items is not None:
                self._read_item(top)
            elif not self._take_plain(top):
                yield from self._read_element(top)

    def read_file(self, file: BinaryIO, start: int = 0) -> None:
        """Read the dataset that begins so many bytes into a file; see :meth:`run`. Blocking."""
        reading = self.run()
        try:
            offset, length = next(reading)
            while True:
                file.seek(start + offset)
                # A window is small for who waits for each; a file gives more in the same time.
                offset, length = reading.send(file.read(_READ if length == WINDOW else length))
        except StopIteration:
            return

    def read_memory(self, dataset: Buffer) -> None:
        """Read a dataset that is in memory; see :meth:`run`."""
        reading = self.run()
        try:
            offset, length = next(reading)
            while True:
                offset, length = reading.send(dataset[offset : offset + length])
        except StopIteration:
            return

    def give_up(self) -> None:
        """Close all that is open, so that `elements` has what was read before an error."""
        while len(self._stack) > 1:
            self._close()

    def _load(self, length: int, ahead: int = WINDOW) -> Reading:
        """Have `length` bytes at the position in the window, or all there are."""
        if self.end >= self._base and self.end + length <= self._base + len(self._buffer):
            return
        wanted = min(max(length, ahead), self._root.bound - self.end)
        self._buffer = yield self.end, wanted
        self._base = self.end
        if len(self._buffer) < wanted:
            # The dataset ends here, and so does whatever has not ended.
            end = self._base + len(self._buffer)
            for opened in self._stack:
                opened.bound = min(opened.bound, end)

    def _error_at(self, what: str) -> MalformedDataset:
        return MalformedDataset(what, self.end)

    def _pass_padding(self, left: int) -> Reading:
        yield from self._load(left)
        start = self.end - self._base
        if any(self._buffer[start : start + left]):
            raise self._error_at("truncated: an element's header was expected")
        self.end += left

    def _take_plain(self, top: _OpenSet) -> bool:
        """Take elements as long as they are plain; False if not even the next one is.

        Most are: in little endian, short, wholly in the window, and without meaning for what
        follows. A generator for each of their steps would take twice as long.
        """
        if not top.layout.little_endian or self._with_offsets:
            return False
        if (taker := plain_taker()) is not None:
            return self._take_in_c(taker, top)
        return top.layout.explicit and self._take_in_python(top)

    def _take_in_c(self, taker: PlainElements, top: _OpenSet) -> bool:
        base, limits, begin = self._base, self._limits, self.end
        known = None if top.layout.explicit else known_vrs
        end, spent, count, sequence_end, obstacle = taker.take(
            self._buffer,
            begin - base,
            min(top.bound - base, len(self._buffer)),
            top.elements,
            top.character_sets,
            known,
            (
                limits.value,
                limits.bulk,
                limits.total - self._spent,
                limits.elements - self._count,
                2 * limits.depth + 1 - len(self._stack),
            ),
            self._sequence_end - base,
            self._obstacle - base,
        )
        self.end = base + end
        self._spent += spent
        self._count += count
        self._sequence_end = base + sequence_end
        self._obstacle = base + obstacle
        return self.end > begin

    def _take_in_python(self, top: _OpenSet) -> bool:
        buffer, base, elements = self._buffer, self._base, top.elements
        unpack, plain, limits = top.layout.unpack_narrow, NARROW_CODES.get, self._limits
        begin = position = self.end - base
        # One of 8 bytes may be the last, and is read with what may follow it.
        last = min(top.bound - base, len(buffer)) - 12
        left, spent = limits.elements - self._count, 0
        most = limits.total - self._spent
        while position <= last:
            group, number, code, length = unpack(buffer, position)
            vr, tag, end = plain(code), group << 16 | number, position + 8 + length
            spent += length
            if (
                vr is None
                or not number
                or tag in _DECISIVE
                or group in FOREIGN_GROUPS
                or tag >= ITEM
                or end > last + 12
                or length > limits.value
                or spent > most
                or left <= 0
            ):
                spent -= length
                break
            elements[tag] = DataElement(tag, vr, bytes(buffer[position + 8 : end]))
            left -= 1
            position = end
        self._spent += spent
        self._count = limits.elements - left
        self.end = base + position
        return position > begin

    def _read_element(self, top: _OpenSet) -> Reading:
        position = self.end - self._base
        left = top.bound - self.end
        if left < 12:
            header = read_last_header(top.layout, self._buffer, position, left)
        else:
            header = top.layout.read_header(self._buffer, position, self._base)
        if header is not None and header[0] >> 16 in FOREIGN_GROUPS:
            header = read_foreign(top.layout, self._buffer, position, header)
        if header is None:
            raise self._error_at("truncated: an element's header is incomplete")
        tag, vr, start, length = header
        start += self._base
        if tag >= ITEM:
            self._end_item(top, tag, start)
            return
        if length != UNDEFINED_LENGTH and start + length > top.bound:
            raise self._error_at(f"{shown(tag)} claims {length} bytes, too many")
        self._count += 1
        if self._count > self._limits.elements:
            raise self._error_at(f"there are more than {self._limits.elements} elements")
        if self._with_offsets:
            self.offsets[self._path(tag)] = self.end
        # Group lengths are retired (PS3.5 §7.2), and untrue as soon as anything is edited.
        if length != UNDEFINED_LENGTH and (tag >> 16 in FOREIGN_GROUPS or not tag & 0xFFFF):
            self.end = start + length
            return
        yield from self._read_value(top, (tag, vr, start, length))

    def _path(self, tag: int) -> ElementPath:
        steps = ((each.tag, len(each.items)) for each in self._stack if each.items is not None)
        return (*chain.from_iterable(steps), tag)

    def _read_value(self, top: _OpenSet, header: Header) -> Reading:
        tag, sent, start, length = header
        layout = IMPLICIT if sent == "UN" else top.layout
        vr = sent if sent and sent != "UN" else resolve_vr(tag, top.context)
        if not sent:
            remember_vr(tag, vr)
        if tag in PIXEL_DATA_TAGS and top is self._root:
            known = None if length == UNDEFINED_LENGTH else length
            self.pixel_data = PixelDataElement(tag, vr, known)
            self.pixel_data_offset = start
            if self._until_pixel_data:
                self._stopped = True
            if self._stopped:
                return
        if length == UNDEFINED_LENGTH:
            yield from self._open_delimited(top, layout, (tag, sent, start, length), vr)
            return
        self.end = start
        # Its items may be in either encoding: the bytes are taken first, and looked into then.
        if vr == "SQ" and sent == "UN":
            yield from self._take_value(top, layout, tag, "UN", length)
            self._look_into(top, tag)
            return
        if vr == "SQ":
            # Fewer than 8 bytes hold no item: whatever it is, it is no sequence.
            if not 0 < length < 8:
                yield from self._load(min(length, 8))
                where = start - self._base
                if not length or begins_with_item(layout, self._buffer, where):
                    self._push(
                        _OpenSet(layout, (), start + length, start + length, top.context, tag)
                    )
                    return
            vr = "UN"
        yield from self._take_value(top, layout, tag, vr, length)

    def _take_value(self, top: _OpenSet, layout: Layout, tag: int, vr: str, length: int) -> Reading:
        start, limits = self.end, self._limits
        word = 1 if layout.little_endian else word_size(vr)
        most = min(limits.bulk if vr in BULK_VRS else limits.value, limits.total - self._spent)
        if length > most or (length and tag in PIXEL_DATA_TAGS):
            top.elements[tag] = DataElement(tag, vr, BulkData(start, length, word))
            self.end = start + length
            return
        yield from self._load(length)
        where = start - self._base
        value = bytes(swap_words(self._buffer[where : where + length], word))
        if len(value) < length:
            raise self._error_at(f"truncated: {shown(tag)} claims {length} bytes")
        self._spent += length
        self.end = start + length
        top.elements[tag] = DataElement(tag, vr, value)
        if tag == SPECIFIC_CHARACTER_SET:
            declared = decode_value("CS", value, True, ())
            top.character_sets = declare(top.character_sets, declared)
        elif tag in DECISIVE_TAGS and length == 2:
            top.context = top.context.learn(tag, int.from_bytes(value, "little"))

    def _look_into(self, top: _OpenSet, tag: int) -> None:
        """Make a sequence of a value that was sent as UN, if it is one (PS3.5 §6.2.2, note 2).

        Some writers use the encoding of the dataset where it should be implicit: then it stays UN.
        """
        value = top.elements[tag].value
        if not isinstance(value, bytes):
            return
        header = struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value))
        size = len(header) + len(value)
        # All of it is in memory already, so nothing within may be left out as too long.
        limits = evolve(self._limits, bulk=size, value=size, total=size)
        within = ElementReader(
            IMPLICIT_VR_LITTLE_ENDIAN, size, limits=limits, with_offsets=self._with_offsets
        )
        within._root.character_sets = top.character_sets
        try:
            within.read_memory(header + value)
        except MalformedDataset:
            return
        found = within.elements.elements[tag]
        # Else sequences sent as UN would be a way around the limit of elements.
        self._count += within._count
        if found.vr == "SQ":
            top.elements[tag] = found
            # The value ends at the position; within it stands behind a header of its own.
            moved, here = self.end - size, self._path(tag)[:-1]
            for path, offset in within.offsets.items():
                if len(path) > 1:
                    self.offsets[(*here, *path)] = moved + offset

    def _open_delimited(self, top: _OpenSet, layout: Layout, header: Header, vr: str) -> Reading:
        tag, sent, start, _ = header
        if sent not in {"", "SQ", "UN", "OB", "OW"}:
            raise self._error_at(f"VR {sent} cannot have undefined length")
        self.end = start
        if vr in _FRAGMENTED:
            yield from self._pass_fragments(top)
            top.elements[tag] = DataElement(tag, vr, BulkData(start, None))
            return
        # Nothing else has undefined length but sequences, private ones included (PS3.5 §6.2.2).
        self._push(_OpenSet(layout, (), _DELIMITED, top.bound, top.context, tag))

    def _pass_fragments(self, top: _OpenSet) -> Reading:
        """Go behind encapsulated Pixel Data, from one fragment's header to the next."""
        while True:
            # Fragments are far apart: what a window would read ahead is skipped, not used.
            yield from self._load(8, ahead=256)
            where = self.end - self._base
            if len(self._buffer) - where < 8:
                raise self._error_at("truncated: encapsulated Pixel Data do not end")
            tag, length = top.layout.read_item(self._buffer, where)
            if tag not in {ITEM, SEQUENCE_DELIMITATION} and (tag or length):
                raise self._error_at(f"{shown(tag)} where a fragment was due")
            if length == UNDEFINED_LENGTH or self.end + 8 + length > top.bound:
                raise self._error_at(f"a fragment claims {length} bytes, too many")
            self.end += 8 + length
            if tag == SEQUENCE_DELIMITATION:
                return

    def _push(self, opened: _OpenSet) -> None:
        if len(self._stack) > 2 * self._limits.depth:
            raise self._error_at(f"sequences nest deeper than {self._limits.depth}")
        top = self._stack[-1]
        opened.character_sets = top.character_sets
        if opened.tag:
            opened.items = []
        self._stack.append(opened)

    def _read_item(self, top: _OpenSet) -> None:
        tag, length = top.layout.read_item(self._buffer, self.end - self._base)
        if tag == SEQUENCE_DELIMITATION:
            self.end += 8
            if top.end == _DELIMITED:
                self._close()
            return
        # A delimiter after an item of defined length, or zeros: some writers add them.
        if tag == ITEM_DELIMITATION or not (tag or length):
            self.end += 8
            return
        if tag != ITEM:
            raise self._error_at(f"{shown(tag)} where an item was due")
        start = self.end + 8
        if self._with_offsets:
            self.offsets[self._path(0)[:-1]] = self.end
        end = _DELIMITED if length == UNDEFINED_LENGTH else start + length
        if end > top.bound:
            if top.end == _DELIMITED:
                raise self._error_at(f"an item claims {length} bytes, too many")
            end = top.bound
        self.end = start
        # What is delimited may still not reach out of what it is in.
        bound = top.bound if end == _DELIMITED else end
        self._push(_OpenSet(top.layout, (), end, bound, top.context))

    def _end_item(self, top: _OpenSet, tag: int, after: int) -> None:
        if tag not in ITEM_TAGS or (tag == ITEM and top is self._root):
            raise self._error_at(f"unexpected {shown(tag)}")
        if top is self._root or top.end != _DELIMITED or self.end == self._sequence_end:
            self.end = after  # a delimiter too many, where a length has said all
        elif tag == ITEM_DELIMITATION:
            self.end = after
            self._close()
        else:
            # The item's delimiter is missing: its sequence ends, or the next item begins.
            self._close()

    def _close(self) -> None:
        closed = self._stack.pop()
        parent = self._stack[-1]
        if closed.items is None:
            if parent.items is not None:
                parent.items.append(ElementSet(closed.elements, closed.character_sets))
            return
        # Where a sequence has ended by its length, a delimiter that follows is one too many.
        if closed.end != _DELIMITED:
            self._sequence_end = self.end
        parent.elements[closed.tag] = DataElement(closed.tag, "SQ", tuple(closed.items))


def read_elements(
    dataset: Buffer, transfer_syntax_uid: str, limits: ReadLimits | None = None
) -> ElementSet:
    """Read the elements of a dataset that is in memory, and not deflated.

    Raises
    ------
    MalformedDataset
        It is none in that transfer syntax, or exceeds the limits.
    """
    reader = ElementReader(transfer_syntax_uid, len(dataset), limits=limits)
    reader.read_memory(dataset)
    return reader.elements
