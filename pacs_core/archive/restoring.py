"""Instances in the deletion bin: served again, or removed for good."""

from contextlib import suppress

import anyio
from attrs import evolve, frozen

from pacs_core.archive.correcting import Correcting
from pacs_core.archive.corrections import Corrections
from pacs_core.archive.incoming_instance import SOP_INSTANCE
from pacs_core.archive.ingest import COMMIT_TIMEOUT
from pacs_core.archive.locks import KeyedLocks
from pacs_core.archive.object_scan import read_record
from pacs_core.archive.objects import same_dataset
from pacs_core.archive.settings import CharacterSetOf
from pacs_core.archive.storage import ArchiveStorage
from pacs_core.contracts import (
    DeletedInstance,
    InstanceEventKind,
    InstanceNotFoundError,
    Level,
    ObjectNotFoundError,
    Origin,
    Query,
    SingleValue,
    StoredInstance,
    StoredObject,
)

# Theory of operation
#
# What is in the bin is an object without a row, as a crash in the midst of storing leaves it, but
# one of which somebody keeps account. To serve it again is to give it a row, made of the object and
# of the corrections in force, as a rebuild would. To remove it is to delete its objects, row or no
# row having been asked for first: by SOP Instance UID, since a correction may have moved the
# instance to another study after it was put in.
#
# Something else may have come under its UID meanwhile. What is served stays: if it has the same
# content, the object of the bin goes; if not, it is set aside from then on, as any duplicate is.


@frozen
class Restoring:
    """Serves again what was deleted, or removes it for good."""

    storage: ArchiveStorage
    locks: KeyedLocks
    corrections: Corrections
    correcting: Correcting
    character_set_of: CharacterSetOf

    async def restore(self, deleted: DeletedInstance, origin: Origin) -> StoredInstance:
        """Serve an instance again, see :meth:`Archive.restore`."""
        former, index = deleted.instance, self.storage.index
        uid = former.identity.sop_instance_uid
        async with self.locks.hold(uid):
            if not self.corrections.is_current:
                await self.corrections.refresh()
            known = self.corrections.seen
            try:
                record = await read_record(
                    self.storage.store,
                    StoredObject(former.key, former.size),
                    index.wanted_tags,
                    self.character_set_of,
                    self.corrections,
                    to_end=False,
                )
            except ObjectNotFoundError:
                if (served := await self._same_as(former)) is not None:
                    return served
                raise InstanceNotFoundError(f"the object of instance {uid} is gone") from None
            # What the index knew of the object stays known, though it may be damaged by now.
            instance = evolve(record.instance, digest=former.digest, origin=former.origin)
            record = evolve(record, instance=instance)
            with anyio.fail_after(COMMIT_TIMEOUT, shield=True):
                served = (await index.add(record)).existing
                if served is not None and served.key != former.key:
                    if await same_dataset(self.storage.store, instance, served):
                        await self.storage.discard(former.key)
                    return served
                if served is None:
                    await self.storage.tell(InstanceEventKind.STORED, record, origin)
            if known != self.corrections.seen:
                return await self.correcting.bring_up(instance, origin)
            return instance

    async def _same_as(self, former: StoredInstance) -> StoredInstance | None:
        """Return what is served of an instance, if its content is the same."""
        served = await self.storage.index.locate(former.identity.path)
        return served if served is not None and served.digest == former.digest else None

    async def purge(self, deleted: DeletedInstance) -> bool:
        """Remove an instance for good, see :meth:`Archive.purge`."""
        uid = deleted.instance.identity.sop_instance_uid
        query = Query(Level.IMAGE, (SingleValue(SOP_INSTANCE, uid),))
        async with self.locks.hold(uid):
            served = {each.key async for each in self.storage.index.instances(query)}
            if deleted.instance.key in served:
                return False
            # What is served last: until then it still tells what belongs to it.
            for key in (*deleted.aside, deleted.instance.key):
                if key not in served:
                    with suppress(ObjectNotFoundError):
                        await self.storage.store.delete(key)
        return True
