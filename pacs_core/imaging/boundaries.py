"""Boundaries of frames among the fragments (PS3.5 A.4)."""

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import pairwise
from struct import pack

from attrs import frozen

from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.image import Image
from pacs_core.imaging.syntaxes import PixelSyntax

# Theory of operation
#
# Encapsulated Pixel Data are fragments, and nothing says which belong together unless an offset
# table does. Tables are often wrong, so three witnesses are heard: the table, the beginning of a
# fragment (a signature), and the end of the codestream before it (an end marker). Signature and end
# marker together are a verdict; if they disagree, each alone is only a guess.
#
# A table is followed until a verdict contradicts it. Then it is dropped, and it matters whether it
# has decided anything by itself so far: if so, frames already handed out may be wrong, and the
# image is refused. If all it said was also what the codestreams showed, nothing is lost.
#
# Wrong boundaries would not fail loudly, but show one frame's picture under another's number. Hence
# every doubt ends in a note or in an error, never in silence.

_RLE_HEADER_LENGTH = 64
"""Where the first segment begins (PS3.5 G.5)."""


class Verdict(Enum):
    """What the codestreams say of a fragment."""

    STARTS = "the frame before has ended, and it begins as a codestream does"
    CONTINUES = "the frame before has not ended, and it does not begin as a codestream does"
    UNSURE = "it may be either"


@frozen
class OffsetTable:
    """Where frames start, counted from the first byte after the Basic Offset Table item.

    Attributes
    ----------
    name : str
        For errors and notes.
    offsets : sequence of int
    """

    name: str
    offsets: Sequence[int]

    def fault(self, frames: int) -> str:
        """Return what is wrong with the table in itself; empty if nothing."""
        offsets = self.offsets
        if len(offsets) != frames:
            return f"the {self.name} has {len(offsets)} entries for {frames} frames"
        if offsets[0] != 0:
            return f"the {self.name} begins with {offsets[0]}, not 0"
        if any(left >= right for left, right in pairwise(offsets)):
            return f"the {self.name} does not ascend"
        return ""


class FrameBoundaries:
    """Decides of each fragment, in their order, whether a frame starts with it.

    By the first of these that applies:

    1. An offset table, as long as codestreams do not contradict it. If they do, or it misses the
       fragments, it is dropped with a note: what came before is right by rule 2 as well. If not,
       that is an :class:`ImageError`.
    2. Codestreams with a signature: a frame starts where one begins, or one has ended, which their
       markers tell. What follows the end of the last frame belongs to it: codecs pass over it.
    3. No signature: a single frame takes all fragments, several frames take one each. An empty
       fragment starts none.

    Parameters
    ----------
    syntax : PixelSyntax
    image : Image
        There will be as many frames as it says, or :class:`ImageError`.
    tables : iterable of OffsetTable
        The one to be trusted most first; those with faults are not used.

    Attributes
    ----------
    notes : list of str
        What was wrong and put up with.
    """

    def __init__(self, syntax: PixelSyntax, image: Image, tables: Iterable[OffsetTable]) -> None:
        self.notes: list[str] = []
        self._syntax = syntax
        self._frames = image.frames
        self._signatures = signatures_of(syntax, image)
        self._walk = syntax.walk() if syntax.walk else None
        self._seen_first = False
        self._table = self._choose(tables)
        self._table_decided = False
        self._started = 0

    @property
    def head_size(self) -> int:
        """Bytes of a fragment that are needed to judge it."""
        return max(map(len, self._signatures), default=0)

    def starts_frame(self, offset: int, length: int, head: bytes, before: bytearray) -> bool:
        """Decide about the next fragment.

        Parameters
        ----------
        offset : int
            Of its item, counted as in an offset table.
        length : int
            Of the fragment.
        head : bytes
            Its first `head_size` bytes, or all of it if that is less.
        before : bytearray
            The frame that it may continue, as far as it is known.

        Raises
        ------
        ImageError
            There is no telling, or it is one frame too many.
        """
        if head and not self._seen_first:
            self._seen_first = True
            if self._signatures and not self._is_signed(head):
                self._signatures = ()
                self.notes.append(f"Pixel Data begins with {head[:4].hex()}, as no codestream does")
        if self._started and not self._decide(offset, length, head, before):
            return False
        self._started += 1
        self._walk = self._syntax.walk() if self._syntax.walk else None
        if self._started > self._frames:
            raise ImageError(
                f"the fragment at offset {offset} starts frame {self._started}, but "
                f"NumberOfFrames is {self._frames}"
            )
        return True

    def finish(self) -> None:
        """Declare the end of all fragments.

        Raises
        ------
        ImageError
            There are fewer frames than Number of Frames says.
        """
        if self._started < self._frames:
            raise ImageError(
                f"the fragments make {self._started} frames, but NumberOfFrames is {self._frames}"
            )

    def _choose(self, tables: Iterable[OffsetTable]) -> OffsetTable | None:
        for table in tables:
            fault = table.fault(self._frames)
            if not fault:
                return table
            self.notes.append(f"{fault}: not used")
        return None

    def _decide(self, offset: int, length: int, head: bytes, before: bytearray) -> bool:
        verdict = self._judge(head, before)
        guess = self._guess(verdict, length, head, before)
        if self._table is None:
            return guess
        by_table = self._by_table(self._table, offset)
        if by_table is None or (verdict is not Verdict.UNSURE and by_table is not guess):
            fault = f"the {self._table.name} contradicts the fragment at offset {offset}"
            if self._table_decided:
                raise ImageError(f"{fault}, and codestreams do not show where frames start")
            self.notes.append(f"{fault}: not used")
            self._table = None
            return guess
        self._table_decided |= by_table is not guess
        return by_table

    def _judge(self, head: bytes, before: bytearray) -> Verdict:
        if not self._signatures or not head:
            return Verdict.UNSURE
        is_signed = self._is_signed(head)
        if self._syntax.is_run_length:
            # A few bytes may look like the beginning of a header, where no frame is due any more.
            is_whole, is_due = len(head) >= self.head_size, self._started < self._frames
            return Verdict.STARTS if is_signed and (is_whole or is_due) else Verdict.UNSURE
        has_ended = self._walk is not None and self._walk.advance(before)
        if has_ended is is_signed:
            return Verdict.STARTS if has_ended else Verdict.CONTINUES
        return Verdict.UNSURE

    def _is_signed(self, head: bytes) -> bool:
        # A fragment may be as short as two bytes, and end within the signature.
        return any(head.startswith(name[: len(head)]) for name in self._signatures)

    def _guess(self, verdict: Verdict, length: int, head: bytes, before: bytearray) -> bool:
        if verdict is not Verdict.UNSURE:
            return verdict is Verdict.STARTS
        if not self._signatures:
            return length > 0 and self._frames > 1
        if self._syntax.is_run_length or not (head and before):
            return False
        return self._started < self._frames or self._is_signed(head)

    def _by_table(self, table: OffsetTable, offset: int) -> bool | None:
        """Return whether a frame starts at an offset; None if the table missed a fragment."""
        if self._started == self._frames:
            return False
        due = table.offsets[self._started]
        return None if due < offset else due == offset


def signatures_of(syntax: PixelSyntax, image: Image) -> tuple[bytes, ...]:
    """Return what codestreams begin with: in RLE, how many segments there are, and the first."""
    if not syntax.is_run_length:
        return syntax.starts
    frame = image.format
    segments = frame.samples_per_pixel * ((frame.bits_allocated + 7) // 8)
    return (pack("<II", segments, _RLE_HEADER_LENGTH),)
