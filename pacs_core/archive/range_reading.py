"""The part of an archive that reads instances by ranges, whatever opens their objects."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence

from pacs_core.archive.instance_reading import read_bulk_data, read_frames, read_header
from pacs_core.contracts import Archive, Frame, InstanceHeader, ObjectReader, StoredInstance
from pacs_core.dataset import BulkData, ReadLimits


class RangeReadingArchive(Archive):
    """Base of archives: :meth:`open_ranges` is all that header, bulk data and frames need."""

    @abstractmethod
    async def open_ranges(self, instance: StoredInstance) -> ObjectReader:
        """Open an object of which only parts are read, which no digest can vouch for."""

    async def header(
        self, instance: StoredInstance, limits: ReadLimits | None = None
    ) -> InstanceHeader:
        """Read the elements of an instance, see :meth:`Archive.header`."""
        async with await self.open_ranges(instance) as reader:
            return await read_header(reader, instance, limits)

    async def bulk_data(self, instance: StoredInstance, value: BulkData) -> AsyncIterator[bytes]:
        """Iterate over the bytes of a value, see :meth:`Archive.bulk_data`."""
        async with await self.open_ranges(instance) as reader:
            async for chunk in read_bulk_data(reader, instance, value):
                yield chunk

    async def frames(
        self, instance: StoredInstance, numbers: Sequence[int]
    ) -> AsyncIterator[Frame]:
        """Iterate over frames, see :meth:`Archive.frames`."""
        async with await self.open_ranges(instance) as reader:
            async for frame in read_frames(reader, instance, numbers):
                yield frame
