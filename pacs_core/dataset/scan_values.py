"""The wanted values of a scan: kept if they are all there, recorded while they arrive."""

from typing import NamedTuple

from pacs_core.dataset.charset import declare
from pacs_core.dataset.errors import MalformedDataset
from pacs_core.dataset.layout import BULK_VRS, IMPLICIT, Buffer, Layout, shown
from pacs_core.dataset.model import SPECIFIC_CHARACTER_SET, MutableAttributes
from pacs_core.dataset.oddities import Oddities
from pacs_core.dataset.parser import (
    MAX_DEPTH,
    SHORT_SEQUENCE,
    Parser,
    actual_vr,
    parse_short_sequence,
)
from pacs_core.dataset.values import SHORT_VALUE, decode_short, decode_value

# Theory of operation
#
# A value that is whole in the buffer is decoded from there. One that is cut, or a sequence, whose
# end is only known when it has been walked, is recorded: from `_mark` in the buffer of the moment,
# which the scanner hands in with each step (`_collect`), until `_complete` says that it has ended.
# At most one value is recorded at a time, since a sequence is recorded with all that is in it.
#
# Lengths are claims. Neither a long length nor a sequence that goes on makes the record longer than
# `max_value`: then the value is given up, and its tag named in `oversized`.


class _Recording(NamedTuple):
    """A wanted value being recorded: what it is, how it is encoded, where it starts."""

    tag: int
    vr: str
    layout: Layout
    offset: int


class WantedValues:
    """What a scan collects, and has recorded of the value that it is in.

    The scanner, which walks over the elements, is one of these: a hop to another object for each
    element would cost more than what is done there.

    Parameters
    ----------
    layout : Layout
    max_value : int
        Bytes that a value may have.
    character_sets : tuple of str
        Specific Character Set until the dataset says otherwise.
    """

    def __init__(self, layout: Layout, max_value: int, character_sets: tuple[str, ...]) -> None:
        self.attributes: MutableAttributes = {}
        self.oddities = Oddities()
        self.offset = 0
        self.oversized: set[int] = set()
        self._layout = layout
        self._max_value = max_value
        self._character_sets = character_sets
        self._recording: _Recording | None = None
        self._record = bytearray()
        self._mark = 0

    def _take(self, tag: int, vr: str, buffer: Buffer, start: int, length: int) -> None:
        """Keep a value that is all there, or begin to record it."""
        if length > self._max_value:
            self.oversized.add(tag)
        elif start + length <= len(buffer):
            raw = buffer[start : start + length]
            self._keep(tag, actual_vr(tag, vr), self._layout_for(vr), self.offset + start, raw)
        else:
            self._begin(tag, vr, start, "UN")

    def _begin(self, tag: int, wire_vr: str, start: int, unknown_vr: str) -> None:
        """Begin to record a value; it is of `unknown_vr` if nothing says of which VR it is."""
        vr = actual_vr(tag, wire_vr)
        vr = unknown_vr if vr == "UN" else vr
        self._recording = _Recording(tag, vr, self._layout_for(wire_vr), self.offset + start)
        self._mark = start

    def _collect(self, part: Buffer) -> None:
        """Add to what is recorded, if something is."""
        if self._recording is None:
            return
        if len(self._record) + len(part) > self._max_value:
            self.oversized.add(self._recording.tag)
            self._recording = None
            self._record.clear()
        else:
            self._record += part

    def _complete(self, buffer: Buffer, position: int) -> None:
        """A value that took several steps ends at `position`: keep it if it was wanted."""
        self._collect(buffer[self._mark : position])
        if self._recording is not None:
            self._keep(*self._recording, bytes(self._record))
            self._recording = None
            self._record.clear()

    def _layout_for(self, wire_vr: str) -> Layout:
        # Within UN everything is implicit VR little endian (PS3.5 §6.2.2).
        return IMPLICIT if wire_vr == "UN" else self._layout

    def _keep(self, tag: int, vr: str, layout: Layout, offset: int, raw: Buffer) -> None:
        if vr == "SQ":
            try:
                if len(raw) <= SHORT_SEQUENCE:
                    items = parse_short_sequence(bytes(raw), layout, self._character_sets)
                else:
                    parser = Parser(bytes(raw), offset, MAX_DEPTH)
                    items = parser.sequence(layout, self._character_sets)
            except MalformedDataset as error:
                self.oddities.note(f"{shown(tag)} cannot be read: {error.what}")
                return
            self.attributes[tag] = items
        elif vr not in BULK_VRS:
            decode = decode_short if len(raw) <= SHORT_VALUE else decode_value
            values = decode(vr, bytes(raw), layout.little_endian, self._character_sets)
            self.attributes[tag] = values
            if tag == SPECIFIC_CHARACTER_SET:
                self._character_sets = declare(self._character_sets, values)
