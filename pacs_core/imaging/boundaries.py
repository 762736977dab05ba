"""Where one frame ends and the next begins, among the fragments (PS3.5 A.4)."""

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import pairwise

from attrs import frozen

from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.syntaxes import PixelSyntax

_TAIL = 64
"""Bytes at the end of a codestream in which its end marker is looked for, before padding."""


class Verdict(Enum):
    """What the codestreams say of a fragment."""

    STARTS = "the frame before has ended, and it begins with the signature of a codestream"
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

    1. Syntaxes in which a frame is one fragment (RLE Lossless): each fragment starts one.
    2. An offset table, as long as codestreams do not contradict it. If they do, or it misses the
       fragments, it is dropped with a note: what came before is right by rule 3 as well. If not,
       that is an :class:`ImageError`.
    3. Codestreams with a signature: a frame starts where one begins, or one has ended.
    4. No signature: a single frame takes all fragments, several frames take one each.

    Parameters
    ----------
    syntax : PixelSyntax
    frames : int
        Number of Frames. There will be as many, or :class:`ImageError`.
    tables : iterable of OffsetTable
        The one to be trusted most first; those with faults are not used.

    Attributes
    ----------
    notes : list of str
        What was wrong and put up with.
    """

    def __init__(self, syntax: PixelSyntax, frames: int, tables: Iterable[OffsetTable]) -> None:
        self.notes: list[str] = []
        self._syntax = syntax
        self._frames = frames
        self._signatures = syntax.starts
        self._seen_first = False
        self._table = self._choose(tables)
        self._table_decided = False
        self._started = 0

    @property
    def head_size(self) -> int:
        """Bytes of a fragment that are needed to judge it."""
        return max(map(len, self._syntax.starts), default=0)

    def starts_frame(self, offset: int, head: bytes, before: bytearray) -> bool:
        """Decide about the next fragment.

        Parameters
        ----------
        offset : int
            Of its item, counted as in an offset table.
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
            self._see_first(head)
        if self._started and not self._decide(offset, head, before):
            return False
        self._started += 1
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

    def _see_first(self, head: bytes) -> None:
        self._seen_first = True
        if self._signatures and not self._is_signed(head):
            self._signatures = ()
            self.notes.append(f"Pixel Data begins with {head[:4].hex()}, as no codestream does")

    def _decide(self, offset: int, head: bytes, before: bytearray) -> bool:
        verdict = self._judge(head, before)
        guess = self._guess(verdict, head, before)
        if self._table is None:
            return guess
        by_table = self._by_table(self._table, offset)
        if by_table is None or (verdict is not Verdict.UNSURE and by_table is not guess):
            self._drop(self._table, offset)
            return guess
        self._table_decided |= by_table is not guess
        return by_table

    def _judge(self, head: bytes, before: bytearray) -> Verdict:
        if self._syntax.one_fragment:
            return Verdict.STARTS
        if not self._signatures or not head:
            return Verdict.UNSURE
        end = self._syntax.end
        # Padding after the end is one zero, or more where a writer aligns to more than 2 bytes.
        has_ended = bool(end) and before[-_TAIL:].rstrip(b"\0").endswith(end)
        if has_ended is self._is_signed(head):
            return Verdict.STARTS if has_ended else Verdict.CONTINUES
        return Verdict.UNSURE

    def _is_signed(self, head: bytes) -> bool:
        # A fragment may be as short as two bytes, and end within the signature.
        return any(head.startswith(name[: len(head)]) for name in self._signatures)

    def _guess(self, verdict: Verdict, head: bytes, before: bytearray) -> bool:
        if verdict is not Verdict.UNSURE:
            return verdict is Verdict.STARTS
        if self._signatures:
            return bool(head and before)
        return self._frames > 1

    def _by_table(self, table: OffsetTable, offset: int) -> bool | None:
        """Return whether a frame starts at an offset; None if the table missed a fragment."""
        if self._started == self._frames:
            return False
        due = table.offsets[self._started]
        return None if due < offset else due == offset

    def _drop(self, table: OffsetTable, offset: int) -> None:
        fault = f"the {table.name} contradicts the fragment at offset {offset}"
        if self._table_decided:
            raise ImageError(f"{fault}, and codestreams do not show where frames start")
        self.notes.append(f"{fault}: not used")
        self._table = None
