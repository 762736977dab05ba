"""The scan of what a sequence holds while it arrives: its structure alone (PS3.5 §7.5).

It follows the same rules as `ElementWalk`, which converts: what passes here can be converted. A
stack of offsets takes the place of recursion. Its even places are sequences, its odd ones items;
each has the offset at which it ends, `_DELIMITED` where a delimitation item says so, and the
nearest offset at which it or what it is in ends (its bound).

What is usual, known VRs and defined lengths in a buffer that has all of it, is passed over by
`read_quickly`; it stops where anything else comes, for the other methods to judge.
"""

import sys

from pacs_core.dataset.dictionary import sequence_tags
from pacs_core.dataset.errors import MalformedDataset
from pacs_core.dataset.layout import (
    FOREIGN_GROUPS,
    IMPLICIT,
    ITEM,
    ITEM_DELIMITATION,
    ITEM_TAGS,
    MAX_DEPTH,
    NARROW_CODES,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    WIDE_VRS,
    Buffer,
    Layout,
    begins_with_item,
    read_foreign,
    read_last_header,
    shown,
)
from pacs_core.dataset.oddities import Oddities
from pacs_core.dataset.vr_resolution import resolve_vr

# Theory of operation
#
# What is open is two parallel stacks. `_ends` has where each thing ends, or `_DELIMITED`; `_bounds`
# has the nearest known end around it, which no length may exceed. Sequences and items alternate, so
# that the parity of the depth tells which of them is open; they are offsets into the dataset, not
# into the buffer, because they outlive it.
#
# `read_quickly` takes what is usual: defined lengths, items and sequences that lie as they should,
# nothing of UN or fragments. It stops before what is not, and one step of the general walk follows.
# It opens things without `_push`, since a call for each item would cost more than the item.
#
# Two states change how everything below is read. `_unknown` is the depth from which on all is in
# implicit VR, as it is in a value of VR UN (PS3.5 6.2.2). `_fragments` says that the "items" are
# fragments of pixel data, which are passed over whole.
#
# `_sequence_end` is where a sequence of defined length has just ended. A Sequence Delimitation Item
# there is one too many, which some writers add, and must not close the sequence around it.

_DELIMITED = sys.maxsize
_SEQUENCE = frozenset({"", "SQ"})
_WIDE_CODES = frozenset(vr.encode() for vr in WIDE_VRS - {"SQ", "UN"})
_DEEPEST = 2 * MAX_DEPTH
_DELIMITERS = ITEM >> 16
_ITEM = (_DELIMITERS, ITEM & 0xFFFF)
_FIRST_GROUP = max(FOREIGN_GROUPS) + 1
_UNDEFINED_ALLOWED = frozenset({"", "OB", "OW", "SQ", "UN"})


class SequenceScan:
    """Walks one sequence after another, each begun by `open`.

    Parameters
    ----------
    layout : Layout
        Of the dataset.
    fragments_allowed : bool
        Its transfer syntax encapsulates Pixel Data, so that an icon may have fragments.
    oddities : Oddities
        Where to note what is put up with.

    Attributes
    ----------
    depth : int
        Open sequences and items.
    """

    def __init__(self, layout: Layout, fragments_allowed: bool, oddities: Oddities) -> None:
        self.depth = 0
        self._layout = layout
        self._read_narrow = layout.unpack_narrow
        self._read_bare = layout.unpack_bare
        self._read_length = layout.unpack_length
        self._sequences = sequence_tags()
        self._fragments_allowed = fragments_allowed
        self._oddities = oddities
        self._ends: list[int] = []
        self._bounds: list[int] = []
        # The depth from which on all is in implicit VR, as in UN (PS3.5 §6.2.2); 0 if none.
        self._unknown = 0
        self._fragments = False
        self._sequence_end = -1

    @property
    def outer_end(self) -> int | None:
        """The offset at which the outermost sequence ends, if its length is defined."""
        return self._ends[0] if self._ends and self._ends[0] != _DELIMITED else None

    def open(self, tag: int, vr: str, offset: int, end: int | None) -> None:
        """Begin with a sequence, unknown value or Pixel Data of undefined length."""
        if end is None:
            self._open_delimited(tag, vr, offset)
        else:
            self._enter(end)

    def abandon(self) -> None:
        """Forget what is open."""
        self._ends.clear()
        self._bounds.clear()
        self.depth = self._unknown = 0
        self._fragments = False

    def walk(self, buffer: Buffer, position: int, size: int, base: int) -> int:
        """Walk as far as the buffer goes; return where to go on, maybe beyond its end.

        Parameters
        ----------
        buffer : bytes-like
        position, size : int
            Where to begin, and the length of the buffer.
        base : int
            Offset of the buffer in the dataset.
        """
        bounds = self._bounds
        while bounds and position <= size:
            # The quick walk knows neither: within UN all is implicit, and fragments hold no
            # elements.
            if not (self._unknown or self._fragments):
                position = self.read_quickly(buffer, position, size, base)
                if not bounds:
                    break
            left = bounds[-1] - base - position
            if left < 8:
                if left and not self._is_padding(buffer, position, size, left, base):
                    return position
                position += left
                self._close(base + position)
                continue
            if size - position < 8:
                return position
            step = self._read_element if len(bounds) % 2 == 0 else self._read_item
            after = step(buffer, position, size, base)
            if after is None:
                return position
            position = after
        return position

    def read_quickly(self, buffer: Buffer, position: int, size: int, base: int) -> int:
        """Do what `walk` does, as far as all is usual; outside of UN and of fragments."""
        # Calls and look-ups would take longer than what they are for.
        ends, bounds, depth, read_item = self._ends, self._bounds, self.depth, self._read_bare
        pass_elements = self._pass_explicit if self._layout.explicit else self._pass_implicit
        while depth:
            limit = bounds[-1] - base
            if position == limit:
                if depth & 1:
                    self._sequence_end = base + position
                ends.pop()
                bounds.pop()
                depth -= 1
                continue
            stop = min(limit, size)
            if depth & 1:
                if stop - position < 8:
                    break
                group, element, length = read_item(buffer, position)
                start = position + 8
                after = start + length
                if (group, element) != _ITEM or after > limit or length == UNDEFINED_LENGTH:
                    break
            else:
                position, start, after = pass_elements(buffer, position, stop, base)
                if not start:
                    if position == limit:
                        continue
                    break
            # The general walk says what is wrong, as it does of all that is unusual.
            if depth >= _DEEPEST:
                break
            ends.append(base + after)
            bounds.append(base + after)
            depth += 1
            position = start
        self.depth = depth
        return position

    def _pass_explicit(
        self, buffer: Buffer, position: int, stop: int, base: int
    ) -> tuple[int, int, int]:
        """Pass over the next elements of an item.

        Returns
        -------
        tuple of int
            Where something else begins; if that is a sequence of defined length with items, where
            these begin and end, else zeros.
        """
        read, read_length, sequences = self._read_narrow, self._read_length, self._sequences
        narrow, wide = NARROW_CODES, _WIDE_CODES
        while stop - position >= 8:
            group, element, code, length = read(buffer, position)
            if code in narrow:
                after = position + 8 + length
                if group < _FIRST_GROUP or after > stop or group << 16 | element in sequences:
                    break
            else:
                start = position + 12
                # Delimiters have no VR, so they end up here as well.
                if (code not in wide and code != b"SQ") or group < _FIRST_GROUP or start > stop:
                    break
                (length,) = read_length(buffer, position + 8)
                after = start + length
                if after > stop or (code != b"SQ" and group << 16 | element in sequences):
                    break
                if code == b"SQ":
                    if length:
                        return self._found(buffer, position, start, after)
                    self._sequence_end = base + after
            position = after
        return position, 0, 0

    def _pass_implicit(
        self, buffer: Buffer, position: int, stop: int, base: int
    ) -> tuple[int, int, int]:
        read, sequences = self._read_bare, self._sequences
        while stop - position >= 8:
            group, element, length = read(buffer, position)
            start = position + 8
            after = start + length
            if group < _FIRST_GROUP or after > stop or group == _DELIMITERS:
                break
            if group << 16 | element in sequences:
                if length:
                    return self._found(buffer, position, start, after)
                self._sequence_end = base + after
            position = after
        return position, 0, 0

    def _found(self, buffer: Buffer, position: int, start: int, after: int) -> tuple[int, int, int]:
        """Return a sequence if it begins with an item: else it is not usual."""
        if after - start >= 8 and self._read_bare(buffer, start)[:2] == _ITEM:
            return position, start, after
        return position, 0, 0

    def _enter(self, end: int) -> None:
        self._ends.append(end)
        self._bounds.append(end)
        self.depth += 1

    def _is_padding(self, buffer: Buffer, position: int, size: int, left: int, base: int) -> bool:
        """Tell whether `left` bytes, too few for a header, are zero; False if they are not here."""
        if size - position < left:
            return False
        if any(buffer[position : position + left]):
            what = "truncated: an element's header was expected"
            raise MalformedDataset(what, base + position)
        return True

    def _read_item(self, buffer: Buffer, position: int, size: int, base: int) -> int | None:
        layout = IMPLICIT if self._unknown else self._layout
        tag, length = layout.read_item(buffer, position)
        start = position + 8
        if tag == SEQUENCE_DELIMITATION:
            if self._ends[-1] == _DELIMITED:
                self._pop()
            return start
        if tag == ITEM_DELIMITATION or not (tag or length):
            return start
        if tag != ITEM:
            raise MalformedDataset(f"{shown(tag)} where an item was due", base + position)
        if length == UNDEFINED_LENGTH:
            if self._fragments:
                what = "a fragment of Pixel Data has undefined length"
                raise MalformedDataset(what, base + position)
            self._push(_DELIMITED, base + position)
            return start
        if start + length + base > self._bounds[-1]:
            what = f"an item claims {length} bytes, too many"
            if self._ends[-1] == _DELIMITED:
                raise MalformedDataset(what, base + position)
            self._oddities.note(what)
            length = self._bounds[-1] - base - start
        if self._fragments or self._unknown:
            return start + length
        self._push(base + start + length, base + position)
        return start

    def _read_element(self, buffer: Buffer, position: int, size: int, base: int) -> int | None:
        layout = IMPLICIT if self._unknown else self._layout
        left = self._bounds[-1] - base - position
        if left < 12:
            header = read_last_header(layout, buffer, position, left)
        else:
            header = layout.read_header(buffer, position, base)
        if header is not None and header[0] >> 16 in FOREIGN_GROUPS:
            header = read_foreign(layout, buffer, position, header)
        if header is None:
            if left < 12:
                what = "truncated: an element's header is incomplete"
                raise MalformedDataset(what, base + position)
            return None
        tag, vr, start, length = header
        if tag >= ITEM:
            return self._end_item(tag, position, start, base)
        if tag >> 16 in FOREIGN_GROUPS:
            vr = "UN"
            if length:
                self._oddities.note(f"{shown(tag)} cannot be in a dataset")
        elif vr == "UN" or (tag in self._sequences and vr not in _SEQUENCE):
            note_vr(self._oddities, tag, vr, length, buffer, position)
        if length == UNDEFINED_LENGTH:
            self._open_delimited(tag, vr, base + position)
            return start
        if base + start + length > self._bounds[-1]:
            what = f"{shown(tag)} claims {length} bytes, too many"
            raise MalformedDataset(what, base + position)
        nests = vr == "SQ" or (not vr and tag in self._sequences)
        if self._unknown or not nests:
            return start + length
        if not length:
            self._sequence_end = base + start  # as of one with items: a delimiter may follow
            return start
        return self._open_defined(buffer, header, size, base)

    def _open_defined(
        self, buffer: Buffer, header: tuple[int, str, int, int], size: int, base: int
    ) -> int | None:
        tag, _, start, length = header
        if length >= 8 and size - start < 8:
            return None
        if length < 8 or not begins_with_item(self._layout, buffer, start):
            self._oddities.note(f"{shown(tag)} is a sequence, but holds no items")
            return start + length
        self._push(base + start + length, base + start)
        return start

    def _end_item(self, tag: int, position: int, start: int, base: int) -> int:
        if tag not in ITEM_TAGS:
            raise MalformedDataset(f"unexpected {shown(tag)}", base + position)
        if self._ends[-1] != _DELIMITED or base + position == self._sequence_end:
            return start  # a delimiter too many, where a length has said all
        self._pop()
        if tag == SEQUENCE_DELIMITATION and self._ends[-1] == _DELIMITED:
            self._pop()
        elif tag == ITEM:
            return position
        return start

    def _open_delimited(self, tag: int, vr: str, offset: int) -> None:
        if vr not in _UNDEFINED_ALLOWED:
            raise MalformedDataset(f"VR {vr} cannot have undefined length", offset)
        if not vr and not self._unknown:
            # What is no sequence of PS3.6 is a private one, and becomes UN.
            resolved = resolve_vr(tag)
            vr = resolved if resolved in {"SQ", "OB", "OW"} else "UN"
        fragments = vr in {"OB", "OW"}
        if fragments and not self._fragments_allowed:
            self._oddities.obstruct(
                f"{shown(tag)} is encapsulated, which this transfer syntax does not allow"
            )
        self._push(_DELIMITED, offset)
        self._fragments = fragments
        if vr == "UN" and not self._unknown:
            self._unknown = self.depth

    def _push(self, end: int, offset: int) -> None:
        if self.depth >= _DEEPEST:
            raise MalformedDataset(f"sequences nest deeper than {MAX_DEPTH}", offset)
        bound = end if end != _DELIMITED or not self._bounds else self._bounds[-1]
        self._ends.append(end)
        self._bounds.append(bound)
        self.depth += 1

    def _close(self, here: int) -> None:
        """Close what ends at `here`, and what is in it."""
        if self.depth % 2:
            self._sequence_end = here
        self._pop()

    def _pop(self) -> None:
        self._fragments = False
        if self.depth == self._unknown:
            self._unknown = 0
        self._ends.pop()
        self._bounds.pop()
        self.depth -= 1


def note_vr(
    oddities: Oddities, tag: int, vr: str, length: int, buffer: Buffer, position: int
) -> None:
    """Note a VR that is not of the standard, or that a sequence of PS3.6 is sent as another."""
    code = bytes(buffer[position + 4 : position + 6])
    if vr == "UN" and code != b"UN" and tag:
        text = code.decode("latin_1")
        what = f"the unknown VR {text!r}" if text.isprintable() else "no VR"
        oddities.note(f"{shown(tag)} has {what}")
    elif vr != "UN" and length:
        oddities.note(f"{shown(tag)} is not sent as a sequence: without a VR it is left out")
