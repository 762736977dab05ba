"""The scan of a dataset while it arrives: a few attributes, and whether it is whole (PS3.5 §7).

This is the hot path of C-STORE. It looks at the header of each top-level element, converts what is
wanted, and passes over the rest by counting. Sequences of undefined length are walked with a
counter of their depth, so neither nesting nor length costs memory.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from pacs_core.dataset.errors import MalformedDataset
from pacs_core.dataset.inflate import Inflater
from pacs_core.dataset.layout import (
    BULK_VRS,
    FOREIGN_GROUPS,
    IMPLICIT,
    ITEM,
    ITEM_DELIMITATION,
    NARROW_VRS,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Buffer,
    Layout,
    layout_of,
    shown,
)
from pacs_core.dataset.model import (
    PIXEL_DATA_TAGS,
    SPECIFIC_CHARACTER_SET,
    MutableAttributes,
)
from pacs_core.dataset.parser import MAX_DEPTH, Parser, actual_vr
from pacs_core.dataset.transfer_syntax import encoding_of
from pacs_core.dataset.values import SHORT_VALUE, decode_short, decode_value

MAX_HEADER = 1 << 20
MAX_VALUE = 1 << 16
_UNDEFINED_ALLOWED = frozenset({"", "OB", "OW", "SQ", "UN"})


@lru_cache(maxsize=64)
def _targets(wanted: frozenset[int]) -> tuple[frozenset[int], int]:
    """Return what to look at and the last tag to look at: nothing follows Pixel Data."""
    return wanted | {SPECIFIC_CHARACTER_SET}, min(max(wanted, default=0), min(PIXEL_DATA_TAGS) - 1)


class _Wanted(NamedTuple):
    """A wanted value being recorded: what it is, how it is encoded, where it starts."""

    tag: int
    vr: str
    layout: Layout
    offset: int


class HeaderScanner:
    """Push parser: collects the wanted attributes, then checks the structure of the rest.

    Feed it everything that arrives, then call `finish`. Once `feed` has returned True the
    attributes are complete; feeding on is cheap (a counter for Pixel Data of defined length) and
    makes `finish` notice a truncated dataset. A deflated dataset is not inflated any further than
    its header, so a truncation after that is not noticed.

    Parameters
    ----------
    transfer_syntax_uid : str
        How the dataset is encoded.
    wanted : collection of int
        Tags to collect. Pass the same frozenset each time: it is prepared once.
    max_header : int
        Bytes of the dataset after which to give up on further attributes (`incomplete` is then
        True), so a caller may hold what it fed until `feed` returns True: that is at most this,
        one value and one chunk.
    max_value : int
        Bytes that a wanted value may have; a longer one is left out and listed in `oversized`.

    Attributes
    ----------
    attributes : dict
        What has been collected: `pacs_core.dataset.model.Attributes`.
    done : bool
        No further attribute will be collected.
    incomplete : bool
        The scan gave up at `max_header`.
    oversized : set of int
        Wanted tags that were left out for their length.
    offset : int
        How many bytes of the (inflated) dataset have been consumed.
    """

    def __init__(
        self,
        transfer_syntax_uid: str,
        wanted: Collection[int],
        max_header: int = MAX_HEADER,
        max_value: int = MAX_VALUE,
    ) -> None:
        encoding = encoding_of(transfer_syntax_uid)
        self.attributes: MutableAttributes = {}
        self.done = False
        self.incomplete = False
        self.oversized: set[int] = set()
        self.offset = 0
        self._wanted, self._last_wanted = _targets(frozenset(wanted))
        self._layout: Layout = layout_of(encoding)
        self._inflater = Inflater() if encoding.deflated else None
        self._limit = max_header
        self._max_value = max_value
        self._character_sets: tuple[str, ...] = ()
        self._last_tag = -1
        self._ascending = True
        self._pending = b""
        self._skip = 0
        # Open sequences and items of undefined length: odd inside a sequence, even in an item.
        self._depth = 0
        self._implicit_depth = 0
        self._target: _Wanted | None = None
        self._record = bytearray()
        self._mark = 0

    @property
    def dataset_ended_cleanly(self) -> bool:
        """Whether a dataset that ends here ends between two top-level elements."""
        if self._inflater is not None:
            return self.done or (self._inflater.ended and self._between_elements)
        return self._between_elements

    @property
    def _between_elements(self) -> bool:
        return not (self._skip or self._depth or self._pending)

    def feed(self, data: bytes | memoryview) -> bool:
        """Take the next bytes of the dataset; return whether the attributes are complete.

        Raises
        ------
        MalformedDataset
            If this cannot be a dataset in the transfer syntax.
        """
        if self._inflater is None:
            self._consume(data)
        elif not self.done:
            for piece in self._inflater.pieces(data):
                self._consume(piece)
                if self.done:
                    break
        return self.done

    def pass_over(self, available: int) -> int:
        """Take some of `available` bytes that follow as fed, unseen; return how many."""
        if self._inflater is not None:
            return available if self.done else 0
        if self._target is not None:
            return 0
        # The last byte of a value must be fed, to complete it.
        passed = max(0, min(self._skip - 1, available))
        self._skip -= passed
        self.offset += passed
        return passed

    def finish(self) -> None:
        """Say that the dataset ends here.

        Raises
        ------
        MalformedDataset
            If it ends inside an element or a sequence.
        """
        if not self.dataset_ended_cleanly:
            raise MalformedDataset("truncated: the dataset ends inside an element", self.offset)
        self.done = True

    def _consume(self, data: bytes | memoryview) -> None:
        size = len(data)
        if self._skip >= size and self._target is None:
            self._skip -= size
            self.offset += size
        else:
            buffer = self._pending + data if self._pending else data
            used = self._walk(buffer)
            self.offset += used
            self._pending = bytes(buffer[used:])
        if self._depth and self._target is None and self.offset > self._limit and not self.done:
            # A sequence of undefined length has led past the limit.
            self.done = self.incomplete = True

    def _walk(self, buffer: Buffer) -> int:
        """Walk elements as far as the buffer goes; return how many bytes were consumed."""
        end = len(buffer)
        position = self._pass_over(buffer, end)
        while not self._skip and end - position >= 8:
            step = self._walk_nested if self._depth else self._walk_top
            before = position
            position = step(buffer, position, end)
            if position == before:
                break
        if self._target is not None:
            self._collect(buffer[self._mark : position])
        return position

    def _pass_over(self, buffer: Buffer, end: int) -> int:
        """Count off the value that the previous bytes began."""
        self._mark = 0
        taken = min(self._skip, end)
        self._skip -= taken
        if taken and not self._skip and not self._depth:
            self._complete(buffer, taken)
        return taken

    def _walk_top(self, buffer: Buffer, position: int, end: int) -> int:
        # Once for each element of each dataset: what is the same for all is looked up before.
        read_header, base, wanted = self._layout.read_header, self.offset, self._wanted
        last_wanted, limit, little = self._last_wanted, self._limit, self._layout.little_endian
        plain, character_set = NARROW_VRS, SPECIFIC_CHARACTER_SET
        while end - position >= 8:
            header = read_header(buffer, position, base)
            if header is None:
                break
            tag, vr, start, length = header
            if tag >> 16 in FOREIGN_GROUPS:
                raise MalformedDataset(f"{shown(tag)} cannot be in a dataset", base + position)
            if tag <= self._last_tag:
                self._ascending = False
            self._last_tag = tag
            if not self.done and (tag > last_wanted or base + start > limit):
                self._consider_end(tag, base + start)
            if length == UNDEFINED_LENGTH:
                if not self.done and tag in wanted:
                    self._begin(tag, vr, start, "SQ")
                self._enter(vr, base + position)
                return start
            position = start + length
            if self.done:
                pass
            elif tag in wanted:
                if (
                    position <= end
                    and length <= SHORT_VALUE
                    and vr in plain
                    and tag != character_set
                ):
                    raw = bytes(buffer[start:position])
                    self.attributes[tag] = decode_short(vr, raw, little, self._character_sets)
                else:
                    self._take(tag, vr, buffer, start, length)
            elif base + position > limit:
                self.done = self.incomplete = True
            if position > end:
                self._skip = position - end
                return end
        return position

    def _consider_end(self, tag: int, offset: int) -> None:
        # Where tags have descended, a wanted one may still come: then only Pixel Data ends it.
        if tag in PIXEL_DATA_TAGS or (self._ascending and tag > self._last_wanted):
            self.done = True
        elif offset > self._limit:
            self.done = self.incomplete = True

    def _enter(self, vr: str, offset: int) -> None:
        if vr not in _UNDEFINED_ALLOWED:
            raise MalformedDataset(f"VR {vr} cannot have undefined length", offset)
        self._depth += 1
        if vr == "UN" and not self._implicit_depth:
            self._implicit_depth = self._depth

    def _walk_nested(self, buffer: Buffer, position: int, end: int) -> int:
        while self._depth and not self._skip and end - position >= 8:
            step = self._walk_item if self._depth & 1 else self._walk_element
            before = position
            position = step(buffer, position)
            if position == before:
                break
            if position > end:
                self._skip = position - end
                position = end
        if not self._depth:
            self._complete(buffer, position)
        return position

    def _walk_item(self, buffer: Buffer, position: int) -> int:
        layout = IMPLICIT if self._implicit_depth else self._layout
        tag, length = layout.read_item(buffer, position)
        if tag == SEQUENCE_DELIMITATION:
            self._leave()
        elif tag != ITEM:
            raise MalformedDataset(f"{shown(tag)} where an item was due", self.offset + position)
        elif length == UNDEFINED_LENGTH:
            self._depth += 1
        else:
            return position + 8 + length
        return position + 8

    def _walk_element(self, buffer: Buffer, position: int) -> int:
        layout = IMPLICIT if self._implicit_depth else self._layout
        header = layout.read_header(buffer, position, self.offset)
        if header is None:
            return position
        tag, vr, start, length = header
        if tag == ITEM_DELIMITATION:
            self._depth -= 1
            return start
        if tag >= 0xFFFE_0000:
            raise MalformedDataset(f"unexpected {shown(tag)}", self.offset + position)
        if length != UNDEFINED_LENGTH:
            return start + length
        self._enter(vr, self.offset + position)
        return start

    def _leave(self) -> None:
        if self._depth == self._implicit_depth:
            self._implicit_depth = 0
        self._depth -= 1

    def _take(self, tag: int, vr: str, buffer: Buffer, start: int, length: int) -> None:
        """Keep a wanted value that is all there, or begin to record it."""
        if length > self._max_value:
            self.oversized.add(tag)
        elif start + length <= len(buffer):
            raw = buffer[start : start + length]
            self._keep(tag, actual_vr(tag, vr), self._layout_for(vr), self.offset + start, raw)
        else:
            self._begin(tag, vr, start, "UN")

    def _begin(self, tag: int, wire_vr: str, start: int, unknown_vr: str) -> None:
        vr = actual_vr(tag, wire_vr)
        vr = unknown_vr if vr == "UN" else vr
        self._target = _Wanted(tag, vr, self._layout_for(wire_vr), self.offset + start)
        self._mark = start

    def _collect(self, part: Buffer) -> None:
        if self._target is None:
            return
        if len(self._record) + len(part) > self._max_value:
            self.oversized.add(self._target.tag)
            self._target = None
            self._record.clear()
        else:
            self._record += part

    def _complete(self, buffer: Buffer, position: int) -> None:
        """A value that took several steps ends at `position`: keep it if it was wanted."""
        self._collect(buffer[self._mark : position])
        if self._target is not None:
            self._keep(*self._target, bytes(self._record))
            self._target = None
            self._record.clear()

    def _layout_for(self, wire_vr: str) -> Layout:
        # Within UN everything is implicit VR little endian (PS3.5 §6.2.2).
        return IMPLICIT if wire_vr == "UN" else self._layout

    def _keep(self, tag: int, vr: str, layout: Layout, offset: int, raw: Buffer) -> None:
        if vr == "SQ":
            items = Parser(bytes(raw), offset, MAX_DEPTH).sequence(layout, self._character_sets)
            self.attributes[tag] = items
        elif vr not in BULK_VRS:
            decode = decode_short if len(raw) <= SHORT_VALUE else decode_value
            values = decode(vr, bytes(raw), layout.little_endian, self._character_sets)
            self.attributes[tag] = values
            if tag == SPECIFIC_CHARACTER_SET:
                self._character_sets = values
