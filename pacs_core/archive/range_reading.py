"""The part of an archive that reads instances by ranges, whatever opens their objects."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence

from pacs_core.archive.frame_reading import FrameLayouts, read_frames, read_layout
from pacs_core.archive.instance_reading import (
    BEGINNING,
    ranges_of,
    read_bulk_data,
    read_header,
)
from pacs_core.contracts import Archive, Frame, InstanceHeader, ObjectReader, StoredInstance
from pacs_core.contracts.object_store import with_beginning
from pacs_core.dataset import BulkData, ReadLimits


class RangeReadingArchive(Archive):
    """Base of archives: :meth:`open_ranges` is all that header, bulk data and frames need."""

    _layouts: FrameLayouts

    @abstractmethod
    async def open_ranges(self, instance: StoredInstance) -> ObjectReader:
        """Open an object of which only parts are read, which no digest can vouch for."""

    async def open_ranges_and_read(
        self, instance: StoredInstance, offset: int, length: int
    ) -> tuple[ObjectReader, bytes]:
        """Open it so, and read what is at an offset of the dataset.

        Override it where the two cost less in one step than one after the other.
        """
        reader = await self.open_ranges(instance)
        if not length:
            return reader, b""
        return await with_beginning(reader, instance.dataset_offset + offset, length)

    async def header(
        self, instance: StoredInstance, limits: ReadLimits | None = None
    ) -> InstanceHeader:
        """Read the elements of an instance, see :meth:`Archive.header`."""
        reader, head = await self.open_ranges_and_read(instance, 0, BEGINNING)
        async with reader:
            return await read_header(reader, instance, limits, held=head)

    async def bulk_data(self, instance: StoredInstance, value: BulkData) -> AsyncIterator[bytes]:
        """Iterate over the bytes of a value, see :meth:`Archive.bulk_data`."""
        async with await self.open_ranges(instance) as reader:
            async for chunk in read_bulk_data(reader, instance, value):
                yield chunk

    async def frames(
        self, instance: StoredInstance, numbers: Sequence[int]
    ) -> AsyncIterator[Frame]:
        """Iterate over frames, see :meth:`Archive.frames`."""
        layout = self._layouts.get(instance)
        # With the object comes the first frame of a layout that is known, or the header.
        offset, length = 0, BEGINNING
        if layout is not None:
            offset, length = layout.range_of(numbers[0]) if numbers else (0, 0)
        reader, held = await self.open_ranges_and_read(instance, offset, length)
        async with reader:
            ranges = ranges_of(reader, instance, held, offset)
            known = layout or await read_layout(ranges, instance)
            # All are checked before the first is read: who asks for ten gets ten, or an error.
            await known.check(numbers, ranges)
            try:
                async for frame in read_frames(known, ranges, numbers):
                    yield frame
            finally:
                self._layouts.keep(instance, known)
