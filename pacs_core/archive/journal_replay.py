"""Replay of a journal: what it holds of a former process is put into store and index again."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from anyio import to_thread
from attrs import frozen

from pacs_core.archive.corrections import Corrections
from pacs_core.archive.journal_directory import JournalDirectory
from pacs_core.archive.journal_files import Record, read_records
from pacs_core.archive.object_scan import read_record
from pacs_core.archive.settings import CharacterSetOf
from pacs_core.contracts import (
    Index,
    InstanceRecord,
    InvalidInstanceError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStore,
    StoredInstance,
    StoredObject,
)

# Theory of operation
#
# After the death of the process all is in store and index, and replay but finds that out, and has
# it synced. After a power failure objects and rows may be missing, and objects torn. A record is
# the whole object, and its row is made from that as in a rebuild of the index.
#
# What the index has under the instance's path decides. Its row was removed or replaced only once
# the record had been released; so no row means that it was lost, and another object's row that
# another process was first.
#
# The segments are removed last. A replay that is cut short begins anew.

_log = logging.getLogger(__name__)

_AT_ONCE = 512


@frozen
class Replay:
    """Puts what a journal holds into store and index."""

    store: ObjectStore
    index: Index
    corrections: Corrections
    character_set_of: CharacterSetOf

    async def run(self, directory: JournalDirectory) -> int:
        """Replay the segments of a directory that this process owns, and remove them.

        Returns
        -------
        int
            How many instances had to be restored.
        """
        restored = 0
        await self.corrections.refresh()
        for path in directory.segments:
            records = read_records(path)
            while batch := await to_thread.run_sync(_take, records):
                restored += await self._replay(batch)
        await to_thread.run_sync(directory.clear)
        if restored:
            _log.warning("%d acknowledged instances were restored from the journal", restored)
        return restored

    async def _replay(self, batch: list[Record]) -> int:
        lost: list[InstanceRecord] = []
        present: list[StoredInstance] = []
        restored = 0
        for record in batch:
            written = await self._write(record)
            found = await self._read(record)
            if found is None:
                continue
            existing = await self.index.locate(found.instance.identity.path)
            if existing is not None and existing.key != record.key:
                if written:
                    await self.store.delete(record.key)
                continue
            restored += written or existing is None
            present.append(found.instance)
            if existing is None:
                lost.append(found)
        await self.store.flush([instance.key for instance in present])
        if lost:
            await self.index.add_many(lost)
        await self.index.settle([instance.identity.path for instance in present])
        return restored

    async def _read(self, record: Record) -> InstanceRecord | None:
        stored = StoredObject(record.key, len(record.content))
        wanted = self.index.wanted_tags
        try:
            return await read_record(
                self.store, stored, wanted, self.character_set_of, self.corrections
            )
        except InvalidInstanceError:
            _log.exception("the journal has object %s, which is no instance", record.key)
            return None

    async def _write(self, record: Record) -> bool:
        """Write an object unless it is there, whole; tell whether that was needed."""
        try:
            async with await self.store.open(record.key) as reader:
                if reader.size == len(record.content):
                    with suppress(OSError):
                        if await reader.read(0, reader.size) == record.content:
                            return False
            # Only a power failure cuts an object short.
            await self.store.delete(record.key)
        except ObjectNotFoundError:
            pass
        async with self.store.writer_at(record.key) as writer:
            await writer.write([record.content])
            with suppress(ObjectExistsError):
                await writer.commit()
        return True


def _take(records: Iterator[Record]) -> list[Record]:
    return list(islice(records, _AT_ONCE))
