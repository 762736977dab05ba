"""Videos as they are: the fragments of Pixel Data, one after the other (PS3.5 A.4)."""

from collections.abc import AsyncIterator
from struct import unpack
from typing import Final

from attrs import frozen

from pacs_core.contracts import (
    Archive,
    InstanceHeader,
    StoredInstance,
    UnreadableFramesError,
)
from pacs_dicomweb.ranges import ByteRange, read_part

_ITEM: Final = 0xE000
_GROUP: Final = 0xFFFE
_END: Final = 0xE0DD
_MOST: Final = 100_000
"""Fragments; a video is in one, or in one for each frame."""


@frozen
class Video:
    """The stream of a video, wherever it lies in its object.

    Attributes
    ----------
    archive : Archive
    instance : StoredInstance
    fragments : tuple of ByteRange
        Of the object.
    """

    archive: Archive
    instance: StoredInstance
    fragments: tuple[ByteRange, ...]

    @property
    def length(self) -> int:
        """Bytes of the stream."""
        return sum(each.length for each in self.fragments)

    async def read(self, wanted: ByteRange) -> AsyncIterator[bytes]:
        """Iterate over a range of the stream.

        Raises
        ------
        InstanceNotFoundError, DamagedObjectError
            As of :meth:`Archive.open`.
        """
        async with await self.archive.open(self.instance) as reader:
            passed = 0
            for each in self.fragments:
                position = each.start + max(wanted.start - passed, 0)
                end = min(each.end, each.start + wanted.end - passed)
                passed += each.length
                async for chunk in read_part(reader, ByteRange(position, end)):
                    yield chunk


async def find_video(archive: Archive, instance: StoredInstance, header: InstanceHeader) -> Video:
    """Find the stream of a video.

    Raises
    ------
    UnreadableFramesError
        Pixel Data are not made of fragments, or of too many.
    InstanceNotFoundError, DamagedObjectError
        As of :meth:`Archive.open`.
    """
    found: list[ByteRange] = []
    async with await archive.open(instance) as reader:
        position = instance.dataset_offset + header.pixel_data_offset
        while len(found) <= _MOST and len(head := await reader.read(position, 8)) == 8:
            group, element, length = unpack("<HHI", head)
            position += 8
            if (group, element) == (_GROUP, _END):
                return Video(archive, instance, tuple(found[1:]))  # behind the offset table
            if (group, element) != (_GROUP, _ITEM) or position + length > reader.size:
                break
            found.append(ByteRange(position, position + length))
            position += length
    raise UnreadableFramesError("Pixel Data are not made of fragments")
