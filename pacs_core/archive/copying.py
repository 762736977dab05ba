"""A copy of an archive in another: all objects, byte for byte, and the index that follows.

The objects say all there is to know: which of several with one UID is served, digests, corrections.
So any store and index can be copied to any other, while both are in use, and again for what came
since.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from enum import Enum
from hashlib import sha256
from typing import Final

from attrs import define, field, frozen

from pacs_core.archive.correction_objects import CORRECTION_CLASS
from pacs_core.archive.corrections import Corrections
from pacs_core.archive.fixity import Fixity
from pacs_core.archive.object_scan import map_concurrently, read_record
from pacs_core.archive.objects import read_meta
from pacs_core.archive.pacing import Pace, at_once
from pacs_core.archive.rebuild import IndexFilling
from pacs_core.archive.settings import CharacterSetOf, no_character_set
from pacs_core.archive.verified_copy import CopyDiffersError, ExpectedContent, copy_verified
from pacs_core.concurrency import closing
from pacs_core.contracts import (
    DamagedObjectError,
    DifferenceKind,
    Index,
    InstanceIdentity,
    InvalidInstanceError,
    Level,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    Query,
    SingleValue,
    StorageFullError,
    StoredObject,
)
from pacs_core.dataset import FileMeta, tag_of

# Theory of operation
#
# Every object of the source is copied, those that were set aside and the log of corrections as
# well, and only from the store: what the index of the source says follows from them. Where both
# stores make the same keys an object keeps its own. Else its key is made anew of its UIDs, and
# what was set aside gets a variant that follows from its old key, so that the next run finds it.
#
# A copy is read back before it counts: all of its bytes are compared by digest with what was read,
# and the dataset with the digest that the object has of itself. What is damaged is not copied,
# lest the copy be taken for a good one.
#
# Nothing is kept about the progress. An object that the target has, with the same size and the same
# first bytes, among which is the digest of its dataset, was copied before. Whether it was also
# indexed the index says; so a run that was killed between the two is made up for by the next.

_BEGINNING: Final = 4096
_SAMPLE: Final = InstanceIdentity("1.2.3", "1.2.4", "1.2.5", "1.2.840.10008.5.1.4.1.1.2")
_INSTANCE: Final = tag_of("SOPInstanceUID")


class CopyOutcome(Enum):
    """What became of an object."""

    COPIED = "copied"
    PRESENT = "present"
    """The target had it."""
    DAMAGED = "damaged"
    """It is not what was stored, or no instance: it was not copied."""
    FAILED = "failed"
    """It could not be read or written, or the target has something else under its key."""
    GONE = "gone"
    """It was deleted meanwhile."""


@frozen
class CopiedObject:
    """An object of the source, and what became of it.

    Attributes
    ----------
    key : str
        In the source.
    size : int
    outcome : CopyOutcome
    detail : str
        What went wrong.
    """

    key: str
    size: int
    outcome: CopyOutcome
    detail: str = ""


@define(eq=False)
class ArchiveCopy:
    """Copies what one archive has into another.

    Parameters
    ----------
    source : ObjectStore
    target : ObjectStore
    index : Index
        Of the target.
    pace : callable
        Waited for with the size of each chunk that is read, from either store.
    character_set_of : CharacterSetOf
        As the target's archive has it when it ingests.
    """

    source: ObjectStore
    target: ObjectStore
    index: Index
    pace: Pace = at_once
    character_set_of: CharacterSetOf = no_character_set
    corrections: int = 0
    """Entries of the log of corrections that were entered."""
    _filling: IndexFilling = field(init=False)
    _same_keys: bool = field(default=False, init=False)
    _logged: set[str] = field(factory=set, init=False)

    async def run(self) -> AsyncGenerator[CopiedObject, None]:
        """Copy, and say of each object what became of it; corrections are applied at the end.

        Raises
        ------
        StorageFullError
            The target has no room.
        """
        corrections = Corrections(self.index.correction_log)
        await corrections.refresh()
        self._logged = {entry.key for entry in corrections.entries}
        self._filling = IndexFilling(self.target, self.index, self.character_set_of, corrections)
        self._same_keys = _keys_of(self.source) == _keys_of(self.target)
        async with aclosing(map_concurrently(self._copy, self.source.objects())) as copied:
            async for each in copied:
                yield each
        async with aclosing(self._close_gap()) as missed:
            async for each in missed:
                yield each
        self.corrections = len(self._filling.found)
        async with aclosing(self._filling.correct()) as displaced:
            async for difference in displaced:
                yield CopiedObject(difference.key, 0, CopyOutcome.FAILED, difference.detail)

    async def _close_gap(self) -> AsyncGenerator[CopiedObject, None]:
        """Index what the target has and its index lacks, if that says that it may lack something.

        A run that is killed before its first row leaves such a note.
        """
        if not await self.index.gap():
            return
        found_fault = False
        async with closing(self.target.objects()) as objects:
            async for stored in objects:
                try:
                    async with await self.target.open(stored.key) as reader:
                        meta = await read_meta(reader)
                    await self._see_to_index(stored, stored.key, meta)
                except ObjectNotFoundError:
                    continue
                except (InvalidInstanceError, OSError) as error:
                    found_fault = True
                    yield CopiedObject(stored.key, stored.size, CopyOutcome.FAILED, str(error))
        if not found_fault:
            await self.index.note_gap("")

    async def _copy(self, stored: StoredObject) -> CopiedObject:
        try:
            outcome = await self._copy_and_index(stored)
        except ObjectNotFoundError:
            return CopiedObject(stored.key, stored.size, CopyOutcome.GONE)
        except StorageFullError:
            raise
        except (CopyDiffersError, ObjectExistsError) as error:
            return CopiedObject(stored.key, stored.size, CopyOutcome.FAILED, str(error))
        except (DamagedObjectError, InvalidInstanceError) as error:
            return CopiedObject(stored.key, stored.size, CopyOutcome.DAMAGED, str(error))
        except OSError as error:
            return CopiedObject(stored.key, stored.size, CopyOutcome.FAILED, str(error))
        return CopiedObject(stored.key, stored.size, outcome)

    async def _copy_and_index(self, stored: StoredObject) -> CopyOutcome:
        async with await self.source.open(stored.key) as reader:
            meta = await read_meta(reader)
            make_writer, variant = await self._find_place(stored)
            writer = make_writer()
            key = writer.key(variant)
            if await self._has(key, reader):
                await writer.abort()
                return await self._see_to_index(stored, key, meta)
            expected = ExpectedContent(reader.size, meta.dataset_offset, Fixity.read(meta).digest)
            async with writer:
                copy = await copy_verified(
                    reader, self.target, writer, variant, expected=expected, pace=self.pace
                )
        await self._index(copy)
        return CopyOutcome.COPIED

    async def _find_place(self, stored: StoredObject) -> tuple[Callable[[], ObjectWriter], str]:
        """Return what makes the writer of a copy, and its variant."""
        if self._same_keys:
            return lambda: self.target.writer_at(stored.key), ""
        record = await read_record(self.source, stored, frozenset(), to_end=False)
        identity = record.instance.identity
        is_first = self.source.writer(identity).key() == stored.key
        variant = "" if is_first else sha256(stored.key.encode()).hexdigest()[:32]
        return lambda: self.target.writer(identity), variant

    async def _has(self, key: str, reader: ObjectReader) -> bool:
        """Tell whether the target has this object.

        Raises
        ------
        ObjectExistsError
            It has another under its key.
        """
        try:
            async with await self.target.open(key) as known:
                if known.size == reader.size and (
                    await known.read(0, _BEGINNING) == await reader.read(0, _BEGINNING)
                ):
                    return True
        except ObjectNotFoundError:
            return False
        raise ObjectExistsError(key)

    async def _see_to_index(self, stored: StoredObject, key: str, meta: FileMeta) -> CopyOutcome:
        if meta.sop_class_uid == CORRECTION_CLASS:
            is_known = key in self._logged
        else:
            query = Query(Level.IMAGE, (SingleValue(_INSTANCE, meta.sop_instance_uid),))
            async with closing(self.index.instances(query)) as found:
                is_known = any([each.key == key async for each in found])
        if not is_known:
            await self._index(StoredObject(key, stored.size))
        return CopyOutcome.PRESENT

    async def _index(self, stored: StoredObject) -> None:
        difference = await self._filling.take(stored)
        if difference is not None and difference.kind is DifferenceKind.UNREADABLE:
            raise InvalidInstanceError(difference.detail)


def _keys_of(store: ObjectStore) -> tuple[str, str]:
    """Return the keys that a store makes of an identity, and of a variant of it."""
    writer = store.writer(_SAMPLE)
    return writer.key(), writer.key("0a")
