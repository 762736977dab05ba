"""Parses a contiguous dataset or sequence completely, without recursion (PS3.5 §7)."""

from functools import lru_cache

from attrs import define

from pacs_core.dataset.charset import declare
from pacs_core.dataset.dictionary import vr_of
from pacs_core.dataset.errors import MalformedDataset
from pacs_core.dataset.layout import (
    BULK_VRS,
    FOREIGN_GROUPS,
    IMPLICIT,
    ITEM,
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Buffer,
    Layout,
    read_foreign,
    shown,
)
from pacs_core.dataset.model import SPECIFIC_CHARACTER_SET, Attributes, MutableAttributes
from pacs_core.dataset.values import decode_value

# Theory of operation
#
# One loop works on a stack of what is open, instead of functions that call one another: what a peer
# nests can then exhaust neither the interpreter's stack nor, beyond `max_depth`, memory. Items and
# sequences alternate on the stack, hence two places per level.
#
# Each open thing has an `end`, if its length is known, and a `bound`: the nearest end around it
# that is known. All that is read is held against the bound, so that a length within an item of
# undefined length cannot reach out of whatever encloses it.
#
# Fragments of encapsulated pixel data are walked like a sequence whose items are skipped. Bulk data
# is not kept either: with `name_bulk` its tag is, with no values.
#
# The elements of one dataset are read in an inner loop with local variables, since that loop is
# where nearly all time goes; it comes back to the outer one only where something opens or closes.

MAX_DEPTH = 16

SHORT_SEQUENCE = 512
"""Bytes up to which parsed sequences are remembered."""


@lru_cache(maxsize=512)
def parse_short_sequence(
    buffer: bytes, layout: Layout, character_sets: tuple[str, ...]
) -> tuple[Attributes, ...]:
    """Parse the value of a sequence, faster if it was met before.

    Codes of procedures and reasons are the same in all instances of a study. What is longer than
    `SHORT_SEQUENCE` is not for here: it would be kept. Offsets in errors are of the value.

    Raises
    ------
    MalformedDataset
        It is no sequence.
    """
    return Parser(buffer, 0, MAX_DEPTH).sequence(layout, character_sets)


def actual_vr(tag: int, vr: str) -> str:
    """Return the VR, from the dictionary if it was not sent or sent as UN (PS3.5 §6.2.2)."""
    return vr if vr and vr != "UN" else vr_of(tag)


@define
class _OpenElement:
    """What is being read: a dataset or item, a sequence, or the fragments of pixel data.

    `end` is None if a delimitation item ends it; `bound` is where the nearest known end lies.
    """

    layout: Layout
    character_sets: tuple[str, ...]
    end: int | None
    bound: int
    attributes: MutableAttributes
    tag: int = 0
    items: list[Attributes] | None = None
    keep: bool = True


class Parser:
    """Walks a buffer with a stack of its own: nesting on the wire never nests calls."""

    def __init__(
        self, buffer: Buffer, base: int, max_depth: int, *, name_bulk: bool = False
    ) -> None:
        self._name_bulk = name_bulk
        self._buffer = buffer
        self._base = base
        self._position = 0
        self._stack: list[_OpenElement] = []
        self._max_stack = 2 * max_depth

    def dataset(self, layout: Layout, character_sets: tuple[str, ...]) -> MutableAttributes:
        """Parse the buffer as a dataset."""
        end = len(self._buffer)
        root = _OpenElement(layout, character_sets, end, end, {})
        self._run(root)
        return root.attributes

    def sequence(self, layout: Layout, character_sets: tuple[str, ...]) -> tuple[Attributes, ...]:
        """Parse the buffer as the value of a sequence, with or without its delimitation item."""
        end = len(self._buffer)
        root = _OpenElement(layout, character_sets, end, end, {}, items=[])
        self._run(root)
        return tuple(root.items or ())

    def _run(self, top: _OpenElement) -> None:
        self._stack.append(top)
        while self._stack:
            top = self._stack[-1]
            if self._position == top.end:
                self._close(top)
            elif top.bound - self._position < 8:
                raise self._error_at("truncated: an element's header was expected")
            elif top.items is None:
                self._read_elements(top)
            else:
                self._read_item(top)

    def _error_at(self, what: str) -> MalformedDataset:
        return MalformedDataset(what, self._base + self._position)

    def _close(self, top: _OpenElement) -> None:
        self._stack.pop()
        if self._stack and top.items is not None and top.keep:
            self._stack[-1].attributes[top.tag] = tuple(top.items)

    def _push(self, top: _OpenElement) -> None:
        if len(self._stack) > self._max_stack:
            raise self._error_at(f"sequences nest deeper than {self._max_stack // 2}")
        self._stack.append(top)

    def _read_elements(self, top: _OpenElement) -> None:
        read_header, buffer, base = top.layout.read_header, self._buffer, self._base
        bound, position = top.bound, self._position
        while bound - position >= 8:
            self._position = position
            header = read_header(buffer, position, base)
            if header is None:
                raise self._error_at("truncated: an element's header is incomplete")
            tag, vr, start, length = header
            if tag >= ITEM:
                return self._delimit(top, tag, start)
            # Zeros, or elements of a command set, amid a dataset: taken as bytes, so that what
            # follows is found.
            if tag >> 16 in FOREIGN_GROUPS:
                header = read_foreign(top.layout, buffer, position, header)
                tag, vr, start, length = header or (tag, "UN", start, length)
                vr = "UN"
            # Within UN everything is implicit VR little endian (PS3.5 §6.2.2).
            layout = IMPLICIT if vr == "UN" else top.layout
            vr = actual_vr(tag, vr)
            if length == UNDEFINED_LENGTH:
                return self._open(layout, tag, vr, start, None)
            position = start + length
            if position > bound:
                raise self._error_at(f"truncated: {shown(tag)} claims {length} bytes")
            if vr == "SQ":
                return self._open(layout, tag, vr, start, position)
            if vr not in BULK_VRS:
                raw = buffer[start:position]
                value = decode_value(vr, raw, layout.little_endian, top.character_sets)
                top.attributes[tag] = value
                if tag == SPECIFIC_CHARACTER_SET:
                    top.character_sets = declare(top.character_sets, value)
            elif self._name_bulk:
                top.attributes[tag] = ()
        self._position = position
        return None

    def _delimit(self, top: _OpenElement, tag: int, start: int) -> None:
        if tag != ITEM_DELIMITATION or top.end is not None:
            raise self._error_at(f"unexpected {shown(tag)}")
        self._position = start
        self._close(top)

    def _open(self, layout: Layout, tag: int, vr: str, start: int, end: int | None) -> None:
        if vr not in {"SQ", "UN", "OB", "OW"}:
            raise self._error_at(f"VR {vr} cannot have undefined length")
        self._position = start
        top = self._stack[-1]
        bound = top.bound if end is None else end
        # Fragments of pixel data look like items, but hold no elements (PS3.5 A.4).
        keep = vr in {"SQ", "UN"}
        self._push(
            _OpenElement(layout, top.character_sets, end, bound, {}, tag, items=[], keep=keep)
        )

    def _read_item(self, top: _OpenElement) -> None:
        tag, length = top.layout.read_item(self._buffer, self._position)
        start = self._position + 8
        # One is also put up with at the very end of a sequence of defined length.
        if tag == SEQUENCE_DELIMITATION and (top.end is None or start == top.end):
            self._position = start
            return self._close(top)
        if tag != ITEM:
            raise self._error_at(f"{shown(tag)} where an item was due")
        end = None if length == UNDEFINED_LENGTH else start + length
        if end is not None and end > top.bound:
            raise self._error_at(f"truncated: an item claims {length} bytes")
        if not top.keep:
            if end is None:
                raise self._error_at("a fragment of pixel data has undefined length")
            self._position = end
            return None
        self._position = start
        attributes: MutableAttributes = {}
        if top.items is not None:
            top.items.append(attributes)
        bound = top.bound if end is None else end
        return self._push(_OpenElement(top.layout, top.character_sets, end, bound, attributes))
