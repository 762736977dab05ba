"""Single frames of stored instances, read by their ranges, and what is remembered to find them."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import Final

from attrs import define, evolve, field, frozen

from pacs_core.archive.instance_reading import DatasetRanges, drive, read_elements_of
from pacs_core.contracts import (
    CHUNK_SIZE,
    Frame,
    FrameNotFoundError,
    InstanceHeader,
    StoredInstance,
    UnreadableFramesError,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    BulkData,
    ElementSet,
    ReadLimits,
    encoding_of,
    short_name_of,
    tag_of,
)
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
    native_frame_bits,
    offsets_of,
)

# Theory of operation
#
# A frame is found in one of three ways, the cheapest that the object allows:
#
#   native     its place is arithmetic; bits that it shares with its neighbours are shifted out
#   by ranges  offset tables, or a fragment for each frame, tell where it is (PS3.5 A.4)
#   in order   nothing shows where frames begin: all before it is read and taken apart
#
# Of the third each frame costs as much as all before it.
#
# What the first two need is a `FrameLayout`: read from the header once, and kept for the next
# request (`FrameLayouts`), since viewers ask for the frames of an instance one by one. It is kept
# under the digest of the stored dataset: other bytes have another, so nothing has to be forgotten
# when an instance is replaced, and whether it may be read, and is still there, is not asked of the
# layout. What is laid over an object, as corrections are, is not kept. A layout holds no pixels;
# those together have no more than `_MOST_NUMBERS` offsets.

_PIXEL_DATA: Final = 0x7FE0_0010
_BITS_ALLOCATED: Final = tag_of("BitsAllocated")
_BITS_STORED: Final = tag_of("BitsStored")
_MAX_OVERHEAD: Final = 16 << 20
"""Bytes of a codestream beyond twice those of its pixels: profiles and comments can be long."""

_FRAME_LIMITS: Final = ReadLimits(bulk=0, value=256)
"""Nothing that describes frames is longer."""

_MOST_LAYOUTS: Final = 4096
_MOST_NUMBERS: Final = 100_000
"""Some 20 MB."""


@frozen
class FrameLayout:
    """How the frames of an instance lie in its dataset.

    Attributes
    ----------
    image : Image or None
        None if it has no pixels.
    native : NativeFrames or None
    encapsulated : FrameRanges or None
        What finds them, if they are encapsulated; it remembers what it has found.
    start : int
        Where the value of Pixel Data begins.
    transfer_syntax_uid : str
    tables : tuple
        Values of the Extended Offset Table and its Lengths, each None if there is none.
    is_float : bool
        See :class:`Frame`.
    said : int
        What Number of Frames says, if native Pixel Data have fewer; else 0.
    """

    image: Image | None
    native: NativeFrames | None = None
    encapsulated: FrameRanges | None = None
    start: int = 0
    transfer_syntax_uid: str = ""
    tables: tuple[Sequence[int] | None, Sequence[int] | None] = (None, None)
    is_float: bool = False
    said: int = 0

    @property
    def weight(self) -> int:
        """Numbers that are held."""
        return self.encapsulated.held if self.encapsulated is not None else 0

    async def check(self, numbers: Sequence[int], ranges: DatasetRanges) -> None:
        """Check that there are frames with these numbers.

        Raises
        ------
        FrameNotFoundError
            There is no such frame.
        """
        frames = said = self.image.frames if self.image is not None else 0
        if self.encapsulated is not None and (len(numbers) > 1 or max(numbers, default=0) > said):
            # Of one that may be there `read` finds out by itself, after as much has been read.
            frames = await drive(self.encapsulated.count(max(numbers)), ranges, self.start)
        for number in numbers:
            if not 1 <= number <= frames:
                raise FrameNotFoundError(number, frames, self.said or said)

    def range_of(self, number: int) -> tuple[int, int]:
        """Return offset and length, in the dataset, of what a frame is read from.

        A length of 0 says that it is not known.
        """
        extent = None
        if self.image is not None and 1 <= number <= self.image.frames:
            found = self.encapsulated
            extent = found.extent(number) if found else self.native and self.native.range_of(number)
        return (self.start + extent[0], extent[1]) if extent else (0, 0)

    async def read(self, number: int, ranges: DatasetRanges) -> Frame:
        """Read a frame.

        Raises
        ------
        ImageError
            It cannot be told from others, or is not all there.
        """
        image = self.image
        assert image is not None  # noqa: S101 - `check` has seen to that
        if self.native is not None:
            data = self.native.take(number, await ranges.read(*self.range_of(number)))
            uid, form = EXPLICIT_VR_LITTLE_ENDIAN, self.native.image.format
            return Frame(number, data, uid, form, image.low_bits, self.is_float)
        data = await self._read_encapsulated(number, ranges)
        return Frame(number, data, self.transfer_syntax_uid, image.format, image.low_bits)

    async def _read_encapsulated(self, number: int, ranges: DatasetRanges) -> bytes:
        assert self.encapsulated is not None  # noqa: S101 - it is, if `native` is not
        spans = await drive(self.encapsulated.find(number), ranges, self.start)
        if spans is None and number > (there := self.encapsulated.known_frames):
            assert self.image is not None  # noqa: S101 - as above
            raise FrameNotFoundError(number, there, self.image.frames)
        if spans is None:
            return await self._read_from_beginning(number, ranges)
        pieces = []
        for offset, length in spans:
            data = await ranges.read(self.start + offset, length)
            if len(data) < length:
                raise ImageError("the dataset ends within a fragment of Pixel Data")
            pieces.append(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _read_from_beginning(self, number: int, ranges: DatasetRanges) -> bytes:
        """Read all that comes before a frame: nothing shows where it begins."""
        assert self.image is not None  # noqa: S101 - as above
        most = _longest_frame(self.image)
        parser = EncapsulatedFrames(self.image, self.transfer_syntax_uid, *self.tables, most)
        passed, offset = 0, self.start
        while chunk := await ranges.read(offset, CHUNK_SIZE):
            offset += len(chunk)
            for frame in parser.feed(chunk):
                passed += 1
                if passed == number:
                    return frame
            if parser.done:
                break
        raise ImageError(f"Pixel Data end before frame {number}")


@define
class FrameLayouts:
    """Layouts of the instances whose frames were asked for last, in bounded memory."""

    _layouts: "OrderedDict[tuple[object, ...], tuple[FrameLayout, int]]" = field(
        factory=OrderedDict
    )
    _weight: int = 0

    def get(self, instance: StoredInstance) -> FrameLayout | None:
        """Return the layout of an instance, if it is known."""
        key = _key_of(instance)
        if (found := self._layouts.get(key)) is None:
            return None
        self._layouts.move_to_end(key)
        return found[0]

    def keep(self, instance: StoredInstance, layout: FrameLayout) -> None:
        """Remember the layout of an instance, with what it has found by now."""
        key, weight = _key_of(instance), layout.weight
        if not instance.digest or instance.corrections or weight > _MOST_NUMBERS:
            return
        self._weight -= self._layouts.get(key, (layout, 0))[1]
        self._layouts[key] = layout, weight
        self._weight += weight
        while len(self._layouts) > _MOST_LAYOUTS or self._weight > _MOST_NUMBERS:
            _, (_, forgotten) = self._layouts.popitem(last=False)
            self._weight -= forgotten


def _key_of(instance: StoredInstance) -> tuple[object, ...]:
    return instance.digest, instance.transfer_syntax_uid, instance.key, instance.corrections


async def read_layout(ranges: DatasetRanges, instance: StoredInstance) -> FrameLayout:
    """Read how the frames of an instance lie in its dataset.

    Raises
    ------
    MalformedDataset
        It cannot be read.
    UnreadableFramesError
        Its Pixel Data are none that could be taken apart.
    """
    header = await read_elements_of(ranges, instance, _FRAME_LIMITS, until_pixel_data=True)
    try:
        return await _layout(header, ranges)
    except ImageError as error:
        raise UnreadableFramesError(str(error)) from error


async def read_frames(
    layout: FrameLayout, ranges: DatasetRanges, numbers: Sequence[int]
) -> AsyncIterator[Frame]:
    """Iterate over frames, see :meth:`Archive.frames`."""
    try:
        for number in numbers:
            yield await layout.read(number, ranges)
    except ImageError as error:
        raise UnreadableFramesError(str(error)) from error


async def _layout(header: InstanceHeader, ranges: DatasetRanges) -> FrameLayout:
    image, element, uid = _image(header), header.pixel_data, header.transfer_syntax_uid
    if image is None or element is None:
        return FrameLayout(None)
    start = header.pixel_data_offset
    encoding = encoding_of(uid)
    if element.length is not None:
        is_float, said = element.tag != _PIXEL_DATA, image.frames
        image = evolve(image, frames=_native_frames(image, element.length))
        native = NativeFrames(image, element.length, encoding.little_endian, element.vr)
        said = said if said > image.frames else 0
        return FrameLayout(image, native, None, start, uid, is_float=is_float, said=said)
    if not encoding.encapsulated:
        raise ImageError(
            f"Pixel Data is encapsulated, but its transfer syntax, {short_name_of(uid)}, is a "
            "native one (PS3.5 A.1, A.4)"
        )
    if is_video(uid):
        raise ImageError(f"{short_name_of(uid)} is a video, which is not taken apart")
    offsets = await _offset_table(header.elements, EXTENDED_OFFSET_TABLE, ranges)
    lengths = await _offset_table(header.elements, EXTENDED_OFFSET_TABLE_LENGTHS, ranges)
    found = FrameRanges(image, uid, offsets, lengths, _longest_frame(image))
    return FrameLayout(image, None, found, start, uid, (offsets, lengths))


def _native_frames(image: Image, length: int) -> int:
    """Return how many frames native Pixel Data have: as it is said, if they have none at all."""
    there = 8 * length // native_frame_bits(image)
    return min(there or image.frames, image.frames)


def _longest_frame(image: Image) -> int:
    """Return the bytes that a frame may have.

    Compression that doubles a frame is no compression: beyond that the boundaries are wrong.
    """
    return min(MAX_FRAME_BYTES, 2 * image.format.size + _MAX_OVERHEAD)


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
