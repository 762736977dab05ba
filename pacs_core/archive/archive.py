"""The archive of a node: one store and one index behind one door."""

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from functools import partial
from pathlib import Path

from anyio.abc import TaskGroup
from attrs import evolve

from pacs_core.archive.aside import Aside
from pacs_core.archive.content_check import examine
from pacs_core.archive.correcting import Correcting, new_correction
from pacs_core.archive.correction_objects import CORRECTION_CLASS
from pacs_core.archive.corrections import CORRECTED_TAGS, NO_CORRECTIONS, Corrections
from pacs_core.archive.deletion import Deletion
from pacs_core.archive.deletion_bin import NodeBin
from pacs_core.archive.deletion_guards import DeletionGuards
from pacs_core.archive.duplicates import Duplicates
from pacs_core.archive.events import EventDispatcher
from pacs_core.archive.frame_reading import FrameLayouts
from pacs_core.archive.guarded import GuardedArchive
from pacs_core.archive.healing import Healing
from pacs_core.archive.incoming_instance import IDENTITY_TAGS, IncomingInstance
from pacs_core.archive.ingest import Ingest
from pacs_core.archive.ingest_filters import IngestFilters
from pacs_core.archive.ingest_stages import StageTimer, observe
from pacs_core.archive.journal_opening import Journaling
from pacs_core.archive.locks import KeyedLocks
from pacs_core.archive.maintenance import verify_index
from pacs_core.archive.metadata import METADATA_FORM, MetadataSource, Preparation
from pacs_core.archive.opening import InstanceOpener
from pacs_core.archive.range_reading import RangeReadingArchive
from pacs_core.archive.recall import (
    is_online,
    least_available,
    least_available_each,
    recall_all,
    recalling,
)
from pacs_core.archive.recovery import Recovery
from pacs_core.archive.restoring import Restoring
from pacs_core.archive.settings import (
    FLUSH_BYTES,
    FLUSH_INTERVAL,
    RECALL_TIMEOUT,
    CharacterSetOf,
    DuplicatePolicy,
    SpaceSettings,
    VerifyReads,
    no_character_set,
)
from pacs_core.archive.space import SpaceWatch
from pacs_core.archive.storage import ArchiveStorage
from pacs_core.archive.verified_reads import ReadChecks
from pacs_core.archive.write_behind import WriteBehind
from pacs_core.association import AccessControl
from pacs_core.contracts import (
    AccessAction,
    AccessTarget,
    Archive,
    AuditTrail,
    Availability,
    Correction,
    CorrectionReport,
    DeletedInstance,
    DeletionReport,
    Difference,
    Durability,
    EntityPath,
    Fingerprint,
    Index,
    IngestObservers,
    IngestResult,
    IngestStage,
    InstanceHeader,
    InstancePath,
    InvalidInstanceError,
    Level,
    NotOnlineError,
    ObjectReader,
    ObjectStore,
    Origin,
    OutOfResourcesError,
    Query,
    QueueStatus,
    RecallProgress,
    RecallReport,
    StorageFullError,
    StoredInstance,
)
from pacs_core.dataset import Attributes, Changes, MalformedDataset, ReadLimits
from pacs_core.dimse import is_valid_uid

# Theory of operation
#
# `NodeArchive` does nothing by itself but put parts together and pass calls on: what happens to an
# arriving instance is in `ingest`, to one that is handed out in `opening`, to one that goes in
# `deletion`, to one that is corrected in `correcting`. They share the storage (store, index, who is
# told, what is behind), the locks by SOP Instance UID, and the corrections that this process knows.
#
# Ingest is the one method with steps of its own, since it has the order of things that concern all:
# what is announced is checked, room is asked for, filters have their say, then the instance is
# taken under the lock of its UID. A correction that was made meanwhile, by whatever process, is
# noticed afterwards: either it found the new row, or its number is seen here, and applied.


class NodeArchive(RangeReadingArchive):
    """Ingest, find, open and delete over the store and the index that are configured.

    Parameters
    ----------
    store : ObjectStore
    index : Index
    policy : DuplicatePolicy
        For other content under a SOP Instance UID that is taken.
    durability : Durability
        What has happened to an instance when :meth:`ingest` returns.
    flush_interval : float
        Seconds after which what is written behind is flushed.
    flush_bytes : int
        Bytes after which that happens at once.
    audit : AuditTrail
        Told of duplicates and deletions.
    events : EventDispatcher
        Told of instances received, stored and deleted.
    ae_title : str
        Written into objects as Source Application Entity Title (0002,0016).
    verify_reads : VerifyReads
        Which reads are checked against the digest of what was stored.
    original_attributes : bool
        Whether what was corrected says so in Original Attributes Sequence (0400,0561).
    character_set_of : CharacterSetOf
        Gives the character set of what a calling AE title sends, where that does not say.
    space : SpaceWatch, optional
        Watches the disks of store and index.
    access : AccessControl, optional
        Asked on behalf of whom the archive is used.
    filters : IngestFilters, optional
        Judge, and may change, what arrives before it is stored.
    guards : DeletionGuards, optional
        Asked what must be kept, before anything is deleted or replaced.
    waiting_bin : NodeBin, optional
        Takes what is deleted.
    prepare_metadata : bool
        Whether the index is to keep metadata, if it can.
    recall_timeout : float
        Seconds without one more object coming online after which others are given up.
    journal_after : int, optional
        Small instances that are stored before a journal is made, beside the lock that :meth:`start`
        is given. From then on they are acknowledged once they are in it, and store and index synced
        later. None makes none, and there is none but under ``COMMIT``.

    Attributes
    ----------
    observers : IngestObservers
        Are told how long it takes to store instances.
    """

    def __init__(
        self,
        store: ObjectStore,
        index: Index,
        *,
        audit: AuditTrail,
        events: EventDispatcher,
        policy: DuplicatePolicy = DuplicatePolicy.KEEP_FIRST,
        durability: Durability = Durability.COMMIT,
        flush_interval: float = FLUSH_INTERVAL,
        flush_bytes: int = FLUSH_BYTES,
        ae_title: str = "",
        verify_reads: VerifyReads = VerifyReads.ALWAYS,
        original_attributes: bool = True,
        character_set_of: CharacterSetOf = no_character_set,
        space: SpaceWatch | None = None,
        access: AccessControl | None = None,
        filters: IngestFilters | None = None,
        guards: DeletionGuards | None = None,
        waiting_bin: NodeBin | None = None,
        prepare_metadata: bool = True,
        recall_timeout: float = RECALL_TIMEOUT,
        journal_after: int | None = None,
    ) -> None:
        self.observers = IngestObservers()
        self._layouts = FrameLayouts()
        self._store = store = recalling(store, recall_timeout)
        self._index = index
        self._audit = audit
        self._behind = WriteBehind(
            store, index, audit, durability, interval=flush_interval, capacity=flush_bytes
        )
        self._storage = ArchiveStorage(store, index, events, self._behind, ae_title)
        self._guards = guards or DeletionGuards()
        self._bin = waiting_bin or NodeBin()
        duplicates = Duplicates(self._storage, policy, audit, self._guards)
        self._ingest = Ingest(self._storage, duplicates, Healing(self._storage, audit))
        self._corrections = Corrections(index.correction_log)
        self._opener = InstanceOpener(
            store,
            self._corrections,
            ReadChecks(verify_reads, audit),
            ae_title,
            original_attributes=original_attributes,
        )
        self._wanted = index.wanted_tags
        self._scanned = self._wanted | IDENTITY_TAGS | CORRECTED_TAGS
        self._locks = KeyedLocks()
        self._character_set_of = character_set_of
        self._journaling = Journaling(
            store,
            index,
            audit,
            self._corrections,
            character_set_of,
            after=journal_after if durability is Durability.COMMIT else None,
        )
        self._space = space or SpaceWatch((), SpaceSettings(), audit)
        self._deletion = Deletion(
            self._storage,
            audit,
            self._locks,
            self._space,
            self._corrections,
            self._guards,
            self._bin,
        )
        self._correcting = Correcting(
            self._storage, self._corrections, audit, self._locks, character_set_of
        )
        self._restoring = Restoring(
            self._storage, self._locks, self._corrections, self._correcting, character_set_of
        )
        self._access = access or AccessControl()
        self._filters = filters or IngestFilters(audit)
        prepared = index.prepared_metadata(METADATA_FORM) if prepare_metadata else None
        self._metadata = MetadataSource(index, self.header, prepared)
        self._ingested = 0

    def on_behalf_of(
        self,
        origin: Origin,
        *,
        reading: str = AccessAction.RETRIEVE,
        what: AccessTarget | None = None,
    ) -> Archive:
        """Return the archive as `origin` may use it; itself if nothing limits it."""
        access = self._access
        if access.is_open_to(origin):
            return self
        return GuardedArchive(self, access, origin, reading, what, self._character_set_of)

    @property
    def queues(self) -> list[QueueStatus]:
        """What is not flushed yet, or not where it is to stay, and what waits for handlers."""
        found = [QueueStatus("write-behind", "write-behind", self._behind.unflushed)]
        if (held := self._behind.in_journal) is not None:
            found.append(QueueStatus("journal", "write-behind", held))
        return [*found, *self._store.queues, *self._storage.events.queues]

    @property
    def aside(self) -> Aside:
        """What was set aside, because another object is served under its SOP Instance UID."""
        return Aside(
            self._storage,
            self._audit,
            self._locks,
            self._character_set_of,
            self._corrections,
            self._guards,
            self._bin,
        )

    @property
    def preparation(self) -> Preparation | None:
        """What prepares metadata in the background; None if the index keeps none."""
        if self._metadata.prepared is None:
            return None
        source = MetadataSource(self._index, self._header_online, self._metadata.prepared)
        return Preparation(source, lambda: self._ingested)

    async def start(self, task_group: TaskGroup, lock: Path | None = None) -> None:
        """Settle what was not flushed when the archive last ended, and begin to flush.

        Parameters
        ----------
        task_group : TaskGroup
        lock : Path, optional
            A file that all processes with the same store and index agree on.

        Raises
        ------
        OSError
            What was not flushed cannot be flushed now.
        AuditFailedError
            The loss of an instance could not be recorded; it is still in the index.
        """
        if lock is None:
            await Recovery(self._store, self._index, self._audit).run()
        else:
            await self._behind.use(self._journaling, await self._journaling.open(lock))
        self._behind.start(task_group)
        await self._correcting.resume(lock and lock.with_name("corrections.lock"))

    async def stop(self) -> None:
        """Flush what was written behind; call it when nothing is ingested any more."""
        await self._behind.stop()
        await self._journaling.close()

    async def ingest(
        self,
        dataset: AsyncIterable[bytes | memoryview],
        *,
        transfer_syntax_uid: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        origin: Origin,
    ) -> IngestResult:
        """Store a dataset, byte for byte, and index it; durable when this returns.

        Ingest filters, if there are some, judge it first, and may have it changed.

        Once all of a dataset has arrived, cancellation waits until it is stored and indexed.

        Raises
        ------
        IngestError
            One of its subclasses says why; nothing was left behind.
        AuditFailedError
            A duplicate could not be recorded; what is served is unchanged.
        """
        for uid in (sop_instance_uid, transfer_syntax_uid):
            if not is_valid_uid(uid):
                raise InvalidInstanceError(f"{uid[:80]!r} was announced, which is not a UID")
        if sop_class_uid == CORRECTION_CLASS:
            # A rebuild would take it for an entry of the log.
            raise InvalidInstanceError("an entry of a log of corrections is no instance")
        uids = transfer_syntax_uid, sop_class_uid, sop_instance_uid
        if not self.observers:
            return await self._admit(dataset, uids, origin, None)
        take = partial(self._admit, dataset, uids, origin)
        return await observe(self.observers, origin, sop_instance_uid, take)

    async def _admit(
        self,
        dataset: AsyncIterable[bytes | memoryview],
        uids: tuple[str, str, str],
        origin: Origin,
        timer: StageTimer | None,
    ) -> IngestResult:
        transfer_syntax_uid, sop_class_uid, sop_instance_uid = uids
        await self._space.admit()
        begin = partial(self._begin, transfer_syntax_uid, origin, timer)
        try:
            # No filters: nothing is read ahead of what storing needs, and nothing is read twice.
            if self._filters.is_open:
                incoming = begin(dataset, self._corrections)
                return await self._take(incoming, sop_class_uid, sop_instance_uid)
            incoming = begin(dataset, NO_CORRECTIONS)
            await incoming.read_header(sop_class_uid, sop_instance_uid)
            character_set = self._character_set_of(origin.calling_ae_title)
            async with self._filters.apply(incoming, self._storage, character_set) as filtered:
                if filtered.diverted is not None:
                    return await filtered.diverted.take(filtered.chunks)
                edited = begin(filtered.chunks, self._corrections)
                identity = filtered.header.identity
                result = await self._take(edited, identity.sop_class_uid, identity.sop_instance_uid)
                return evolve(result, coerced=filtered.changed)
        except MalformedDataset as error:
            raise InvalidInstanceError(str(error)) from error
        except StorageFullError as error:
            raise OutOfResourcesError(f"the object store has no room: {error}") from error

    def _begin(
        self,
        transfer_syntax_uid: str,
        origin: Origin,
        timer: StageTimer | None,
        dataset: AsyncIterable[bytes | memoryview],
        corrections: Corrections,
    ) -> IncomingInstance:
        return IncomingInstance(
            dataset,
            transfer_syntax_uid,
            origin,
            scanned_tags=self._scanned,
            wanted_tags=self._wanted,
            character_set=self._character_set_of(origin.calling_ae_title),
            corrections=corrections,
            timer=timer,
        )

    async def _take(
        self, incoming: IncomingInstance, sop_class_uid: str, sop_instance_uid: str
    ) -> IngestResult:
        async with self._locks.hold(sop_instance_uid):
            await incoming.read_header(sop_class_uid, sop_instance_uid)
            # Under the lock, so that two of one UID in this process come one after the other.
            if incoming.timer is not None:
                incoming.timer.begin(IngestStage.LOCATE)
            existing = await self._index.locate(incoming.identity.path)
            if incoming.timer is not None:
                incoming.timer.end()
            result = await self._ingest.take(incoming, existing)
            if incoming.corrected_through != self._corrections.seen:
                # A correction was made meanwhile, by this process or another.
                instance = await self._correcting.bring_up(result.instance, incoming.origin)
                result = evolve(result, instance=instance)
            self._space.spend(result.instance.size)
            self._ingested += 1
            return result

    def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Iterate over what matches, see :meth:`Index.search`."""
        return self._index.search(query)

    async def count(self, query: Query) -> int:
        """Return how many entities match."""
        return await self._index.count(query)

    def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Iterate over matching instances, see :meth:`Index.instances`."""
        return self._index.instances(query)

    async def fingerprint(self, query: Query) -> Fingerprint:
        """Return how many instances match, and a digest of them, see :meth:`Index.fingerprint`."""
        return await self._index.fingerprint(query)

    def searchable_tags(self, level: Level) -> frozenset[int]:
        """Tags that a query at `level` may match on or return."""
        return self._index.searchable_tags(level)

    async def gap(self) -> str:
        """Return why the index may lack instances, and what to do; empty if it should not."""
        reason = await self._index.gap()
        return reason and f"the index may lack instances: {reason}; run `pacs index rebuild`"

    async def make_durable(self, instances: Sequence[StoredInstance]) -> None:
        """Flush instances that a loss of power could cost, see :meth:`Archive.make_durable`."""
        await self._behind.make_durable(instances)
        await self._store.deposit([each.key for each in instances])

    async def availability(self, query: Query) -> Availability:
        """Return how soon what matches can be read, see :meth:`Archive.availability`."""
        return await least_available(self._store, self._index, query)

    async def availabilities(
        self, query: Query, entities: Sequence[tuple[str, ...]]
    ) -> Sequence[Availability]:
        """Return how soon each entity can be read, see :meth:`Archive.availabilities`."""
        return await least_available_each(self._store, self._index, query, entities)

    async def recall(self, query: Query, report: RecallReport | None = None) -> RecallProgress:
        """Bring the instances that match online, see :meth:`Archive.recall`."""
        return await recall_all(self._store, self._index, query, report)

    async def _header_online(
        self, instance: StoredInstance, limits: ReadLimits | None = None
    ) -> InstanceHeader:
        """Read the elements of an instance, but recall nothing: nobody waits for them."""
        if not await is_online(self._store, instance.key):
            raise NotOnlineError(instance.key, Availability.NEARLINE)
        return await self.header(instance, limits)

    async def locate(self, path: InstancePath) -> StoredInstance | None:
        """Return the instance with this path, or None."""
        return await self._index.locate(path)

    async def open(self, instance: StoredInstance) -> ObjectReader:
        """Open the Part 10 object of an instance.

        Raises
        ------
        InstanceNotFoundError
            The object is gone.
        DamagedObjectError
            The object is not what was stored.
        """
        return await self._opener.open(instance)

    async def open_and_read(
        self, instance: StoredInstance, length: int, *, with_file_meta: bool = False
    ) -> tuple[ObjectReader, bytes]:
        """Open an object, and read the beginning of its dataset, or of the file, in one step."""
        offset = 0 if with_file_meta else instance.dataset_offset
        return await self._opener.open_and_read(instance, offset, length)

    async def open_ranges(self, instance: StoredInstance) -> ObjectReader:
        """Open an object of which only parts are read; of the checks there is only the size."""
        return await self._opener.open_ranges(instance)

    async def open_ranges_and_read(
        self, instance: StoredInstance, offset: int, length: int
    ) -> tuple[ObjectReader, bytes]:
        """Open an object so, and read what is at an offset of the dataset, in one step."""
        return await self._opener.open_ranges_and_read(instance, offset, length)

    def metadata(self, query: Query) -> AsyncIterator[tuple[StoredInstance, bytes]]:
        """Iterate over the metadata of instances, see :meth:`Archive.metadata`."""
        return self._metadata.find(query)

    async def delete(
        self, path: InstancePath, origin: Origin, *, override: str = ""
    ) -> StoredInstance:
        """Delete an instance from index and store, with what was set aside beside it.

        If any of that cannot be deleted, or not be read to tell what it is, the instance is still
        there. On a full disk this takes the reserve, see :class:`SpaceSettings`.

        Raises
        ------
        InstanceHeldError
            A deletion guard holds it, and nothing overrides that.
        InstanceNotFoundError
            There is none.
        AuditFailedError
            The deletion could not be recorded, and was not carried out.
        """
        return await self._deletion.delete(path, origin, override)

    async def delete_all(
        self, query: Query, origin: Origin, *, override: str = ""
    ) -> DeletionReport:
        """Delete what a query finds, see :meth:`Archive.delete_all`.

        Raises
        ------
        AuditFailedError
            The deletion of a study could not be recorded, and was not carried out.
        """
        return await self._deletion.delete_all(query, origin, override)

    async def holds(self, query: Query, origin: Origin) -> Mapping[InstancePath, str]:
        """Return what deletion guards would hold, see :meth:`Archive.holds`."""
        return await self._guards.find_paths(self._index.instances(query), origin)

    async def examine(
        self,
        instance: StoredInstance,
        origin: Origin,
        pace: Callable[[int], Awaitable[None]] | None = None,
    ) -> str:
        """Read an instance whole, and say what is wrong with it, see :meth:`Archive.examine`."""
        if not await is_online(self._store, instance.key):
            raise NotOnlineError(instance.key, Availability.NEARLINE)
        return await examine(self._store, self._index, self._audit, instance, origin, pace)

    def differences(self) -> AsyncIterator[Difference]:
        """Iterate over what is different between index and store."""
        return verify_index(self._store, self._index, self._character_set_of, self._bin)

    async def restore(self, deleted: DeletedInstance, origin: Origin) -> StoredInstance:
        """Serve again what waits in the deletion bin, see :meth:`Archive.restore`."""
        return await self._restoring.restore(deleted, origin)

    async def purge(self, deleted: DeletedInstance, origin: Origin) -> bool:
        """Remove for good what waits in the deletion bin, see :meth:`Archive.purge`."""
        return await self._restoring.purge(deleted)

    async def update(
        self,
        entity: EntityPath,
        changes: Changes,
        origin: Origin,
        *,
        reason: str = "CORRECT",
        comment: str = "",
        in_advance: bool = False,
    ) -> CorrectionReport:
        """Correct what is handed out, see :meth:`Archive.update`."""
        correction = new_correction(entity, changes, origin, reason, comment)
        return await self._correcting.update(correction, in_advance)

    async def revert(self, number: int, origin: Origin, *, comment: str = "") -> CorrectionReport:
        """Take back a correction, see :meth:`Archive.revert`."""
        return await self._correcting.revert(number, origin, comment)

    async def corrections(self, entity: EntityPath | None = None) -> AsyncIterator[Correction]:
        """Iterate over the log of corrections, see :meth:`Archive.corrections`."""
        await self._corrections.refresh()
        for correction in self._corrections.entries:
            if entity is None or entity.overlaps(correction.entity):
                yield correction
