"""The scan of a dataset while it arrives: a few attributes, and whether it is whole (PS3.5 §7).

This is the hot path of C-STORE. It looks at the header of each top-level element, converts what is
wanted, and passes over the rest by counting. Sequences are walked with a stack of offsets, those of
defined length only where that is asked for: what is in them is needed for conversions alone.

Most elements are plain: their tags ascend, their values are short, their VRs have a length of 16
bits. A tight loop takes these (`_walk_plain`), and stops before whatever is otherwise, which the
general one looks at (`_walk_top`). Where the distribution pacs-speedups is installed, the tight
loop is in C (`_walk_in_c`), and takes more.

What can be passed over without loss of meaning is, and is noted: elements that are of no dataset,
values with unknown VRs, delimiters too many, zeros after the last element.
"""

from collections.abc import Collection

from pacs_core.dataset.charset import with_default
from pacs_core.dataset.dictionary import sequence_tags
from pacs_core.dataset.errors import MalformedDataset
from pacs_core.dataset.inflate import Inflater
from pacs_core.dataset.layout import (
    FOREIGN_GROUPS,
    ITEM,
    ITEM_DELIMITATION,
    NARROW_CODES,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Buffer,
    Header,
    begins_with_item,
    is_padding,
    layout_of,
    read_foreign,
    shown,
)
from pacs_core.dataset.model import (
    PIXEL_DATA_TAGS,
)
from pacs_core.dataset.oddities import MAX_BEFORE_PIXELS
from pacs_core.dataset.scan_targets import LATE, LOOKED_AT, targets_for
from pacs_core.dataset.scan_values import WantedValues
from pacs_core.dataset.sequence_scan import SequenceScan, note_vr
from pacs_core.dataset.speedups import DONE, EXPLICIT, LITTLE_ENDIAN, THOROUGH
from pacs_core.dataset.transfer_syntax import encoding_of
from pacs_core.dataset.values import SHORT_VALUE, decode_short

# Theory of operation
#
# The scanner is fed chunks as the network delivers them, so any element may be cut anywhere. What
# is cut within a header is kept (`_pending`) and put before the next chunk. What is cut within a
# value is counted off (`_skip`) if nobody wants it, or recorded (`WantedValues`) if somebody
# does. `offset` thus always is where `_pending` begins, and every error can name the byte.
#
# Work is done in the order of what is frequent:
#
#   counting     a value, such as Pixel Data, that goes on beyond the chunk: one comparison a chunk
#   _walk_plain  ascending tags, VRs with short lengths, values all there: most of a header
#   _walk_in_c   the same in C, and sequences that are whole in the buffer; instead of _walk_plain
#   _walk_top    any other element of the dataset; comes back to `_walk_plain` after each
#   _nested      what is in sequences: `SequenceScan` has its own fast and general walk
#
# Each fast walk stops before the first thing that it does not know, having changed nothing for it,
# and the general walk decides. So oddities are judged in one place, and a fast walk can only be
# wrong by accepting too much: its conditions are the ones to review.
#
# The scan ends (`done`) when no wanted attribute can come any more: at Pixel Data, after the last
# wanted tag while tags have ascended, or at `max_header`. After that feeding only checks the
# structure. `pass_over` says how much need not even be fed, which lets an ingest hand values
# through without looking; the last byte of a value is always fed, because completing it is what
# notices that the next element begins.
#
# A fault within a sequence of defined length, which is only looked into where the scan is
# `thorough`, does not make the dataset malformed: the scan goes on behind it, and the dataset is
# marked as not convertible (`Oddities.obstruct`). In one of undefined length there is no behind.

MAX_HEADER = 1 << 20
MAX_VALUE = 1 << 16
_NOTABLE = frozenset({"SQ", "UN"})
_SEQUENCE = frozenset({"", "SQ"})
_FIRST = 0x0004_0000  # below are the groups of what is no dataset (PS3.5 §7.1)
_DELIMITERS = ITEM & 0xFFFF_0000
_IDENTITY = frozenset({0x0008_0016, 0x0008_0018, 0x0020_000D, 0x0020_000E})
"""SOP Class, SOP Instance, Study and Series Instance UID."""


class HeaderScanner(WantedValues):
    """Push parser: collects the wanted attributes, then checks the structure of the rest.

    Feed it everything that arrives, then call `finish`. Once `feed` has returned True the
    attributes are complete; feeding on is cheap (a counter for Pixel Data of defined length) and
    makes `finish` notice a truncated dataset.

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
    thorough : bool
        Look into everything that a conversion would have to walk, and inflate a deflated dataset
        to its end: without it, a fault beyond the header is not noticed there.
    default_character_set : tuple of str
        Specific Character Set of what names none, or lies; empty for Latin-1.

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
    oddities : Oddities
        What was put up with; with `thorough`, also whether the dataset can be converted.
    offset : int
        How many bytes of the (inflated) dataset have been consumed.
    """

    def __init__(
        self,
        transfer_syntax_uid: str,
        wanted: Collection[int],
        max_header: int = MAX_HEADER,
        max_value: int = MAX_VALUE,
        *,
        thorough: bool = False,
        default_character_set: tuple[str, ...] = (),
    ) -> None:
        encoding = encoding_of(transfer_syntax_uid)
        layout = layout_of(encoding)
        super().__init__(layout, max_value, with_default((), default_character_set))
        self.done = False
        self.incomplete = False
        self._targets = targets_for(frozenset(wanted))
        self._wanted, self._last_wanted = self._targets.collected, self._targets.last
        self._inflater = Inflater() if encoding.deflated else None
        self._limit = max_header
        self._thorough = thorough
        self._encapsulated = encoding.encapsulated
        self._sequences = sequence_tags()
        # What this takes must be what `_walk_plain` and `_walk_top` make of the same bytes.
        self._in_c = self._targets.walk
        self._flags = (
            EXPLICIT * layout.explicit + LITTLE_ENDIAN * layout.little_endian + THOROUGH * thorough
        )
        self._short = min(SHORT_VALUE, max_value)
        self._nested = SequenceScan(self._layout, encoding.encapsulated, self.oddities)
        self._last_tag = _FIRST - 1
        self._ascending = True
        self._pending = b""
        self._skip = 0
        self._has_pixel_data = False

    @property
    def inflates(self) -> bool:
        """Whether a little that is fed may become much, so that it takes long to look at."""
        return self._inflater is not None

    @property
    def dataset_ended_cleanly(self) -> bool:
        """Whether a dataset that ends here ends between two top-level elements."""
        if self._inflater is None:
            return self._is_between_elements
        return (self.done and not self._thorough) or (
            self._inflater.ended and self._is_between_elements
        )

    @property
    def _is_between_elements(self) -> bool:
        if self._skip or self._nested.depth:
            return False
        return not self._pending or is_padding(self._pending, self._has_pixel_data)

    def feed(self, data: bytes | memoryview) -> bool:
        """Take the next bytes of the dataset; return whether the attributes are complete.

        Raises
        ------
        MalformedDataset
            If this cannot be a dataset in the transfer syntax.
        """
        if self._inflater is None:
            self._consume(data)
        elif self._thorough or not self.done:
            for piece in self._inflater.pieces(data):
                self._consume(piece)
                if self.done and not self._thorough:
                    break
        return self.done

    def pass_over(self, available: int) -> int:
        """Take some of `available` bytes that follow as fed, unseen; return how many."""
        if self._inflater is not None:
            return available if self.done and not self._thorough else 0
        if self._recording is not None:
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
        if self._pending:
            self._note_zeros()
        if not self._has_pixel_data:
            self._judge_length(self.offset)
        self.done = True

    def _consume(self, data: bytes | memoryview) -> None:
        size = len(data)
        if self._skip > size and self._recording is None:
            self._skip -= size
            self.offset += size
        else:
            buffer = self._pending + data if self._pending else data
            used = self._walk(buffer)
            self.offset += used
            # A copy, and small: what is left is at most a header, since values are counted off.
            self._pending = bytes(buffer[used:])
        if (
            self._nested.depth
            and self._recording is None
            and self.offset > self._limit
            and not self.done
        ):
            # A sequence of undefined length has led past the limit.
            self.done = self.incomplete = True

    def _walk(self, buffer: Buffer) -> int:
        """Walk elements as far as the buffer goes; return how many bytes were consumed."""
        end = len(buffer)
        position = self._pass_over(buffer, end)
        while not self._skip:
            # Progress is either: a sequence may end, and leave the position where it is.
            before = position, self._nested.depth
            if before[1]:
                position = self._walk_nested(buffer, position, end)
            elif end - position >= 8:
                position = self._walk_top(buffer, position, end)
            if before == (position, self._nested.depth):
                break
        if self._recording is not None:
            self._collect(buffer[self._mark : position])
        return position

    def _pass_over(self, buffer: Buffer, end: int) -> int:
        """Count off the value that the previous bytes began."""
        self._mark = 0
        taken = min(self._skip, end)
        self._skip -= taken
        if taken and not self._skip and not self._nested.depth:
            self._complete(buffer, taken)
        return taken

    def _walk_top(self, buffer: Buffer, position: int, end: int) -> int:
        # Once for each element of each dataset: what is the same for all is looked up before.
        read_header, base, wanted = self._layout.read_header, self.offset, self._wanted
        last_wanted, limit, done = self._last_wanted, self._limit, self.done
        walk_plain = self._walk_plain if self._layout.explicit else self._walk_plain_implicit
        if self._in_c is not None:
            walk_plain = self._walk_in_c
        sequences = self._sequences
        while True:
            # Again after each element that was not plain: those come one at a time.
            position = walk_plain(buffer, position, end)
            done = self.done
            if position > end:
                return self._skip_to(position, end)
            if end - position < 8:
                break
            header = read_header(buffer, position, base)
            if header is None:
                break
            tag, vr, start, length = header
            last_tag = self._last_tag
            if not (last_tag < tag < LATE and self._ascending):
                if tag >> 16 in FOREIGN_GROUPS or tag >= _DELIMITERS:
                    after = self._pass_foreign(buffer, position, end, (tag, vr, start, length))
                    if after == position:
                        break
                    position = after
                    if position > end:
                        self._skip = position - end
                        return end
                    continue
                self._look_at_late(tag, base + position)
                wanted = self._wanted
            self._last_tag = tag
            if not done and (tag > last_wanted or base + start > limit):
                self._consider_end(tag, base + start)
                done = self.done
            if length == UNDEFINED_LENGTH:
                if not done and tag in wanted:
                    self._begin(tag, vr, start, "SQ")
                if vr == "UN":
                    note_vr(self.oddities, tag, vr, length, buffer, position)
                self._nested.open(tag, vr, base + position, None)
                return start
            if vr not in _NOTABLE and tag not in wanted and tag not in sequences:
                position = start + length
                if position > end:
                    return self._skip_to(position, end)
                continue
            if vr in _NOTABLE or tag in sequences:
                if vr not in _SEQUENCE:
                    note_vr(self.oddities, tag, vr, length, buffer, position)
                elif length and self._thorough:
                    # Whether it holds items shows in the first 8 bytes. They are waited for, header
                    # and all.
                    if length >= 8 > end - start:
                        self._last_tag = last_tag
                        break
                    if self._enter_defined(buffer, (tag, vr, start, length)):
                        if start + length > end or self._recording is not None:
                            return start
                        # Nearly all sequences are whole in the buffer, and plain: no stack is left
                        # behind.
                        position = self._nested.read_quickly(buffer, start, end, base)
                        if self._nested.depth:
                            return position
                        continue
            position = start + length
            if done:
                pass
            elif tag in wanted:
                self._take(tag, vr, buffer, start, length)
            # An unwanted value that leads past the limit; it need not be here to be counted.
            elif base + position > limit:
                done = self.done = self.incomplete = True
            if position > end:
                self._skip = position - end
                return end
        return position

    def _walk_plain(self, buffer: Buffer, position: int, end: int) -> int:
        """Walk plain elements with VRs; return where something else begins, or beyond the end."""
        layout, narrow, kinds = self._layout, NARROW_CODES, self._targets.kinds
        unpack, little = layout.unpack_narrow, layout.little_endian
        attributes, character_sets = self.attributes, self._character_sets
        last_tag, (late, last) = self._last_tag, self._bounds_of_plain(end)
        while position <= last:
            group, element, code, length = unpack(buffer, position)
            tag = group << 16 | element
            if code not in narrow or not last_tag < tag < late:
                break
            after = position + 8 + length
            kind = kinds.get(tag)
            if kind is None:
                kind = self._targets.kind(tag)
            if kind:
                # Long values are not remembered by `decode_short`: the general walk decodes them.
                if kind == LOOKED_AT or self.done or after > end or length > self._short:
                    break
                raw = bytes(buffer[position + 8 : after])
                attributes[tag] = decode_short(narrow[code], raw, little, character_sets)
            last_tag, position = tag, after
        self._last_tag = last_tag
        return position

    def _walk_plain_implicit(self, buffer: Buffer, position: int, end: int) -> int:
        """Do the same where elements have no VRs."""
        unpack, kinds = self._layout.unpack_bare, self._targets.kinds
        attributes, character_sets = self.attributes, self._character_sets
        last_tag, (late, last) = self._last_tag, self._bounds_of_plain(end)
        while position <= last:
            group, element, length = unpack(buffer, position)
            tag = group << 16 | element
            if length == UNDEFINED_LENGTH or not last_tag < tag < late:
                break
            after = position + 8 + length
            kind = kinds.get(tag)
            if kind is None:
                kind = self._targets.kind(tag)
            if kind:
                if kind in _NOTABLE or self.done or after > end or length > self._short:
                    break
                raw = bytes(buffer[position + 8 : after])
                attributes[tag] = decode_short(kind, raw, True, character_sets)
            last_tag, position = tag, after
        self._last_tag = last_tag
        return position

    def _walk_in_c(self, buffer: Buffer, position: int, end: int) -> int:
        """Do the same, of either kind, and pass over sequences and long values as well."""
        if self._in_c is None or not self._ascending:
            return position

        def take(tag: int, vr: str, start: int, length: int) -> None:
            self._take(tag, vr, buffer, start, length)

        position, self._last_tag, self.done = self._in_c.walk(
            buffer,
            position,
            self.offset,
            self._last_tag,
            self._flags + DONE * self.done,
            self._limit,
            self._max_value,
            self.attributes,
            take,
        )
        return position

    def _bounds_of_plain(self, end: int) -> tuple[int, int]:
        """Return below which tag elements are plain, and where the last of them may begin."""
        if not self._ascending:
            # From here on any may be there a second time: none is plain.
            return 0, -1
        if self.done:
            return LATE, end - 8
        return self._last_wanted + 1, min(end, self._limit - self.offset) - 8

    def _skip_to(self, position: int, end: int) -> int:
        """Pass over an element that goes on beyond the end of what is here."""
        self._skip = position - end
        if self.offset + position > self._limit and not self.done:
            self.done = self.incomplete = True
        return end

    def _consider_end(self, tag: int, offset: int) -> None:
        # Where tags have descended, a wanted one may still come: then only Pixel Data ends it.
        if tag in PIXEL_DATA_TAGS or (self._ascending and tag > self._last_wanted):
            self.done = True
        elif offset > self._limit:
            self.done = self.incomplete = True

    def _pass_foreign(self, buffer: Buffer, position: int, end: int, header: Header) -> int:
        """Return where an element ends that is of no dataset, or a delimiter too many."""
        found = read_foreign(self._layout, buffer, position, header)
        if found is None:
            return position
        tag, _, start, length = found
        if tag >> 16 in FOREIGN_GROUPS and length != UNDEFINED_LENGTH:
            if tag or length:
                self.oddities.note(f"{shown(tag)} cannot be in a dataset")
                return start + length
            self._note_zeros()
            zeros = end - position - len(bytes(buffer[position:end]).lstrip(b"\0"))
            # By eights, as a header is read at a time: what is left is looked at with what follows.
            return position + (zeros & ~7)
        if tag in {ITEM_DELIMITATION, SEQUENCE_DELIMITATION}:
            self.oddities.note(f"{shown(tag)} delimits nothing")
            return start
        raise MalformedDataset(f"unexpected {shown(tag)}", self.offset + position)

    def _note_zeros(self) -> None:
        self.oddities.note("there are zeros between or after the elements")

    def _look_at_late(self, tag: int, offset: int) -> None:
        """Look at an element of or after Pixel Data, or one after tags have ceased to ascend."""
        self._ascending = self._ascending and tag > self._last_tag
        if tag in self.attributes or tag in self.oversized:
            # Each may be there once (PS3.5 §7.1). DCMTK goes by the first as well; if it were the
            # last, it would depend on what lies between whether it is looked at.
            self.oddities.note(f"{shown(tag)} is there more than once: the first counts")
            # Who compares what an instance says of itself at first and at last is to see both.
            if tag not in _IDENTITY:
                self._wanted = self._wanted - {tag}
        if tag not in PIXEL_DATA_TAGS:
            return
        if self._has_pixel_data:
            self.oddities.obstruct(f"{shown(tag)} is a second Pixel Data element")
        self._has_pixel_data = True
        self._judge_length(offset)

    def _judge_length(self, before_pixels: int) -> None:
        if self._encapsulated and before_pixels > MAX_BEFORE_PIXELS:
            most = MAX_BEFORE_PIXELS >> 20
            self.oddities.obstruct(f"more than {most} MiB come before any Pixel Data")

    def _enter_defined(self, buffer: Buffer, header: Header) -> bool:
        """Enter a sequence of defined length to check it; False if it is none."""
        tag, vr, start, length = header
        if length < 8 or not begins_with_item(self._layout, buffer, start):
            self.oddities.note(f"{shown(tag)} is a sequence, but holds no items")
            return False
        if not self.done and tag in self._wanted:
            self._begin(tag, vr, start, "SQ")
        self._nested.open(tag, vr, self.offset + start, self.offset + start + length)
        return True

    def _walk_nested(self, buffer: Buffer, position: int, end: int) -> int:
        outer_end = self._nested.outer_end
        try:
            position = self._nested.walk(buffer, position, end, self.offset)
        except MalformedDataset as error:
            # Nothing tells where it ends, so nothing tells what comes after it either.
            if outer_end is None:
                raise
            self.oddities.obstruct(f"{error.what} (at byte {error.offset})")
            self._nested.abandon()
            position = outer_end - self.offset
        if position > end:
            self._skip = position - end
            return end
        if not self._nested.depth:
            self._complete(buffer, position)
        return position
