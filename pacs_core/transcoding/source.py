"""A dataset as it is read: its header, its frames, and what follows them."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Final, Protocol

import anyio

from pacs_core.concurrency import closing
from pacs_core.contracts import TranscodingError
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    DatasetRecoder,
    MalformedDataset,
    PixelDataElement,
    element_value,
    encoding_of,
    short_name_of,
)
from pacs_core.dataset.inflate import Inflater
from pacs_core.dataset.oddities import MAX_BEFORE_PIXELS
from pacs_core.imaging import (
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    MAX_FRAME_BYTES,
    EncapsulatedFrames,
    Image,
    ImageError,
    NativeFrames,
    offsets_of,
)

# Theory of operation
#
# The dataset is read in three acts, in this order and each once: `header`, then `frames` or
# `value`, then `elements_after_pixels`. The recoder walks the elements of the first and third act.
# In between it is stopped, and what it has not consumed (`_rest`) goes to the parser of Pixel Data,
# which in turn leaves what follows it.
#
# Memory is bounded by act: the header by MAX_HEADER, and if it is long by room in the node's
# budget; frames by the size that the header gives them; the rest by the element being walked.

Buffer = bytes | memoryview

MAX_HEADER: Final = MAX_BEFORE_PIXELS

LONG_HEADER: Final = 1024 * 1024
"""Bytes beyond which a header asks for room."""

ROOM_TIMEOUT: Final = 30.0
"""Seconds to wait for it."""

HEADER_ROOM: Final = 3 * MAX_HEADER
"""What a long header takes, at once: it is gathered, copied, and copied again when edited."""

MAX_OVERHEAD: Final = 16 * 1024 * 1024
"""Bytes of a codestream beyond twice those of its pixels: profiles and comments can be long."""


class MemoryRoom(Protocol):
    """Memory that what is under way shares."""

    @property
    def limit(self) -> int:
        """Bytes that there are."""

    async def take(self, size: int) -> None:
        """Take bytes, waiting for them."""

    def give(self, size: int) -> None:
        """Give bytes back."""


class SourceDataset:
    """Reads a dataset once, as explicit VR little endian: header, frames, and the end.

    Parameters
    ----------
    transfer_syntax_uid : str
    chunks : async iterable of bytes-like
    room : MemoryRoom, optional
        Where a long header gets its memory from; call `release` in the end.

    Attributes
    ----------
    notes : tuple of str
        What was wrong with Pixel Data and put up with, once their frames have been read.
    """

    def __init__(
        self,
        transfer_syntax_uid: str,
        chunks: AsyncIterable[Buffer],
        room: MemoryRoom | None = None,
    ) -> None:
        self._room = room
        self._held = 0
        self._uid = transfer_syntax_uid
        self._encoding = encoding_of(transfer_syntax_uid)
        deflated = self._encoding.deflated
        self._recoder = DatasetRecoder(
            EXPLICIT_VR_LITTLE_ENDIAN if deflated else transfer_syntax_uid,
            EXPLICIT_VR_LITTLE_ENDIAN,
            stops_at_pixel_data=True,
        )
        self._chunks = aiter(inflate_chunks(chunks) if deflated else chunks)
        self._rest: Buffer = b""
        self._consumed = 0
        self.notes: tuple[str, ...] = ()

    @property
    def pixel_data(self) -> PixelDataElement | None:
        """The header of Pixel Data, once the header has been read; None if there are none."""
        return self._recoder.pixel_data

    async def header(self) -> bytes:
        """Read what precedes Pixel Data; everything, if there are none.

        Raises
        ------
        TranscodingError
            It is too long.
        MalformedDataset, UnencodableValue
            It cannot be read, or not be converted.
        """
        header = bytearray()
        while self.pixel_data is None and (chunk := await anext(self._chunks, None)) is not None:
            for piece in self._recoder.feed(chunk):
                header += piece
            if self._room is not None and not self._held and len(header) > LONG_HEADER:
                await self._take_room(self._room)
            if len(header) > MAX_HEADER:
                header.clear()  # what is raised here keeps it alive
                raise TranscodingError(
                    f"more than {MAX_HEADER >> 20} MiB come before any Pixel Data"
                )
        if self.pixel_data is None:
            self._recoder.finish()
        self._rest = self._recoder.take_rest()
        return bytes(header)

    async def _take_room(self, room: MemoryRoom) -> None:
        # Who holds room may wait for who waits for it: for a while only.
        # One claim for all that it may grow to: two headers that asked for more, step by step,
        # could each hold what the other waits for.
        claim = min(HEADER_ROOM, room.limit)
        with anyio.move_on_after(ROOM_TIMEOUT):
            await room.take(claim)
            self._held = claim
            return
        raise TranscodingError("the node has no memory to spare for its header")

    def release(self) -> None:
        """Give back the memory of a long header."""
        if self._room is not None:
            self._room.give(self._held)
            self._held = 0

    async def value(self) -> AsyncIterator[Buffer]:
        """Iterate over all that follows the header of Pixel Data, as it is."""
        while (part := await self._next()) is not None:
            yield part

    async def frames(self, image: Image, header: bytes) -> AsyncIterator[bytes]:
        """Iterate over the frames of Pixel Data: codestreams, or native ones by pixel.

        Raises
        ------
        ImageError
            Pixel Data are not what the header says of them.
        """
        element = self._recoder.pixel_data
        if element is None:
            return
        if element.length is None:
            if not self._encoding.encapsulated:
                raise ImageError(
                    "Pixel Data is encapsulated, but its transfer syntax, "
                    f"{short_name_of(self._uid)}, is a native one (PS3.5 A.1, A.4)"
                )
            reading = self._read_encapsulated(image, header)
        else:
            reading = self._read_native(image, element, element.length)
        async with closing(reading) as frames:
            async for frame in frames:
                yield frame

    async def _read_native(
        self, image: Image, element: PixelDataElement, length: int
    ) -> AsyncIterator[bytes]:
        parser = NativeFrames(image, length, self._encoding.little_endian, element.vr)
        while self._consumed < length and (part := await self._next()) is not None:
            own = part[: length - self._consumed]
            self._consumed += len(own)
            self._rest = part[len(own) :]
            for frame in parser.feed(own):
                yield frame
        parser.finish()
        self.notes = parser.notes

    async def _read_encapsulated(self, image: Image, header: bytes) -> AsyncIterator[bytes]:
        # A codestream may be larger than its pixels, but one that is much larger is an attack: it
        # would be gathered in memory before a codec can refuse it.
        offsets = _offsets(header, EXTENDED_OFFSET_TABLE)
        lengths = _offsets(header, EXTENDED_OFFSET_TABLE_LENGTHS)
        most = min(MAX_FRAME_BYTES, 2 * image.format.size + MAX_OVERHEAD)
        parser = EncapsulatedFrames(image, self._uid, offsets, lengths, most)
        while not parser.done and (part := await self._next()) is not None:
            self._consumed += len(part)
            for frame in parser.feed(part):
                yield frame
        parser.finish()
        self.notes = parser.notes
        self._rest = parser.rest
        self._consumed -= len(parser.rest)

    async def elements_after_pixels(self) -> AsyncIterator[Buffer]:
        """Iterate over the elements that follow Pixel Data.

        Raises
        ------
        MalformedDataset
            They are none.
        """
        self._recoder.resume(self._consumed)
        while (part := await self._next()) is not None:
            for piece in self._recoder.feed(part):
                yield piece
        for piece in self._recoder.finish():
            yield piece

    async def _next(self) -> Buffer | None:
        rest, self._rest = self._rest, b""
        return rest or await anext(self._chunks, None)


def _offsets(header: bytes, tag: int) -> Sequence[int] | None:
    value = element_value(header, EXPLICIT_VR_LITTLE_ENDIAN, tag)
    return None if value is None else offsets_of(value)


async def inflate_chunks(chunks: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
    """Inflate a dataset, and hand it on in pieces of at most 64 KiB.

    Raises
    ------
    MalformedDataset
        It is no deflate stream, is cut, or inflates to much more than it should.
    """
    inflater = Inflater()
    async for chunk in chunks:
        for piece in inflater.pieces(chunk):
            yield piece
    if not inflater.ended:
        raise MalformedDataset("the deflate stream is truncated", 0)
