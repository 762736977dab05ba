"""The walk over a dataset's elements that writes them anew in another encoding (PS3.5 §7).

Sequences and items get undefined length, since the length of what they hold is not known when
their headers are written. Group lengths are left out: they are retired and would be wrong
(PS3.5 §7.2). Values of VR UN, and all that is in them, keep their bytes (PS3.5 §6.2.2).

Where nothing is to be changed the walk is `verbatim`: whole runs of the input are handed on.

What is left out, as it is of no dataset: elements of groups 0000 and 0002, delimiters too many,
zeros between and after elements. The value of a sequence that holds no items becomes UN; in the
implicit encoding, where its reader would look for items, it is left out. What passes
`SequenceScan`, passes here.
"""

import sys
from collections.abc import Callable

from attrs import define

from pacs_core.dataset.byte_order import swap_words
from pacs_core.dataset.dictionary import sequence_tags
from pacs_core.dataset.element_headers import HeaderWriter
from pacs_core.dataset.errors import MalformedDataset, UnencodableValue
from pacs_core.dataset.layout import (
    FOREIGN_GROUPS,
    IMPLICIT,
    ITEM,
    ITEM_DELIMITATION,
    ITEM_TAGS,
    MAX_DEPTH,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Buffer,
    Header,
    Layout,
    begins_with_item,
    is_padding,
    layout_of,
    read_foreign,
    read_last_header,
    shown,
)
from pacs_core.dataset.model import PIXEL_DATA_TAGS, PixelDataElement
from pacs_core.dataset.transfer_syntax import Encoding
from pacs_core.dataset.value_form import ValueForm
from pacs_core.dataset.vr_resolution import DECISIVE_TAGS, NOTHING_KNOWN, VrContext, resolve_vr

# Theory of operation
#
# The walk is a push parser: it is fed whatever has arrived, takes as many whole headers and as much
# of values as there is, and keeps the rest (at most one header, or a word) until more is fed. What
# it writes is a list of pieces, which are views of the input wherever nothing is changed.
#
# Each call of `_step` does one thing and returns the position after it, or None if that takes more
# bytes than there are. In a value it passes bytes on. Between values the top of the stack tells
# what comes: elements of a dataset or an item, or the items of a sequence. The stack grows by data,
# so nesting is limited by a number (`MAX_DEPTH`) and not by the depth of Python's calls.
#
# Two ways to end are kept apart. `end` is where what is open ends by its own length, or
# `_DELIMITED`. `bound` is the nearest end of anything that it is in: nothing may go beyond it, and
# it ends also what was to be delimited and was not. So a wrong length inside of a sequence cannot
# take the elements after the sequence with it.
#
# A part of the input is either `verbatim` or recoded:
#
#   verbatim  Both sides lay out elements equally, or it is within UN, of which nobody knows the
#             structure. Nothing is written step by step; `_raw_start` marks where the run of bytes
#             began, and `_hand_on` hands the run on as one view when something else follows.
#   recoded   Each header is written anew, with undefined length where items follow, each value is
#             swapped if the byte order differs, and padded if it becomes another VR.
#
# An element that came without VR needs one in an explicit target. It is looked up; where PS3.6
# allows several, the decisive attributes seen so far in the enclosing datasets tell (`VrContext`).
# Nothing is held back until one comes: what precedes it is taken to be unsigned.
#
# Pixel Data is none of the walk's: with `stops_at_pixel_data` it ends behind the header, the caller
# takes the pixels, and `resume` goes on behind them.

_DELIMITED = -1
_FRAGMENTED = frozenset({"OB", "OW"})
_PIXEL_GROUP_LENGTH = 0x7FE0_0000


@define
class _OpenContent:
    """A dataset or item, or a sequence (`items`), being read.

    `end` is the offset at which it ends, or `_DELIMITED`; `bound` the nearest offset known to end
    it or what it is in.
    """

    items: bool
    layout: Layout
    verbatim: bool
    end: int
    bound: int
    context: VrContext


class ElementWalk:
    """Push parser and writer, with a stack of its own: nesting never nests calls.

    Parameters
    ----------
    source, target : Encoding
        If they lay out elements equally, bytes pass as they are.
    stops_at_pixel_data : bool
        Consume nothing after the header of top-level Pixel Data, and leave that header out.
    takes_fragments : bool
        Encapsulated Pixel Data, as in an icon, may pass; otherwise it cannot be converted.
    on_element : callable, optional
        Told tag and offset of each top-level element.
    """

    def __init__(
        self,
        source: Encoding,
        target: Encoding,
        *,
        stops_at_pixel_data: bool = False,
        takes_fragments: bool = True,
        on_element: Callable[[int, int], None] | None = None,
    ) -> None:
        self.pixel_data: PixelDataElement | None = None
        self.stopped = False
        self.offset = 0
        self._source = source
        self._target = target
        self._stops = stops_at_pixel_data
        self._takes_fragments = takes_fragments
        self._on_element = on_element
        layout = layout_of(source)
        verbatim = layout == layout_of(target)
        self._stack = [
            _OpenContent(False, layout, verbatim, _DELIMITED, sys.maxsize, NOTHING_KNOWN)
        ]
        self._write = HeaderWriter(target)
        self._form = ValueForm(source, target)
        self._out: list[Buffer] = []
        self._pending = b""
        # What the input has been handed on to, where it is handed on as it is.
        self._raw_start = 0
        # The value being read: bytes to come, bytes of a word, padding to write after it.
        self._left = 0
        self._word = 1
        self._pad = b""
        self._discards = False
        # Where the last sequence of defined length ended, and whether Pixel Data have been met.
        self._sequence_end = -1
        self._has_pixel_data = False
        # What readers of the implicit encoding take for sequences, whatever it was sent as.
        self._read_as_sequences = frozenset() if target.explicit else sequence_tags()

    def feed(self, data: Buffer) -> list[Buffer]:
        """Take the next bytes; return pieces of the target encoding, maybe views of `data`."""
        # Pieces are views of this: whoever feeds must not change what was fed.
        buffer = memoryview(self._pending + data if self._pending else data)
        used = self._walk(buffer)
        self._pending = bytes(buffer[used:])
        pieces, self._out = self._out, []
        return pieces

    def resume(self, passed: int, takes_fragments: bool) -> None:
        """Go on after Pixel Data of which the caller has consumed `passed` bytes."""
        self.stopped = False
        self.offset += passed
        self._takes_fragments = takes_fragments

    def take_pending(self) -> bytes:
        """Take back what was fed and not consumed."""
        pending, self._pending = self._pending, b""
        return pending

    def finish(self) -> None:
        """Say that the dataset ends here; raises `MalformedDataset` if it cannot."""
        padded = is_padding(self._pending, self._has_pixel_data)
        if self._left or len(self._stack) > 1 or (self._pending and not padded):
            raise self._error_at("truncated: the dataset ends inside an element", 0)

    def _walk(self, buffer: memoryview) -> int:
        self._raw_start = position = 0
        while not self.stopped and (after := self._step(buffer, position)) is not None:
            position = after
        if self._stack[-1].verbatim:
            self._hand_on(buffer, position)
        self.offset += position
        return position

    def _step(self, buffer: memoryview, position: int) -> int | None:
        """Take one header or what is there of a value; return the position after it."""
        if self._left:
            return self._take_value(buffer, position)
        top = self._stack[-1]
        here = self.offset + position
        if here in (top.end, top.bound):
            self._close(buffer, position)
            return position
        if top.bound - here < 8:
            return self._pass_padding(buffer, position, top.bound - here)
        if len(buffer) - position < 8:
            return None
        read = self._read_item if top.items else self._read_element
        return read(buffer, position, top)

    def _pass_padding(self, buffer: memoryview, position: int, size: int) -> int | None:
        after = position + size
        if after > len(buffer):
            return None
        if any(buffer[position:after]):
            raise self._error_at("truncated: an element's header was expected", position)
        return after

    def _read_element(self, buffer: memoryview, position: int, top: _OpenContent) -> int | None:
        left = top.bound - self.offset - position
        if left < 12:
            header = read_last_header(top.layout, buffer, position, left)
        else:
            header = top.layout.read_header(buffer, position, self.offset)
        if header is not None and header[0] >> 16 in FOREIGN_GROUPS:
            header = read_foreign(top.layout, buffer, position, header)
        if header is None:
            if left < 12:
                raise self._error_at("truncated: an element's header is incomplete", position)
            return None
        tag, vr, start, length = header
        if tag >= ITEM:
            return self._end_item(buffer, position, header)
        if tag >> 16 in FOREIGN_GROUPS and length != UNDEFINED_LENGTH:
            self._check_bound(position, header, top)
            return self._leave_out(buffer, position, header)
        if len(self._stack) == 1:
            if self._on_element is not None:
                self._on_element(tag, self.offset + position)
            if tag in PIXEL_DATA_TAGS:
                self._has_pixel_data = True
                if self._stops:
                    return self._stop(buffer, position, header)
            if vr == "UN" and top.verbatim and bytes(buffer[position + 4 : position + 6]) != b"UN":
                self._hand_on(buffer, position)
                self._out.append(self._write.element(tag, vr, length))
                self._raw_start = start
        if length == UNDEFINED_LENGTH:
            return self._open_delimited(buffer, position, header)
        self._check_bound(position, header, top)
        if top.verbatim:
            return self._pass(buffer, position, header)
        # From here on it is written anew, and an explicit target has to say what it is.
        vr = vr or resolve_vr(tag, top.context)
        return self._recode(buffer, position, (tag, vr, start, length), top)

    def _check_bound(self, position: int, header: Header, top: _OpenContent) -> None:
        tag, _, start, length = header
        if self.offset + start + length > top.bound:
            raise self._error_at(f"{shown(tag)} claims {length} bytes, too many", position)

    def _leave_out(self, buffer: memoryview, position: int, header: Header) -> int:
        """Write nothing of an element; what is handed on as it is, is so in a sequence too."""
        _, _, start, length = header
        top = self._stack[-1]
        if top.verbatim and len(self._stack) > 1:
            self._begin_value(length)
            return start
        if top.verbatim:
            self._hand_on(buffer, position)
        self._raw_start = start
        self._begin_value(length, discards=True)
        return start

    def _holds_items(self, buffer: memoryview, header: Header, layout: Layout) -> bool | None:
        """Tell whether a value can be that of a sequence; None if more of it must be there."""
        _, _, start, length = header
        if 0 < length < 8:
            return False
        if length and len(buffer) - start < 8:
            return None
        return not length or begins_with_item(layout, buffer, start)

    def _pass(self, buffer: memoryview, position: int, header: Header) -> int | None:
        tag, vr, start, length = header
        if vr == "SQ" and not self._takes_fragments:
            holds = self._holds_items(buffer, header, self._stack[-1].layout)
            if holds is None:
                return None
            if holds:
                self._push(True, position, self.offset + start + length)
                return start
        if tag == _PIXEL_GROUP_LENGTH and self._stops and len(self._stack) == 1:
            return self._leave_out(buffer, position, header)
        self._begin_value(length)
        return start

    def _recode(
        self, buffer: memoryview, position: int, header: Header, top: _OpenContent
    ) -> int | None:
        tag, vr, start, length = header
        if not tag & 0xFFFF:
            return self._leave_out(buffer, position, header)
        if vr == "SQ" or tag in self._read_as_sequences:
            layout = IMPLICIT if vr == "UN" else top.layout
            holds = self._holds_items(buffer, header, layout)
            if holds is None:
                return None
            if vr == "SQ" and holds:
                self._out.append(self._write.element(tag, vr, UNDEFINED_LENGTH))
                self._push(True, start, self.offset + start + length)
                return start
            # Without VRs a reader goes by the tag, and would look for items where there are none.
            if tag in self._read_as_sequences and not (holds and (vr == "UN" or not length)):
                return self._leave_out(buffer, position, header)
            vr = "UN" if vr == "SQ" else vr
        if tag in DECISIVE_TAGS and length == 2 and not top.layout.explicit:
            if len(buffer) < start + 2:
                return None
            value = int.from_bytes(buffer[start : start + 2], "little")
            # Before the value is written: what follows in this dataset may depend on it.
            top.context = top.context.learn(tag, value)
        written, word, pad = self._form.of(tag, vr, length)
        self._out.append(written)
        self._begin_value(length, word, pad)
        return start

    def _begin_value(
        self, length: int, word: int = 1, pad: bytes = b"", discards: bool = False
    ) -> None:
        self._left = length
        self._word = word
        self._pad = pad
        self._discards = discards

    def _take_value(self, buffer: memoryview, position: int) -> int | None:
        size = min(self._left, len(buffer) - position)
        if size < self._left:
            # Whole words only: a word that is cut could not be swapped.
            size -= size % self._word
        if not size:
            return None
        self._left -= size
        after = position + size
        if self._discards:
            self._raw_start = after
        elif not self._stack[-1].verbatim:
            self._out.append(swap_words(buffer[position:after], self._word))
            if self._pad and not self._left:
                self._out.append(self._pad)
        return after

    def _open_delimited(self, buffer: memoryview, position: int, header: Header) -> int:
        """Enter a sequence, an unknown value or encapsulated Pixel Data of undefined length."""
        tag, vr, start, _ = header
        top = self._stack[-1]
        if vr not in {"", "SQ", "UN", "OB", "OW"}:
            raise self._error_at(f"VR {vr} cannot have undefined length", position)
        if not vr and not top.verbatim:
            vr = resolve_vr(tag, top.context)
            # A private sequence, since nothing else has undefined length in this encoding.
            vr = vr if vr in {"SQ", "OB", "OW"} else "UN"
        if vr in _FRAGMENTED and not (top.verbatim and self._takes_fragments):
            raise self._no_fragments(tag, position)
        if not top.verbatim:
            self._out.append(self._write.element(tag, vr, UNDEFINED_LENGTH))
            self._raw_start = start
        self._push(True, start, _DELIMITED, unknown=vr == "UN")
        return start

    def _no_fragments(self, tag: int, position: int) -> Exception:
        offset = self.offset + position
        if not self._source.encapsulated:
            what = f"{shown(tag)} is encapsulated, which this transfer syntax does not allow"
            return MalformedDataset(what, offset)
        return UnencodableValue(
            f"{shown(tag)} at byte {offset} is encapsulated Pixel Data outside of the image: "
            "it cannot be converted; send the instance in its own transfer syntax"
        )

    def _read_item(self, buffer: memoryview, position: int, top: _OpenContent) -> int:
        tag, length = top.layout.read_item(buffer, position)
        start = position + 8
        if tag == SEQUENCE_DELIMITATION:
            if top.end == _DELIMITED:
                self._close(buffer, start)
            return start
        if tag == ITEM_DELIMITATION or not (tag or length):
            return start
        if tag != ITEM:
            raise self._error_at(f"{shown(tag)} where an item was due", position)
        end = _DELIMITED if length == UNDEFINED_LENGTH else self.offset + start + length
        if end > top.bound:
            if top.end == _DELIMITED:
                raise self._error_at(f"an item claims {length} bytes, too many", position)
            # The item claims more than its sequence has: it gets what is there.
            end = top.bound
            length = end - self.offset - start
        # What must not hold fragments has to be looked into, which only explicit VRs tell.
        seeks_fragments = not self._takes_fragments and top.layout.explicit
        if end != _DELIMITED and top.verbatim and not seeks_fragments:
            self._begin_value(length)
            return start
        if not top.verbatim:
            self._out.append(self._write.item(ITEM, UNDEFINED_LENGTH))
        self._push(False, position, end)
        return start

    def _push(self, items: bool, position: int, end: int, unknown: bool = False) -> None:
        if len(self._stack) > 2 * MAX_DEPTH:
            raise self._error_at(f"sequences nest deeper than {MAX_DEPTH}", position)
        top = self._stack[-1]
        layout = IMPLICIT if unknown else top.layout
        bound = top.bound if end == _DELIMITED else end
        verbatim = top.verbatim or unknown
        self._stack.append(_OpenContent(items, layout, verbatim, end, bound, top.context))

    def _end_item(self, buffer: memoryview, position: int, header: Header) -> int:
        tag, _, after, _ = header
        top = self._stack[-1]
        here = self.offset + position
        if tag not in ITEM_TAGS or (tag == ITEM and len(self._stack) == 1):
            raise self._error_at(f"unexpected {shown(tag)}", position)
        if len(self._stack) == 1:
            return self._leave_out(buffer, position, (tag, "", after, 0))
        if top.end != _DELIMITED or here == self._sequence_end:
            return after  # a delimiter too many, where a length has said all
        if tag == ITEM_DELIMITATION:
            self._close(buffer, after)
            return after
        # The item's delimiter is missing: its sequence ends, or the next item begins.
        self._close(buffer, position)
        return position

    def _close(self, buffer: memoryview, position: int) -> None:
        closed = self._stack.pop()
        if closed.items and closed.end != _DELIMITED:
            self._sequence_end = self.offset + position
        # What was opened with undefined length must be closed with a delimiter, however the input
        # ended.
        if not closed.verbatim:
            tag = SEQUENCE_DELIMITATION if closed.items else ITEM_DELIMITATION
            self._out.append(self._write.item(tag, 0))
        elif not self._stack[-1].verbatim:
            self._hand_on(buffer, position)

    def _stop(self, buffer: memoryview, position: int, header: Header) -> int:
        tag, vr, start, length = header
        if self.pixel_data is not None:
            raise self._error_at(f"{shown(tag)} is a second Pixel Data element", position)
        if self._stack[-1].verbatim:
            self._hand_on(buffer, position)
        self._raw_start = start
        known = None if length == UNDEFINED_LENGTH else length
        self.pixel_data = PixelDataElement(tag, vr or resolve_vr(tag), known)
        self.stopped = True
        return start

    def _hand_on(self, buffer: memoryview, position: int) -> None:
        if position > self._raw_start:
            self._out.append(buffer[self._raw_start : position])
            self._raw_start = position

    def _error_at(self, what: str, position: int) -> MalformedDataset:
        return MalformedDataset(what, self.offset + position)
