"""Objects that were set aside: another is served under their SOP Instance UID.

An object is not told from its name: whatever the index does not point to, while it has the same
instance elsewhere, is set aside. To find all of them takes a look at every object.

Promoting writes a copy whose rank is higher, lets the index point to it, and only then deletes
what was copied; the object that was served is set aside from then on. A crash in between leaves
one object too many, never one too few, and a rebuild serves what the index had.
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from uuid import uuid4

import anyio
from attrs import evolve, frozen

from pacs_core.archive.conflicts import report_conflicts
from pacs_core.archive.corrections import Corrections
from pacs_core.archive.damage import OTHER_BYTES
from pacs_core.archive.deletion_bin import NodeBin
from pacs_core.archive.deletion_guards import DeletionGuards
from pacs_core.archive.fixity import CREATOR_UID, Digest, Fixity, later_rank
from pacs_core.archive.ingest import COMMIT_TIMEOUT
from pacs_core.archive.locks import KeyedLocks
from pacs_core.archive.object_scan import map_concurrently, read_record, try_record
from pacs_core.archive.objects import read_meta
from pacs_core.archive.settings import CharacterSetOf
from pacs_core.archive.storage import ArchiveStorage, identity_beside
from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditTrail,
    DamagedObjectError,
    InstanceEventKind,
    InstanceHeldError,
    InstanceRecord,
    InvalidInstanceError,
    ObjectNotFoundError,
    Origin,
    Outcome,
    StoredInstance,
    StoredObject,
)
from pacs_core.dataset import FileMeta, file_meta

_log = logging.getLogger(__name__)


class NotSetAsideError(LookupError):
    """There is no object with this key, or it is not set aside."""


@frozen
class SetAside:
    """An object that is set aside, and the one that is served.

    Attributes
    ----------
    record : InstanceRecord
        What the object says; its digest is the one that it has of itself.
    served : StoredInstance
    """

    record: InstanceRecord
    served: StoredInstance

    @property
    def instance(self) -> StoredInstance:
        """The object that is set aside."""
        return self.record.instance


@frozen
class Aside:
    """Finds what was set aside, serves it or deletes it.

    Attributes
    ----------
    storage : ArchiveStorage
    audit : AuditTrail
    locks : KeyedLocks
        Those of the archive, by SOP Instance UID.
    character_set_of : CharacterSetOf
    corrections : Corrections
    guards : DeletionGuards
    bin : NodeBin
    """

    storage: ArchiveStorage
    audit: AuditTrail
    locks: KeyedLocks
    character_set_of: CharacterSetOf
    corrections: Corrections
    guards: DeletionGuards
    bin: NodeBin

    async def find_all(self) -> AsyncGenerator[SetAside, None]:
        """Iterate over all that is set aside, and can be read."""
        await self.corrections.refresh()
        objects = self.bin.leave_out(self.storage.store.objects())
        async with aclosing(map_concurrently(self._look, objects)) as found:
            async for item in found:
                if item is not None:
                    yield item

    async def _look(self, stored: StoredObject) -> SetAside | None:
        store, wanted = self.storage.store, self.storage.index.wanted_tags
        record = await try_record(store, stored, wanted, self.character_set_of, self.corrections)
        if not isinstance(record, InstanceRecord):
            return None
        served = await self.storage.index.locate(record.instance.identity.path)
        other = served is not None and served.key != stored.key
        return SetAside(record, served) if served is not None and other else None

    async def find(self, key: str) -> SetAside:
        """Return what is set aside under a key.

        Raises
        ------
        NotSetAsideError
            Nothing is.
        OSError
            It cannot be read.
        """
        store, wanted = self.storage.store, self.storage.index.wanted_tags
        try:
            stored = StoredObject(key, 0)
            await self.corrections.refresh()
            record = await read_record(
                store, stored, wanted, self.character_set_of, self.corrections
            )
        except ObjectNotFoundError:
            raise NotSetAsideError(f"the store has no object {key}") from None
        except InvalidInstanceError as error:
            raise NotSetAsideError(f"{key} is no valid instance: {error}") from error
        served = await self.storage.index.locate(record.instance.identity.path)
        if served is None:
            raise NotSetAsideError(
                f"the index does not know the instance of {key}; pacs index rebuild adopts it"
            )
        if served.key == key:
            raise NotSetAsideError(f"{key} is served, it is not set aside")
        return SetAside(record, served)

    async def promote(self, key: str, origin: Origin, *, override: str = "") -> StoredInstance:
        """Serve what is set aside under a key; what was served is set aside.

        Parameters
        ----------
        key : str
        origin : Origin
        override : str
            Why that is done although a deletion guard holds what is served, for the audit trail.

        Raises
        ------
        InstanceHeldError
            A deletion guard holds what is served, and nothing overrides that.
        NotSetAsideError
            Nothing is set aside there.
        DamagedObjectError
            It is not what was stored.
        AuditFailedError
            It could not be recorded, and was not carried out.
        """
        item = await self.find(key)
        async with self.locks.hold(item.instance.identity.sop_instance_uid):
            item = await self.find(key)
            holds = await self.guards.find_holds([item.served], origin)
            for reason in holds.values():
                if not override:
                    raise InstanceHeldError(f"what is served is held: {reason}")
            record = await self._copy(item)
            async with self.storage.withdraw_on_failure(record.instance):
                with anyio.fail_after(COMMIT_TIMEOUT, shield=True):
                    details = {"override": override, "held": "; ".join(holds.values())}
                    await self._record("promoted", item, origin, details if holds else {})
                    # A flush that is under way must not settle the row under its new object.
                    await self.storage.behind.forget(item.instance.identity.path)
                    result = await self.storage.index.replace(record)
                    # Last: until here two objects have the content, and the index points to one
                    # that is there.
                    await self.storage.discard(key)
            identity = record.instance.identity
            await report_conflicts(self.audit, result.conflicts, identity, origin)
            await self.storage.tell(InstanceEventKind.STORED, record, origin)
        return record.instance

    async def _copy(self, item: SetAside) -> InstanceRecord:
        """Write an object again, with a rank above that of all others of its instance."""
        store, instance = self.storage.store, item.instance
        async with (
            await store.open(instance.key) as reader,
            store.writer(identity_beside(item.served.identity, instance.identity)) as writer,
        ):
            meta = await read_meta(reader)
            digest = Digest()
            # Room for digest and rank, which are known when all has been copied.
            await writer.write([_prefix(meta, Fixity(bytes(16)))])
            async for chunk in reader.chunks(meta.dataset_offset):
                digest.update(chunk)
                await writer.write([chunk])
            # An object without a digest of its own cannot be told from a damaged one.
            if digest.digest() != (instance.digest or digest.digest()):
                raise DamagedObjectError(f"{instance.key} is damaged: {OTHER_BYTES}")
            prefix = _prefix(meta, Fixity(digest.digest(), later_rank()))
            stored = await writer.commit(uuid4().hex, beginning=prefix)
        # The dataset is the same, byte for byte; what precedes it need not be as long as before.
        copy = evolve(
            instance,
            key=stored.key,
            size=stored.size,
            dataset_offset=len(prefix),
            digest=digest.digest(),
        )
        return evolve(item.record, instance=copy)

    async def discard(self, key: str, origin: Origin) -> None:
        """Delete what is set aside under a key.

        Raises
        ------
        NotSetAsideError
            Nothing is set aside there.
        AuditFailedError
            It could not be recorded, and was not carried out.
        """
        item = await self.find(key)
        async with self.locks.hold(item.instance.identity.sop_instance_uid):
            item = await self.find(key)
            await self._record("discarded", item, origin)
            with anyio.fail_after(COMMIT_TIMEOUT, shield=True):
                await self.storage.store.delete(key)

    async def _record(
        self, what: str, item: SetAside, origin: Origin, more: Mapping[str, str] | None = None
    ) -> None:
        identity = item.instance.identity
        uid = identity.sop_instance_uid
        _log.warning("object %s of instance %s is %s", item.instance.key, uid, what)
        details = {
            "study_instance_uid": identity.study_instance_uid,
            "sop_instance_uid": uid,
            "decision": what,
            "existing_key": item.served.key,
            "newcomer_key": item.instance.key,
            **(more or {}),
        }
        await self.audit.record(AuditEvent(AuditKind.DUPLICATE, Outcome.SUCCESS, origin, details))


def _prefix(meta: FileMeta, fixity: Fixity) -> bytes:
    return file_meta(
        meta.sop_class_uid,
        meta.sop_instance_uid,
        meta.transfer_syntax_uid,
        source_ae_title=meta.source_ae_title,
        sending_ae_title=meta.sending_ae_title,
        receiving_ae_title=meta.receiving_ae_title,
        private_creator_uid=CREATOR_UID,
        private_information=fixity.pack(),
    )
