"""Deletion of instances, one by one or all that a query finds."""

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import anyio
from attrs import evolve, frozen

from pacs_core.archive.corrections import Corrections
from pacs_core.archive.deletion_bin import NodeBin
from pacs_core.archive.deletion_guards import DeletionGuards
from pacs_core.archive.ingest import COMMIT_TIMEOUT
from pacs_core.archive.locks import KeyedLocks
from pacs_core.archive.object_scan import read_record
from pacs_core.archive.space import SpaceWatch
from pacs_core.archive.storage import ArchiveStorage
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    AuditTrail,
    AuditValue,
    DeletedInstance,
    DeletionBin,
    DeletionReport,
    EventAction,
    InstanceEventKind,
    InstanceHeldError,
    InstanceNotFoundError,
    InstancePath,
    InstanceRecord,
    InvalidInstanceError,
    Level,
    ObjectNotFoundError,
    Origin,
    Outcome,
    Query,
    SingleValue,
    StorageFullError,
    StoredInstance,
    StoredObject,
)
from pacs_core.dataset import tag_of, texts

# Theory of operation
#
# What was set aside of an instance goes first, then its row, then its object: a crash in between
# leaves an orphan, never a row without an object. A store that fails, because a medium is offline
# for one, is no crash: the row comes back, and the deletion can be made again. What is deleted is
# recorded before: an instance by itself, or all of a study together (PS3.15 A.5.3.8).
#
# Guards are asked before anything is touched, of all of a study at once, and once more about each
# instance whose row is gone and whose object is not: see `deletion_guards` for why.
#
# What is set aside is found by its key. That is a variant of the key of what is served, whatever
# series it came with; or, if a correction has brought the two together, one of the study that it
# was stored in. Of which instance an object is, is known only once it has been read: a store may
# make keys without the study, and a correction may have made another instance of it. So one that is
# offline, and is not brought online by being opened, stops the deletion, rather than stay for a
# rebuild to serve.
#
# With a deletion bin only the row goes. The bin has noted the instance before, so that its objects
# are never without either; and they are made durable, since nothing will flush them any more. What
# waits in the bin already does not belong to what has come under the same UID since.

_log = logging.getLogger(__name__)

_STUDY, _INSTANCE = tag_of("StudyInstanceUID"), tag_of("SOPInstanceUID")
_PATIENT_ID, _PATIENT_NAME = tag_of("PatientID"), tag_of("PatientName")


@frozen
class Deletion:
    """Deletes instances from index and store."""

    storage: ArchiveStorage
    audit: AuditTrail
    locks: KeyedLocks
    space: SpaceWatch
    corrections: Corrections
    guards: DeletionGuards
    bin: NodeBin

    async def delete(self, path: InstancePath, origin: Origin, override: str) -> StoredInstance:
        """Delete an instance, see :meth:`Archive.delete`."""
        return await self._with_reserve(path, origin, override, is_recorded=False)

    async def delete_all(self, query: Query, origin: Origin, override: str) -> DeletionReport:
        """Delete what a query finds, see :meth:`Archive.delete_all`."""
        studies: dict[str, list[StoredInstance]] = {}
        async for instance in self.storage.index.instances(query):
            studies.setdefault(instance.identity.study_instance_uid, []).append(instance)
        deleted = Counter[str]()
        failures: dict[InstancePath, str] = {}
        held: dict[InstancePath, str] = {}
        # One record for each study, made before the first of its instances goes (PS3.15 A.5.3.8).
        for study, instances in studies.items():
            reasons = await self.guards.find_holds(instances, origin)
            await self._record_study(study, instances, origin, reasons, override)
            if reasons and not override:
                paths = [instance.identity.path for instance in instances]
                held |= {p: reasons[p[1]] for p in paths if p.sop_instance_uid in reasons}
                continue
            for instance in instances:
                path = instance.identity.path
                try:
                    await self._with_reserve(path, origin, override, is_recorded=True)
                except InstanceNotFoundError:
                    continue  # somebody else has deleted it
                except InstanceHeldError as error:
                    held[path] = str(error)
                except Exception as error:
                    _log.exception("instance %s was not deleted", path.sop_instance_uid)
                    failures[path] = f"{type(error).__name__}: {error}"
                else:
                    deleted[study] += 1
        return DeletionReport(dict(deleted), failures, held)

    async def _with_reserve(
        self, path: InstancePath, origin: Origin, override: str, *, is_recorded: bool
    ) -> StoredInstance:
        try:
            return await self._delete(path, origin, override, is_recorded)
        # Deleting writes before it frees: a row changes, and the record is made.
        except (StorageFullError, AuditFailedError):
            if not self.space.release_reserve():
                raise
        return await self._delete(path, origin, override, is_recorded)

    async def _delete(
        self, path: InstancePath, origin: Origin, override: str, is_recorded: bool
    ) -> StoredInstance:
        async with self.locks.hold(path.sop_instance_uid):
            existing = await self.storage.index.locate(path)
            if existing is None:
                raise InstanceNotFoundError(
                    f"there is no instance {path.sop_instance_uid} in study "
                    f"{path.study_instance_uid}"
                )
            if not is_recorded:
                await self._record_one(existing, origin, override)
            # What is set aside first: if the process dies in between, what is served still tells
            # what belongs to it.
            try:
                waiting_bin = await self.bin.taking(origin)
                if waiting_bin is None:
                    await self._remove_set_aside(existing, origin)
                with anyio.fail_after(COMMIT_TIMEOUT, shield=True):
                    if waiting_bin is None:
                        await self._remove(existing, origin, override)
                    else:
                        await self._put(waiting_bin, existing, origin, override)
            except Exception as error:
                await self._record(existing, origin, Outcome.FAILURE, reason=str(error))
                raise
            record = InstanceRecord(existing)
            await self.storage.tell(InstanceEventKind.DELETED, record, origin)
        return existing

    async def _remove_set_aside(self, existing: StoredInstance, origin: Origin) -> None:
        """Remove what was set aside of an instance, lest the next rebuild serve it."""
        for key in await self._set_aside(existing):
            await self._record(evolve(existing, key=key), origin, Outcome.SUCCESS)
            with suppress(ObjectNotFoundError):
                await self.storage.store.delete(key)

    async def _set_aside(self, existing: StoredInstance) -> list[str]:
        """Return the keys of what was set aside of an instance."""
        if not self.corrections.is_current:
            await self.corrections.refresh()
        keys, path = await self._other_keys(existing), existing.identity.path
        waiting = await self.bin.waiting(keys)
        return [key for key in keys if key not in waiting and await self._is_of(key, path)]

    async def _other_keys(self, existing: StoredInstance) -> list[str]:
        """Return the keys at which other objects of an instance may lie."""
        store = self.storage.store
        keys = dict.fromkeys(await store.variants(existing.key))
        for identity in self.corrections.stored_identities(existing.identity):
            async with store.writer(identity) as writer:
                key = writer.key()
            if key not in (existing.key, *keys):
                keys |= dict.fromkeys((key, *await store.variants(key)))
        keys.pop(existing.key, None)
        return list(keys)

    async def _is_of(self, key: str, path: InstancePath) -> bool:
        """Tell whether an object is there and is of an instance."""
        stored = StoredObject(key, 0)
        try:
            record = await read_record(
                self.storage.store, stored, frozenset(), corrections=self.corrections, to_end=False
            )
        except ObjectNotFoundError:
            return False
        except InvalidInstanceError as error:
            # Nothing serves it either.
            _log.warning("object %s stays: it is not known of which instance it is: %s", key, error)
            return False
        return record.instance.identity.path == path

    async def _remove(self, existing: StoredInstance, origin: Origin, override: str) -> None:
        async with self._row_removed(existing) as removed:
            if not override:
                await self._require_free(existing, origin)
            with suppress(ObjectNotFoundError):
                await self.storage.store.delete(removed.key)

    async def _put(
        self, waiting_bin: DeletionBin, existing: StoredInstance, origin: Origin, override: str
    ) -> None:
        """Put an instance into the bin, with what was set aside of it; its objects stay."""
        aside = tuple(await self._set_aside(existing))
        await self.storage.behind.secure(existing)
        deleted = DeletedInstance(existing, aside, time.time(), origin)
        await waiting_bin.put(deleted)
        try:
            async with self._row_removed(existing) as removed:
                if not override:
                    await self._require_free(existing, origin)
                if removed.key != existing.key:
                    # Another process has replaced it meanwhile.
                    await waiting_bin.put(evolve(deleted, instance=removed))
        except Exception:
            await waiting_bin.take_out([existing.key])
            raise

    @asynccontextmanager
    async def _row_removed(self, existing: StoredInstance) -> AsyncIterator[StoredInstance]:
        """Take the row out of the index; it comes back if the block fails."""
        index, path = self.storage.index, existing.identity.path
        known = [found async for found in index.search(_query_of(path, index.wanted_tags))]
        await self.storage.behind.forget(path)
        removed = await index.remove(path) or existing
        try:
            yield removed
        except Exception:
            await index.add(InstanceRecord(removed, known[0] if known else {}))
            raise

    async def _require_free(self, instance: StoredInstance, origin: Origin) -> None:
        for reason in (await self.guards.find_holds([instance], origin)).values():
            raise InstanceHeldError(reason)

    async def _record_one(self, instance: StoredInstance, origin: Origin, override: str) -> None:
        """Record that an instance is deleted, or that it is held, which raises."""
        holds = await self.guards.find_holds([instance], origin)
        for reason in holds.values():
            if override:
                what = {"held": reason, "override": override}
                await self._record(instance, origin, Outcome.SUCCESS, **what)
            else:
                await self._record(instance, origin, Outcome.FAILURE, reason=reason)
                raise InstanceHeldError(reason)
        if not holds:
            await self._record(instance, origin, Outcome.SUCCESS)

    async def _record(
        self, instance: StoredInstance, origin: Origin, outcome: Outcome, **details: str
    ) -> None:
        identity = instance.identity
        what = {
            "study_instance_uid": identity.study_instance_uid,
            "series_instance_uid": identity.series_instance_uid,
            "sop_instance_uid": identity.sop_instance_uid,
            "key": instance.key,
            **details,
        }
        await self.audit.record(AuditEvent(AuditKind.DELETE, outcome, origin, what))

    async def _record_study(
        self,
        study: str,
        instances: list[StoredInstance],
        origin: Origin,
        holds: Mapping[str, str],
        override: str,
    ) -> None:
        """Record that all these instances of a study are deleted: DICOM Study Deleted.

        Or that none of them is, because some are held.
        """
        classes = Counter(instance.identity.sop_class_uid for instance in instances)
        objects = [AuditObject(AuditObjectKind.STUDY, study, sop_classes=dict(classes))]
        wanted = frozenset({_PATIENT_ID, _PATIENT_NAME})
        query = Query(Level.STUDY, (SingleValue(_STUDY, study),), wanted)
        async for found in self.storage.index.search(query):
            patient_id, name = (
                "\\".join(texts(found, tag)) for tag in (_PATIENT_ID, _PATIENT_NAME)
            )
            objects.append(AuditObject(AuditObjectKind.PATIENT, patient_id, name))
        details: dict[str, AuditValue] = {"study_instance_uid": study, "instances": len(instances)}
        if holds:
            details |= {"held": len(holds), "reason": tuple(sorted(set(holds.values())))[:10]}
            details |= {"override": override} if override else {}
        await self.audit.record(
            AuditEvent(
                AuditKind.DELETE,
                Outcome.FAILURE if holds and not override else Outcome.SUCCESS,
                origin,
                details,
                action=EventAction.DELETE,
                objects=tuple(objects),
            )
        )


def _query_of(path: InstancePath, wanted: frozenset[int]) -> Query:
    conditions = (
        SingleValue(_STUDY, path.study_instance_uid),
        SingleValue(_INSTANCE, path.sop_instance_uid),
    )
    return Query(Level.IMAGE, conditions, wanted)
