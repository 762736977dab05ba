"""Stored objects as corrections have them: what is changed is made anew, all else is read."""

import tempfile
import threading
from bisect import bisect_right
from collections.abc import Sequence

from anyio import CancelScope, to_thread
from attrs import evolve, frozen

from pacs_core.archive.corrections import EXTENDED_TAGS
from pacs_core.archive.instance_reading import StoredRanges, drive
from pacs_core.archive.objects import read_meta
from pacs_core.contracts import DamagedObjectError, ObjectReader, StoredInstance
from pacs_core.dataset import (
    Changes,
    DatasetEditor,
    MalformedDataset,
    Modification,
    Span,
    encoding_of,
    plan_edit,
)

# Theory of operation
#
# The beginning of a dataset is read until it is known which of its bytes stay; the object that is
# handed out is a list of pieces, new bytes and ranges of what is stored, in which any range is
# found by its offset. So Pixel Data are read from where they lie, frames by their ranges too. Of a
# deflated dataset nothing lies anywhere: it is inflated, changed and deflated at once, into memory,
# or a file without a name.

_IN_MEMORY = 4 << 20


@frozen
class Overlay:
    """What corrections make of an instance.

    Attributes
    ----------
    changes : Changes
    modification : Modification or None
        For Original Attributes Sequence.
    """

    changes: Changes
    modification: Modification | None


async def correct_reader(
    reader: ObjectReader, instance: StoredInstance, overlay: Overlay
) -> ObjectReader:
    """Return the reader of an object as corrections have it; it closes the one that is given.

    Raises
    ------
    DamagedObjectError
        The dataset cannot be changed: it is malformed.
    """
    deflated = encoding_of(instance.transfer_syntax_uid).deflated
    try:
        if overlay.modification is not None:
            source = (await read_meta(reader)).sending_ae_title
            overlay = evolve(overlay, modification=evolve(overlay.modification, source=source))
        return await (_deflate if deflated else _compose)(reader, instance, overlay)
    except BaseException as error:
        with CancelScope(shield=True):
            await reader.close()
        if isinstance(error, MalformedDataset):
            raise DamagedObjectError(f"{instance.key} cannot be corrected: {error}") from error
        raise


async def _compose(
    reader: ObjectReader, instance: StoredInstance, overlay: Overlay
) -> ObjectReader:
    offset, size = instance.dataset_offset, reader.size - instance.dataset_offset
    plan = plan_edit(
        instance.transfer_syntax_uid,
        size,
        overlay.changes,
        overlay.modification,
        extended=EXTENDED_TAGS,
    )
    pieces = await drive(plan, StoredRanges(reader, offset, size))
    shifted = [
        Span(piece.start + offset, piece.end + offset) if isinstance(piece, Span) else piece
        for piece in pieces
    ]
    return ComposedReader(reader, [Span(0, offset), *shifted])


async def _deflate(
    reader: ObjectReader, instance: StoredInstance, overlay: Overlay
) -> ObjectReader:
    uid = instance.transfer_syntax_uid
    editor = DatasetEditor(uid, overlay.changes, overlay.modification, EXTENDED_TAGS)
    made = SpooledReader()
    try:
        await made.write([await reader.read(0, instance.dataset_offset)])
        async for chunk in reader.chunks(instance.dataset_offset, 4096):
            await made.write(await to_thread.run_sync(editor.feed, chunk))
        await made.write(editor.finish())
    except BaseException:
        await made.close()
        raise
    await reader.close()
    return made


class ComposedReader(ObjectReader):
    """An object made of new bytes and of ranges of another.

    Parameters
    ----------
    reader : ObjectReader
        The other; closed with this one.
    pieces : sequence of bytes or Span
    """

    def __init__(self, reader: ObjectReader, pieces: Sequence[bytes | Span]) -> None:
        self._reader = reader
        self._pieces = pieces
        self._starts: list[int] = []
        self.size = 0
        for piece in pieces:
            self._starts.append(self.size)
            self.size += piece.end - piece.start if isinstance(piece, Span) else len(piece)

    async def read(self, offset: int, length: int) -> bytes:
        """See base."""
        found: list[bytes] = []
        end = min(offset + length, self.size)
        number = bisect_right(self._starts, offset) - 1
        while offset < end:
            piece, within = self._pieces[number], offset - self._starts[number]
            if isinstance(piece, Span):
                start = piece.start + within
                part = await self._reader.read(start, min(end - offset, piece.end - start))
            else:
                part = piece[within : within + end - offset]
            if not part and (isinstance(piece, bytes) or piece.end > piece.start):
                break  # the object has been cut short
            found.append(part)
            offset += len(part)
            if number + 1 < len(self._starts) and offset >= self._starts[number + 1]:
                number += 1
        return found[0] if len(found) == 1 else b"".join(found)

    async def close(self) -> None:
        """See base."""
        await self._reader.close()


class SpooledReader(ObjectReader):
    """An object that is made before it is read: in memory, or in a file without a name."""

    def __init__(self) -> None:
        self.size = 0
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._lock = threading.Lock()

    async def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Append chunks."""
        data = b"".join(chunks)
        self.size += len(data)
        await to_thread.run_sync(self._file.write, data)

    async def read(self, offset: int, length: int) -> bytes:
        """See base."""
        return await to_thread.run_sync(self._read, offset, length)

    def _read(self, offset: int, length: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            return self._file.read(length)

    async def close(self) -> None:
        """See base."""
        self._file.close()
