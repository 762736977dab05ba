"""The scan that finds which bytes of a dataset stay when top-level elements are set or removed."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from attrs import frozen

from pacs_core.dataset.character_set_extension import extend_character_sets
from pacs_core.dataset.dictionary import vr_of
from pacs_core.dataset.element_headers import HeaderWriter
from pacs_core.dataset.element_walk import ElementWalk
from pacs_core.dataset.encoder import DatasetEncoder
from pacs_core.dataset.errors import UnencodableValue
from pacs_core.dataset.layout import FOREIGN_GROUPS, ITEM_TAGS, Buffer, layout_of, shown
from pacs_core.dataset.model import PIXEL_DATA_TAGS, SPECIFIC_CHARACTER_SET, Value
from pacs_core.dataset.original_attributes import (
    ORIGINAL_ATTRIBUTES,
    Modification,
    add_items,
    original_attributes_item,
)
from pacs_core.dataset.transfer_syntax import encoding_of
from pacs_core.dataset.values import decode_value

# Theory of operation
#
# `ElementWalk` is fed with the dataset, and tells where each top-level element begins; what it
# writes is not used. Between two beginnings lies one element, which passes, is left out, or is held
# back until all of it is there, because something is to be read from it: Specific Character Set,
# which decides how new text is encoded; the previous values, for Original Attributes Sequence; and
# such a sequence, or another to be extended, that is there already, to which items are added.
#
# What comes out are pieces: new bytes, or `Span`, a range of what was fed. Once an element comes
# that is behind all changes nothing more is looked at, unless elements were out of order before
# (PS3.5 §7.1): then all up to Pixel Data are, as `HeaderScanner` does it.

Changes: TypeAlias = Mapping[int, tuple[Value, ...] | None]
"""What top-level attributes shall be, by tag: values as in `Attributes`, or None to remove them."""

LONGEST_HELD = 1 << 20
"""Bytes of an element that are held back; of longer ones the previous value is not recorded."""

_LAST = 0xFFFF_FFFF


@frozen
class Span:
    """A range of the dataset, inflated, that stays as it is: from `start` to before `end`."""

    start: int
    end: int


Piece: TypeAlias = bytes | Span


def check_changes(changes: Changes) -> None:
    """Check that a dataset can be rewritten with these changes, whatever its transfer syntax.

    Raises
    ------
    UnencodableValue
        An attribute cannot have such a value, or is none that can be changed: group lengths,
        elements of groups 0000H and 0002H, Specific Character Set (which follows from the text),
        Original Attributes Sequence (to which the change itself is added), but for its removal,
        and Pixel Data.
    """
    for tag, values in changes.items():
        fixed = tag in _FIXED or tag in ITEM_TAGS or not tag & 0xFFFF or tag >> 16 in FOREIGN_GROUPS
        if tag == ORIGINAL_ATTRIBUTES and values is None:
            continue
        if fixed or not 0 < tag <= _LAST:
            raise UnencodableValue(f"{shown(tag)} cannot be changed")
        if values is not None:
            DatasetEncoder(encoding_of(""), ()).encode({tag: values})


_FIXED = PIXEL_DATA_TAGS | {SPECIFIC_CHARACTER_SET, ORIGINAL_ATTRIBUTES}


class EditScan:
    """Push parser of a dataset, not deflated, that gives the pieces of the one to be.

    Parameters
    ----------
    transfer_syntax_uid : str
        How the dataset is encoded; deflation is left to the caller.
    changes : Changes
    modification : Modification, optional
        What to say of the changes in Original Attributes Sequence (0400,0561); nothing if None.
    extended : frozenset of int
        Tags of sequences to which items are added, unless they are to have none.

    Attributes
    ----------
    settled : bool
        All that follows stays as it is, and need not be fed.
    resolved : int
        Up to which offset pieces have been given.
    """

    def __init__(
        self,
        transfer_syntax_uid: str,
        changes: Changes,
        modification: Modification | None = None,
        extended: frozenset[int] = frozenset(),
    ) -> None:
        check_changes(changes)
        if modification is not None and ORIGINAL_ATTRIBUTES in changes:
            raise UnencodableValue(f"{shown(ORIGINAL_ATTRIBUTES)} is to be added to, not removed")
        encoding = encoding_of(transfer_syntax_uid)
        self.settled = not changes
        self.resolved = 0
        self._changes = changes
        self._modification = modification
        self._encoding = encoding
        self._layout = layout_of(encoding)
        self._headers = HeaderWriter(encoding)
        self._found: list[tuple[int, int]] = []
        self._walk = ElementWalk(
            encoding, encoding, on_element=lambda *found: self._found.append(found)
        )
        self._buffer = memoryview(b"")  # what was fed from `resolved` on
        self._out: list[Piece] = []
        self._tag = -1  # of the element that begins at `resolved`, or is going on there
        self._holds = False
        self._drops = False
        self._ascending = True
        self._originals: dict[int, bytes] = {}
        self._has_history = False
        self._extended = extended
        self._extends = -1  # the tag of the element at `resolved`, if items are added to it
        self._character_sets: tuple[str, ...] | None = None
        self._wrote_sets = False
        self._texts = list(_texts(changes))
        if modification is not None:
            self._texts += modification.texts
        # What is written if it has not been met: changes, the character set, the history.
        ours = {SPECIFIC_CHARACTER_SET} if any(not t.isascii() for _, t in self._texts) else set()
        ours |= {ORIGINAL_ATTRIBUTES} if modification is not None else set()
        self._pending = sorted(changes.keys() | ours, reverse=True)
        self._groups = {tag >> 16 for tag in self._pending}
        self._last = self._pending[0] if self._pending else 0

    def feed(self, data: Buffer) -> list[Piece]:
        """Take the next bytes; raises `MalformedDataset`."""
        self._buffer = memoryview(bytes(self._buffer) + data if self._buffer else data)
        end = self.resolved + len(self._buffer)
        if not self.settled:
            self._walk.feed(data)
            found, self._found[:] = self._found[:], []
            for tag, start in found:
                self._end_element(start)
                self._begin_element(tag)
                if self.settled:
                    break
            if self._holds and len(self._buffer) > LONGEST_HELD:
                # It passes, or is left out, unread.
                self._holds = False
                self._has_history |= self._tag == ORIGINAL_ATTRIBUTES
                if self._extends == self._tag:
                    self._extends = -1
                    self._write(self._tag)
        if not self._holds:
            self._pass_to(end if self.settled else self._walk.offset)
        return self._take()

    def finish(self) -> list[Piece]:
        """Say that the dataset ends here; raises `MalformedDataset` if it cannot."""
        if not self.settled:
            self._walk.finish()
            self._end_element(self.resolved + len(self._buffer))
            self._insert(_LAST)
        return self._take()

    def _take(self) -> list[Piece]:
        pieces, self._out = self._out, []
        return pieces

    def _pass_to(self, offset: int) -> None:
        """Resolve what lies before `offset`: as it is, or left out."""
        if offset <= self.resolved:
            return
        last = self._out[-1] if self._out else None
        if self._drops:
            pass
        elif isinstance(last, Span) and last.end == self.resolved:
            self._out[-1] = Span(last.start, offset)
        else:
            self._out.append(Span(self.resolved, offset))
        self._buffer = self._buffer[offset - self.resolved :]
        self.resolved = offset

    def _begin_element(self, tag: int) -> None:
        self._ascending = self._ascending and tag > self._tag
        self._tag = tag
        # Whatever is written goes before the first element with a greater tag.
        self._insert(tag)
        self.settled = tag > self._last and (self._ascending or tag in PIXEL_DATA_TAGS)
        changed = tag in self._changes
        self._drops = changed or (not tag & 0xFFFF and tag >> 16 in self._groups)
        self._holds = tag == SPECIFIC_CHARACTER_SET or (
            self._modification is not None and (changed or tag == ORIGINAL_ATTRIBUTES)
        )
        self._holds |= self._extends == tag

    def _end_element(self, end: int) -> None:
        if self._holds:
            self._holds = False
            self._read_held(bytes(self._buffer[: end - self.resolved]))
        self._pass_to(end)
        self._drops = False

    def _read_held(self, raw: bytes) -> None:
        """Read an element that was held back, and write it, if it is not to pass as it is."""
        if self._tag in self._changes:
            self._originals.setdefault(self._tag, raw)
            if self._extends == self._tag:
                self._extends = -1
                self._write(self._tag, raw)
        elif self._tag == SPECIFIC_CHARACTER_SET:
            if self._character_sets is None:
                header = self._layout.read_header(raw + b"\0\0\0\0", 0, 0)
                start, length = header[2:] if header is not None else (0, 0)
                declared = decode_value("CS", raw[start : start + length], True, ())
                self._declare(declared)
            self._drops = self._wrote_sets
        elif self._modification is not None and not self._has_history:
            self._has_history = True
            extended = add_items(raw, self._item(self._modification), self._encoding)
            if extended is not None:
                self._out.append(extended)
                self._drops = True

    def _declare(self, declared: tuple[str, ...]) -> None:
        """Decide on the character sets, and write them unless they are what is there."""
        self._character_sets = extend_character_sets(declared, self._texts)
        if self._character_sets != declared:
            self._wrote_sets = True
            written = {SPECIFIC_CHARACTER_SET: self._character_sets}
            self._out.append(DatasetEncoder(self._encoding, ()).encode(written))

    def _insert(self, before: int) -> None:
        """Write what comes before an element with the tag `before`, or in place of it."""
        while self._pending and self._pending[-1] <= before:
            tag = self._pending.pop()
            if tag == before and tag in self._extended and self._changes.get(tag):
                self._extends = tag
            elif tag != before or tag in self._changes:
                self._write(tag)
            # Else it is there, and what becomes of it is known when it has been read.

    def _write(self, tag: int, present: bytes = b"") -> None:
        """Write an element; to one that is present, and to be extended, items are added."""
        if tag == SPECIFIC_CHARACTER_SET:
            if self._character_sets is None:
                self._declare(())
        elif tag == ORIGINAL_ATTRIBUTES:
            if not self._has_history and self._modification is not None:
                self._has_history = True
                item = self._item(self._modification)
                self._out += (self._headers.element(tag, "SQ", len(item)), item)
        elif (values := self._changes[tag]) is not None:
            encoder = DatasetEncoder(self._encoding, self._character_sets or ())
            encoded = encoder.encode({tag: values})
            header = self._layout.read_header(encoded, 0, 0) if present else None
            if header is not None:
                encoded = add_items(present, encoded[header[2] :], self._encoding) or encoded
            self._out.append(encoded)

    def _item(self, modification: Modification) -> bytes:
        """Return the item that says what was there before; absent is said by no value."""
        previous = dict(self._originals)
        for tag, values in self._changes.items():
            if tag not in previous and values is not None and tag < ORIGINAL_ATTRIBUTES:
                nested = bool(values) and not isinstance(values[0], str)
                vr = vr_of(tag) if vr_of(tag) != "UN" else "SQ" if nested else "LO"
                previous[tag] = self._headers.element(tag, vr, 0)
        sets = self._character_sets or ()
        return original_attributes_item(previous, modification, self._encoding, sets)


def _texts(changes: Changes) -> Iterator[tuple[str, str]]:
    """Iterate over VR and text of what is to be written."""
    pending: list[Mapping[int, tuple[Value, ...] | None]] = [changes]
    while pending:
        for tag, values in pending.pop().items():
            vr = vr_of(tag)
            for value in values or ():
                if isinstance(value, str):
                    yield ("LO" if vr == "UN" else vr), value
                else:
                    pending.append(value)
