"""Headers and bulk data of stored instances, read by ranges of their objects.

The object is opened without being checked against its digest: that would take reading all of it,
which this is there to avoid. Its size is checked. Who wants proof opens the object.
"""

from collections.abc import AsyncIterator, Generator
from typing import Final, Protocol, TypeVar

from anyio import to_thread
from attrs import define, field

from pacs_core.contracts import (
    CHUNK_SIZE,
    InstanceHeader,
    ObjectReader,
    StoredInstance,
    UnreadableFramesError,
)
from pacs_core.dataset import (
    BulkData,
    ElementReader,
    MalformedDataset,
    ReadLimits,
    encoding_of,
    swap_words,
)
from pacs_core.dataset.element_reader import WINDOW
from pacs_core.dataset.inflate import Inflater

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
# A header is read in the event loop's thread, for it is short; but a report may have millions of
# elements, and nothing else would be served meanwhile. So `drive_steadily` goes on in a thread once
# a generator has been given more than headers have. What it is likely to ask for next is read ahead
# by then, so that there is a visit to a thread for each block and not for each window.

T = TypeVar("T")

BEGINNING: Final = WINDOW
"""Bytes with which a header begins: whoever opens an object for it can read them at once."""


_IN_LOOP: Final = 128 * 1024
"""Bytes of a dataset that are looked through in the event loop's thread: some milliseconds."""

_AHEAD: Final = 512 * 1024
"""Bytes that are read at once for who looks through in a thread."""


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
    _held_from: int = 0
    _held: bytes = b""

    async def read(self, offset: int, length: int) -> bytes:
        """See base; from what was read while opening, if that has it."""
        start = offset - self._held_from
        if start >= 0 and start + length <= len(self._held):
            return self._held[start : start + length]
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


def ranges_of(
    reader: ObjectReader, instance: StoredInstance, held: bytes = b"", held_from: int = 0
) -> DatasetRanges:
    """Return what reads ranges of the dataset of an instance.

    Parameters
    ----------
    reader : ObjectReader
    instance : StoredInstance
    held : bytes
        What has been read of the dataset, from `held_from` on.
    held_from : int
    """
    if encoding_of(instance.transfer_syntax_uid).deflated:
        return InflatedRanges(reader, instance.dataset_offset)
    size = reader.size - instance.dataset_offset
    return StoredRanges(reader, instance.dataset_offset, size, held_from, held)


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


async def drive_steadily(
    asking: Generator[tuple[int, int], bytes | memoryview, None], ranges: DatasetRanges
) -> None:
    """Do the same, in threads as soon as it takes long."""
    given = 0
    try:
        offset, length = next(asking)
        while given < _IN_LOOP:
            given += length
            offset, length = asking.send(await ranges.read(offset, length))
    except StopIteration:
        return
    wanted: tuple[int, int] | None = offset, length
    while wanted is not None:
        offset, length = wanted
        block = await ranges.read(offset, max(length, _AHEAD))
        is_last = len(block) < max(length, _AHEAD)
        wanted = await to_thread.run_sync(_feed, asking, wanted, offset, block, is_last)


def _feed(
    asking: Generator[tuple[int, int], bytes | memoryview, None],
    wanted: tuple[int, int],
    start: int,
    block: bytes,
    is_last: bool,
) -> tuple[int, int] | None:
    """Give a generator what it asks for of a block; return what it wants beyond, None at its end.

    Parameters
    ----------
    asking : generator
    wanted : tuple of (int, int)
        What it waits for.
    start : int
        Where the block begins.
    block : bytes
    is_last : bool
        Whether nothing follows the block.
    """
    view, (offset, length) = memoryview(block), wanted
    try:
        while offset >= start and (is_last or offset + length <= start + len(block)):
            offset, length = asking.send(view[offset - start : offset - start + length])
    except StopIteration:
        return None
    return offset, length


async def read_header(
    reader: ObjectReader,
    instance: StoredInstance,
    limits: ReadLimits | None = None,
    *,
    until_pixel_data: bool = False,
    held: bytes = b"",
) -> InstanceHeader:
    """Read the elements of an instance, see :meth:`Archive.header`.

    `held` is the beginning of the dataset, as far as it was read while opening.
    """
    ranges = ranges_of(reader, instance, held)
    return await read_elements_of(ranges, instance, limits, until_pixel_data=until_pixel_data)


async def read_elements_of(
    ranges: DatasetRanges,
    instance: StoredInstance,
    limits: ReadLimits | None,
    *,
    until_pixel_data: bool = False,
) -> InstanceHeader:
    """Do the same of ranges that somebody has already."""
    uid = instance.transfer_syntax_uid
    elements = ElementReader(uid, ranges.size, limits=limits, until_pixel_data=until_pixel_data)
    await drive_steadily(elements.run(), ranges)
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
