"""Headers, bulk data and single frames of stored instances, read by ranges of their objects.

The object is opened without being checked against its digest: that would take reading all of it,
which this is there to avoid. Its size is checked. Who wants proof opens the object.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from attrs import define, field

from pacs_core.contracts import (
    CHUNK_SIZE,
    Frame,
    FrameNotFoundError,
    InstanceHeader,
    ObjectReader,
    StoredInstance,
    UnreadableFramesError,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    BulkData,
    ElementReader,
    ElementSet,
    MalformedDataset,
    ReadLimits,
    encoding_of,
    short_name_of,
    swap_words,
    tag_of,
)
from pacs_core.dataset.inflate import Inflater
from pacs_core.imaging import (
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    IMAGE_TAGS,
    MAX_FRAME_BYTES,
    MAX_OFFSET_TABLE_BYTES,
    EncapsulatedFrames,
    FrameRanges,
    Image,
    ImageError,
    NativeFrames,
    image_of,
    is_video,
    offsets_of,
)

# Theory of operation
#
# Everything here works on ranges of a dataset (`DatasetRanges`). Where the dataset is stored as it
# is, a range of it is a range of the object. Where it is deflated there is no way to a later byte
# but through those before: `InflatedRanges` keeps only what may still be asked for, and begins anew
# if somebody goes back. Readers ask in ascending order, so that is rare.
#
# Finding and reading are apart. What finds (`ElementReader`, `FrameRanges`) does no input: it is a
# generator that asks for ranges, and `drive` gives it what it asks for.
#
# A frame is found in one of three ways, the cheapest that the object allows:
#
#   native     its place is arithmetic; bits that it shares with its neighbours are shifted out
#   by ranges  offset tables, or a fragment for each frame, tell where it is (PS3.5 A.4)
#   in order   nothing shows where frames begin: all before it is read and taken apart
#
# Of the third each frame costs as much as all before it. What is found is not remembered: such
# objects are rare, and an index of boundaries would have to be kept true with the object.

T = TypeVar("T")

_PIXEL_DATA: Final = 0x7FE0_0010
_BITS_ALLOCATED: Final = tag_of("BitsAllocated")
_BITS_STORED: Final = tag_of("BitsStored")
_MAX_OVERHEAD: Final = 16 << 20
"""Bytes of a codestream beyond twice those of its pixels: profiles and comments can be long."""

_FRAME_LIMITS: Final = ReadLimits(bulk=0, value=256)
"""Nothing that describes frames is longer."""


class DatasetRanges(Protocol):
    """Reads ranges of a dataset, inflated if it is deflated."""

    size: int | None

    async def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer at the end."""


@define
class StoredRanges:
    """Ranges of a dataset as it is stored."""

    _reader: ObjectReader
    _start: int
    size: int | None

    async def read(self, offset: int, length: int) -> bytes:
        """See base."""
        return await self._reader.read(self._start + offset, length)


@define
class InflatedRanges:
    """Ranges of a deflated dataset: inflated from the beginning, held from the last range on."""

    _reader: ObjectReader
    _start: int
    size: int | None = None
    _position: int = 0
    _base: int = 0
    _held: bytearray = field(factory=bytearray)
    _inflater: Inflater = field(factory=Inflater)

    async def read(self, offset: int, length: int) -> bytes:
        """See base; going back begins anew."""
        # Deflate streams cannot be entered in the middle (RFC 1951).
        if offset < self._base:
            self._position, self._base = 0, 0
            self._held.clear()
            self._inflater = Inflater()
        self._forget(offset)
        while self._base + len(self._held) < offset + length and not self._inflater.ended:
            # Little at once, for it may inflate a thousandfold.
            data = await self._reader.read(self._start + self._position, 4096)
            if not data:
                raise MalformedDataset("the deflate stream is truncated", self._base)
            self._position += len(data)
            for piece in self._inflater.pieces(data):
                self._held += piece
                self._forget(offset)
        start = offset - self._base
        return bytes(self._held[start : start + length])

    def _forget(self, offset: int) -> None:
        passed = min(offset - self._base, len(self._held))
        del self._held[:passed]
        self._base += passed


def ranges_of(reader: ObjectReader, instance: StoredInstance) -> DatasetRanges:
    """Return what reads ranges of the dataset of an instance."""
    if encoding_of(instance.transfer_syntax_uid).deflated:
        return InflatedRanges(reader, instance.dataset_offset)
    size = reader.size - instance.dataset_offset
    return StoredRanges(reader, instance.dataset_offset, size)


async def drive(
    asking: Generator[tuple[int, int], bytes | memoryview, T], ranges: DatasetRanges, base: int = 0
) -> T:
    """Give a generator the ranges that it asks for, counted from `base`."""
    try:
        offset, length = next(asking)
        while True:
            offset, length = asking.send(await ranges.read(base + offset, length))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def read_header(
    reader: ObjectReader,
    instance: StoredInstance,
    limits: ReadLimits | None = None,
    *,
    until_pixel_data: bool = False,
) -> InstanceHeader:
    """Read the elements of an instance, see :meth:`Archive.header`."""
    ranges = ranges_of(reader, instance)
    return await _header(ranges, instance, limits, until_pixel_data)


async def _header(
    ranges: DatasetRanges,
    instance: StoredInstance,
    limits: ReadLimits | None,
    until_pixel_data: bool,
) -> InstanceHeader:
    uid = instance.transfer_syntax_uid
    elements = ElementReader(uid, ranges.size, limits=limits, until_pixel_data=until_pixel_data)
    await drive(elements.run(), ranges)
    return InstanceHeader(uid, elements.elements, elements.pixel_data, elements.pixel_data_offset)


async def read_bulk_data(
    reader: ObjectReader, instance: StoredInstance, value: BulkData
) -> AsyncIterator[bytes]:
    """Iterate over the bytes of a value, see :meth:`Archive.bulk_data`."""
    if value.length is None:
        raise UnreadableFramesError("encapsulated Pixel Data are read frame by frame")
    ranges = ranges_of(reader, instance)
    offset, end = value.offset, value.offset + value.length
    while offset < end and (chunk := await ranges.read(offset, min(CHUNK_SIZE, end - offset))):
        offset += len(chunk)
        yield bytes(swap_words(chunk, value.word_size))


async def read_frames(
    reader: ObjectReader, instance: StoredInstance, numbers: Sequence[int]
) -> AsyncIterator[Frame]:
    """Iterate over frames, see :meth:`Archive.frames`."""
    ranges = ranges_of(reader, instance)
    header = await _header(ranges, instance, _FRAME_LIMITS, until_pixel_data=True)
    try:
        image = _image(header)
        frames = image.frames if image is not None else 0
        for number in numbers:
            # All are checked before the first is read: who asks for ten gets ten, or an error.
            if not 1 <= number <= frames:
                raise FrameNotFoundError(number, frames)
        if image is None:
            return
        read = await _frame_reader(header, image, ranges)
        for number in numbers:
            yield await read(number)
    except ImageError as error:
        raise UnreadableFramesError(str(error)) from error


def _image(header: InstanceHeader) -> Image | None:
    """Return the image of an instance; None if it has no pixels."""
    if header.pixel_data is None:
        return None
    attributes = _attributes(header.elements)
    if header.pixel_data.tag != _PIXEL_DATA and _BITS_ALLOCATED in attributes:
        # Floating point pixels have no Bits Stored (PS3.3 C.7.6.24).
        # What the object says of Bits Stored, should it say it all the same, comes last and counts.
        attributes = {_BITS_STORED: attributes[_BITS_ALLOCATED], **attributes}
    return image_of(attributes)


def _attributes(elements: ElementSet) -> Attributes:
    found = {tag: elements.texts(tag) for tag in IMAGE_TAGS if tag in elements.elements}
    return {tag: values for tag, values in found.items() if values}


async def _frame_reader(
    header: InstanceHeader, image: Image, ranges: DatasetRanges
) -> Callable[[int], Awaitable[Frame]]:
    element, uid = header.pixel_data, header.transfer_syntax_uid
    assert element is not None  # noqa: S101 - for the type checker
    start = header.pixel_data_offset
    encoding = encoding_of(uid)
    if element.length is not None:
        native = NativeFrames(image, element.length, encoding.little_endian, element.vr)
        return NativeFrameReader(native, ranges, start).read
    if not encoding.encapsulated:
        raise ImageError(
            f"Pixel Data is encapsulated, but its transfer syntax, {short_name_of(uid)}, is a "
            "native one (PS3.5 A.1, A.4)"
        )
    if is_video(uid):
        raise ImageError(f"{short_name_of(uid)} is a video, which is not taken apart")
    offsets, lengths = [
        await _offset_table(header.elements, tag, ranges)
        for tag in (EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS)
    ]
    # Compression that doubles a frame is no compression: beyond that the boundaries are wrong.
    most = min(MAX_FRAME_BYTES, 2 * image.format.size + _MAX_OVERHEAD)
    found = FrameRanges(image, uid, offsets, lengths, most)
    parser = partial(EncapsulatedFrames, image, uid, offsets, lengths, most)
    return EncapsulatedFrameReader(image, uid, ranges, start, found, parser).read


async def _offset_table(
    elements: ElementSet, tag: int, ranges: DatasetRanges
) -> Sequence[int] | None:
    element = elements.elements.get(tag)
    if element is None or not isinstance(element.value, BulkData):
        return None  # empty, or none
    length = element.value.length or 0
    # As good as none: frames are then found without it, and memory stays bounded.
    if length > MAX_OFFSET_TABLE_BYTES:
        return None
    return offsets_of(await ranges.read(element.value.offset, length))


@define
class NativeFrameReader:
    """Reads frames of native Pixel Data, whose place is arithmetic."""

    _native: NativeFrames
    _ranges: DatasetRanges
    _start: int

    async def read(self, number: int) -> Frame:
        """Read a frame."""
        offset, length = self._native.range_of(number)
        data = self._native.take(number, await self._ranges.read(self._start + offset, length))
        image = self._native.image
        return Frame(number, data, EXPLICIT_VR_LITTLE_ENDIAN, image.format, image.low_bits)


@define
class EncapsulatedFrameReader:
    """Reads frames of encapsulated Pixel Data."""

    _image: Image
    _uid: str
    _ranges: DatasetRanges
    _start: int
    _found: FrameRanges
    _parser: Callable[[], EncapsulatedFrames]

    async def read(self, number: int) -> Frame:
        """Read a frame."""
        spans = await drive(self._found.find(number), self._ranges, self._start)
        if spans is None:
            data = await self._read_from_beginning(number)
        else:
            data = b"".join([await self._read_span(*span) for span in spans])
        return Frame(number, data, self._uid, self._image.format, self._image.low_bits)

    async def _read_span(self, offset: int, length: int) -> bytes:
        data = await self._ranges.read(self._start + offset, length)
        if len(data) < length:
            raise ImageError("the dataset ends within a fragment of Pixel Data")
        return data

    async def _read_from_beginning(self, number: int) -> bytes:
        """Read all that comes before a frame: nothing shows where it begins."""
        parser = self._parser()
        passed, offset = 0, self._start
        while chunk := await self._ranges.read(offset, CHUNK_SIZE):
            offset += len(chunk)
            for frame in parser.feed(chunk):
                passed += 1
                if passed == number:
                    return frame
            if parser.done:
                break
        raise ImageError(f"Pixel Data end before frame {number}")
