"""Videos as they are: the fragments of Pixel Data, one after the other (PS3.5 A.4)."""

from collections.abc import AsyncIterator
from struct import unpack
from typing import Final

from pacs_core.contracts import (
    CHUNK_SIZE,
    Archive,
    InstanceHeader,
    StoredInstance,
    UnreadableFramesError,
)

_ITEM: Final = 0xE000
_GROUP: Final = 0xFFFE
_END: Final = 0xE0DD


async def video_of(
    archive: Archive, instance: StoredInstance, header: InstanceHeader
) -> AsyncIterator[bytes]:
    """Iterate over the stream of a video.

    Raises
    ------
    UnreadableFramesError
        Pixel Data are not made of fragments.
    InstanceNotFoundError, DamagedObjectError
        As of :meth:`Archive.open`.
    """
    async with await archive.open(instance) as reader:
        position = instance.dataset_offset + header.pixel_data_offset
        is_offset_table = True
        while len(head := await reader.read(position, 8)) == 8:
            group, element, length = unpack("<HHI", head)
            position += 8
            if (group, element) == (_GROUP, _END):
                return
            if (group, element) != (_GROUP, _ITEM) or position + length > reader.size:
                break
            end = position + length
            while position < end and not is_offset_table:
                chunk = await reader.read(position, min(end - position, CHUNK_SIZE))
                position += len(chunk)
                yield chunk
            position, is_offset_table = end, False
    raise UnreadableFramesError("Pixel Data are not made of fragments")
