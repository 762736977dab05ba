"""Encapsulated Pixel Data: items to frames, piece by piece (PS3.5 A.4)."""

from array import array
from collections.abc import Generator, Sequence
from contextlib import suppress
from struct import Struct

from pacs_core.imaging.boundaries import FrameBoundaries, OffsetTable
from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.image import Image
from pacs_core.imaging.samples import Buffer
from pacs_core.imaging.syntaxes import pixel_syntax

# Theory of operation
#
# The parser is a generator that yields how many bytes it wants next and is sent exactly these. So
# it reads like a parser of a whole value, while the caller may feed it pieces of any size. Bodies
# of fragments do not go through it: they are appended to the frame at once (`_body`), or counted
# off (`_skip`).
#
# Where a frame begins is not written at the fragments. `FrameBoundaries` decides it from offset
# tables, as far as they are consistent, or from the first bytes of each fragment. A frame is handed
# out when the next one begins, since only then it is known to be complete.
#
# Memory is bounded by the frames of one piece, the one that is under way, and the offset tables,
# whatever the number of frames.

MAX_FRAME_BYTES = 1 << 30
MAX_FRAGMENTS_PER_FRAME = 1 << 16
MAX_OFFSET_TABLE_BYTES = 1 << 24

_ITEM = (0xFFFE, 0xE000)
_SEQUENCE_DELIMITATION = (0xFFFE, 0xE0DD)
_UNDEFINED_LENGTH = 0xFFFF_FFFF
_HEADER = Struct("<HHI")


class EncapsulatedFrames:
    """Takes the value of encapsulated Pixel Data apart: what follows its header.

    Holds no more than one frame, and the Basic Offset Table. `FrameBoundaries` says how frames
    are told apart. A frame comes out when the next one starts, its fragments joined; padding is
    left at its end, unless Extended Offset Table Lengths say how long it is.

    Parameters
    ----------
    image : Image
    transfer_syntax_uid : str
    extended_offsets, extended_lengths : sequence of int, optional
        Values of (7FE0,0001) and (7FE0,0002), PS3.3 C.7.6.3.1.8; see `offsets_of`.
    max_frame_bytes : int
        The longest frame that is accepted.

    Attributes
    ----------
    done : bool
        The Sequence Delimitation Item has come.
    rest : bytes
        What was fed after it: the elements that follow Pixel Data.
    """

    def __init__(
        self,
        image: Image,
        transfer_syntax_uid: str,
        extended_offsets: Sequence[int] | None = None,
        extended_lengths: Sequence[int] | None = None,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self.done = False
        self.rest = b""
        self._image = image
        self._frames = image.frames
        self._syntax = pixel_syntax(transfer_syntax_uid)
        self._max_frame_bytes = max_frame_bytes
        self._tables: list[OffsetTable] = []
        if extended_offsets is not None:
            self._tables.append(OffsetTable("Extended Offset Table", extended_offsets))
        self._notes: dict[str, None] = {}
        self._boundary_notes: list[str] = []
        self._lengths = self._usable(extended_lengths)
        self._position = 0
        self._frame = bytearray()
        self._fragments = 0
        self._complete: list[bytes] = []
        self._emitted = 0
        # The parser asks for so many bytes, after those that go past it into the frame.
        self._parser = self._parse()
        self._wanted = next(self._parser)
        self._gathered = bytearray()
        self._body = 0
        self._skip = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was wrong and put up with, for the log."""
        return (*self._notes, *self._boundary_notes)

    def feed(self, data: Buffer) -> list[bytes]:
        """Take the next bytes; return the frames that are complete now.

        Raises
        ------
        ImageError
            These are no items, there are other frames than Number of Frames, a limit is
            exceeded, or there is no telling where a frame starts. The message has the position,
            counted from the first byte of the value.
        """
        view = memoryview(data)
        while view and not self.done:
            taken = self._take(view)
            self._position += taken
            view = view[taken:]
            if len(self._gathered) == self._wanted:
                self._advance()
        self.rest += view
        frames, self._complete = self._complete, []
        return frames

    def finish(self) -> None:
        """Declare the end of the dataset.

        Raises
        ------
        ImageError
            The Sequence Delimitation Item has not come.
        """
        if not self.done:
            raise self._error("the dataset ends before the Sequence Delimitation Item")

    def _take(self, view: memoryview) -> int:
        if self._skip:
            taken = min(len(view), self._skip)
            self._skip -= taken
        elif self._body:
            taken = min(len(view), self._body)
            self._frame += view[:taken]
            self._body -= taken
        else:
            taken = min(len(view), self._wanted - len(self._gathered))
            self._gathered += view[:taken]
        return taken

    def _advance(self) -> None:
        gathered = bytes(self._gathered)
        self._gathered.clear()
        with suppress(StopIteration):
            self._wanted = self._parser.send(gathered)

    def _parse(self) -> Generator[int, bytes, None]:
        yield from self._offset_table()
        first_item = self._position + self._skip
        boundaries = FrameBoundaries(self._syntax, self._image, self._tables)
        self._boundary_notes = boundaries.notes
        while (length := (yield from self._fragment_length())) is not None:
            offset = self._position - _HEADER.size - first_item
            wanted = min(length, boundaries.head_size)
            head = (yield wanted) if wanted else b""
            if boundaries.starts_frame(offset, length, head, self._frame) and self._fragments:
                self._emit()
            self._join(head, length)
        boundaries.finish()
        self._emit()
        self.done = True

    def _offset_table(self) -> Generator[int, bytes, None]:
        """Read the first item; the Basic Offset Table is passed over if it is of no use."""
        group, element, length = _HEADER.unpack((yield _HEADER.size))
        if (group, element) != _ITEM or length == _UNDEFINED_LENGTH:
            raise self._error("Pixel Data does not begin with a Basic Offset Table item")
        if length == 0:
            return
        if length != 4 * self._frames or length > MAX_OFFSET_TABLE_BYTES:
            self._note(f"Basic Offset Table of {length} bytes for {self._frames} frames: not used")
            self._skip = length
            return
        offsets = array("Q", [offset for (offset,) in Struct("<I").iter_unpack((yield length))])
        self._tables.append(OffsetTable("Basic Offset Table", offsets))

    def _fragment_length(self) -> Generator[int, bytes, int | None]:
        """Read the next item's header; None is the end of them."""
        group, element, length = _HEADER.unpack((yield _HEADER.size))
        while not (group or element or length):
            self._note("there are zeros between the fragments")
            group, element, length = _HEADER.unpack((yield _HEADER.size))
        if (group, element) == _SEQUENCE_DELIMITATION and length == 0:
            return None
        if (group, element) != _ITEM or length == _UNDEFINED_LENGTH:
            what = f"({group:04X},{element:04X}) with length {length:#x}"
            raise self._error(f"{what} where a fragment or the end of Pixel Data is due")
        if length % 2:
            self._note("a fragment has an odd length")
        return int(length)

    def _join(self, head: bytes, length: int) -> None:
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS_PER_FRAME:
            raise self._error(f"a frame has more than {MAX_FRAGMENTS_PER_FRAME} fragments")
        if len(self._frame) + length > self._max_frame_bytes:
            raise self._error(f"a frame has more than the {self._max_frame_bytes} bytes allowed")
        self._frame += head
        self._body = length - len(head)

    def _emit(self) -> None:
        frame = bytes(self._frame)
        if not frame:
            raise self._error(f"frame {self._emitted + 1} is empty")
        if self._lengths:
            frame = self._without_padding(frame, self._lengths[self._emitted])
        self._complete.append(frame)
        self._emitted += 1
        self._frame.clear()
        self._fragments = 0

    def _without_padding(self, frame: bytes, length: int) -> bytes:
        if len(frame) - length in {0, 1}:
            return frame[:length]
        self._note("Extended Offset Table Lengths differ from the frames: not used")
        return frame

    def _usable(self, lengths: Sequence[int] | None) -> Sequence[int]:
        if lengths is None or len(lengths) == self._frames:
            return lengths or ()
        self._note(f"{len(lengths)} Extended Offset Table Lengths for {self._frames} frames")
        return ()

    def _note(self, what: str) -> None:
        self._notes[what] = None

    def _error(self, what: str) -> ImageError:
        return ImageError(f"{what} (at byte {self._position} of Pixel Data)")


def offsets_of(value: Buffer) -> Sequence[int]:
    """Return the numbers in a little endian OV value: an Extended Offset Table or its Lengths.

    Raises
    ------
    ImageError
        It is longer than `MAX_OFFSET_TABLE_BYTES`, or no whole number of 64-bit words.
    """
    if len(value) % 8 or len(value) > MAX_OFFSET_TABLE_BYTES:
        raise ImageError(f"an Extended Offset Table cannot have {len(value)} bytes")
    return array("Q", [number for (number,) in Struct("<Q").iter_unpack(value)])
