"""Deletion of instances, one by one or all that a query finds.

The row goes first: a crash in between leaves an orphan, never a row without an object. What is
deleted is recorded before: an instance by itself, or all of a study together (PS3.15 A.5.3.8).
"""

import logging
from collections import Counter
from contextlib import suppress

import anyio
from attrs import frozen

from pacs_core.archive.corrections import NO_CORRECTIONS, Corrections
from pacs_core.archive.ingest import COMMIT_TIMEOUT
from pacs_core.archive.locks import KeyedLocks
from pacs_core.archive.object_scan import try_record
from pacs_core.archive.settings import no_character_set
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
    DeletionReport,
    EventAction,
    InstanceEventKind,
    InstanceNotFoundError,
    InstancePath,
    InstanceRecord,
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

_log = logging.getLogger(__name__)

_STUDY = tag_of("StudyInstanceUID")
_PATIENT_ID, _PATIENT_NAME = tag_of("PatientID"), tag_of("PatientName")


@frozen
class Deletion:
    """Deletes instances from index and store."""

    storage: ArchiveStorage
    audit: AuditTrail
    locks: KeyedLocks
    space: SpaceWatch
    corrections: Corrections = NO_CORRECTIONS

    async def delete(self, path: InstancePath, origin: Origin) -> StoredInstance:
        """Delete an instance, see :meth:`Archive.delete`."""
        return await self._with_reserve(path, origin, is_recorded=False)

    async def delete_all(self, query: Query, origin: Origin) -> DeletionReport:
        """Delete what a query finds, see :meth:`Archive.delete_all`."""
        studies: dict[str, list[StoredInstance]] = {}
        async for instance in self.storage.index.instances(query):
            studies.setdefault(instance.identity.study_instance_uid, []).append(instance)
        deleted = Counter[str]()
        failures: dict[InstancePath, str] = {}
        for study, instances in studies.items():
            await self._record_study(study, instances, origin)
            for instance in instances:
                path = instance.identity.path
                try:
                    await self._with_reserve(path, origin, is_recorded=True)
                except InstanceNotFoundError:
                    continue  # somebody else has deleted it
                except Exception as error:
                    _log.exception("instance %s was not deleted", path.sop_instance_uid)
                    failures[path] = f"{type(error).__name__}: {error}"
                else:
                    deleted[study] += 1
        return DeletionReport(dict(deleted), failures)

    async def _with_reserve(
        self, path: InstancePath, origin: Origin, *, is_recorded: bool
    ) -> StoredInstance:
        try:
            return await self._delete(path, origin, is_recorded)
        except (StorageFullError, AuditFailedError):
            if not self.space.release_reserve():
                raise
        return await self._delete(path, origin, is_recorded)

    async def _delete(
        self, path: InstancePath, origin: Origin, is_recorded: bool
    ) -> StoredInstance:
        async with self.locks.hold(path.sop_instance_uid):
            existing = await self.storage.index.locate(path)
            if existing is None:
                raise InstanceNotFoundError(
                    f"there is no instance {path.sop_instance_uid} in study "
                    f"{path.study_instance_uid}"
                )
            if not is_recorded:
                await self._record(existing, origin, Outcome.SUCCESS)
            await self._remove_set_aside(existing, origin)
            with anyio.fail_after(COMMIT_TIMEOUT, shield=True):
                await self._remove(existing, origin)
            record = InstanceRecord(existing)
            await self.storage.tell(InstanceEventKind.DELETED, record, origin)
        return existing

    async def _remove_set_aside(self, existing: StoredInstance, origin: Origin) -> None:
        """Remove what was set aside of an instance, lest the next rebuild serve it."""
        store = self.storage.store
        if keys := await store.variants(existing.key):
            await self.corrections.refresh()
        for key in keys:
            found = await try_record(
                store, StoredObject(key, 0), frozenset(), no_character_set, self.corrections
            )
            if not isinstance(found, InstanceRecord):
                _log.warning("object %s stays: it is not known of which instance it is", key)
            elif found.instance.identity.path == existing.identity.path:
                await self._record(found.instance, origin, Outcome.SUCCESS)
                with suppress(ObjectNotFoundError):
                    await store.delete(key)

    async def _remove(self, existing: StoredInstance, origin: Origin) -> None:
        try:
            await self.storage.behind.forget(existing.identity.path)
            removed = await self.storage.index.remove(existing.identity.path)
            with suppress(ObjectNotFoundError):
                await self.storage.store.delete((removed or existing).key)
        except Exception as error:
            await self._record(existing, origin, Outcome.FAILURE, reason=str(error))
            raise

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
        self, study: str, instances: list[StoredInstance], origin: Origin
    ) -> None:
        """Record that all these instances of a study are deleted: DICOM Study Deleted."""
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
        await self.audit.record(
            AuditEvent(
                AuditKind.DELETE,
                Outcome.SUCCESS,
                origin,
                details,
                action=EventAction.DELETE,
                objects=tuple(objects),
            )
        )
