"""Ingest of an instance: scanned, written, committed, indexed, in this order.

Where processes share store and index, the index decides which of them was first: its ``add`` is
atomic. What keeps their objects safe from each other: a process puts no other object into the
index than one that it has just committed, and deletes but two kinds of objects, those that it has
committed and the index does not point to, and those that its own ``replace`` took out of the index.
"""

import logging
from collections.abc import Sequence
from uuid import uuid4

import anyio
from attrs import evolve, frozen

from pacs_core.archive.duplicates import Duplicates, matching_length
from pacs_core.archive.fixity import FIRST, later_rank
from pacs_core.archive.healing import Healing
from pacs_core.archive.incoming_instance import SOP_INSTANCE, IncomingInstance
from pacs_core.archive.ingest_stages import StageTimer
from pacs_core.archive.journal import LARGEST
from pacs_core.archive.journal_files import Chunk
from pacs_core.archive.object_scan import is_torn
from pacs_core.archive.objects import holds_dataset
from pacs_core.archive.settings import DuplicatePolicy
from pacs_core.archive.storage import ArchiveStorage, WithdrawOnFailure
from pacs_core.contracts import (
    Durability,
    IndexResult,
    IngestOutcome,
    IngestResult,
    IngestStage,
    InstanceEventKind,
    InstanceRecord,
    Level,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectReader,
    OutOfResourcesError,
    Query,
    SingleValue,
    StoredInstance,
)

# Theory of operation
#
# `take` is the whole of it. An instance whose header is read meets one of three situations, and
# each has a method: nothing is there (`_store`), the same is there (`_acknowledge`), something else
# is there or what is there is damaged (`_settle`).
#
# Identical is decided while the dataset arrives: it is compared with the stored object chunk by
# chunk (`matching_length`), and nothing is written as long as they agree. So a resend costs a read.
# Where they part, what has agreed is copied from the object and the rest is taken from the stream:
# no dataset is ever held whole.
#
# A row may point to an object that is gone. Either another process has replaced it, then the index
# has another row by now, and the loop looks again; or the row is still the same, then the object is
# lost, and what arrives takes its place. Each turn of the loop needs another replacement, so it
# ends.
#
# Once all has arrived the rest runs shielded, for up to `COMMIT_TIMEOUT`. Half of it could not be
# undone: an object without a row is an orphan, and a sender that was told of a failure sends again.

_log = logging.getLogger(__name__)

COMMIT_TIMEOUT = 300.0
"""Seconds for a whole instance to become durable and indexed; that is not cancelled midway."""

_SERVED_ANEW = (IngestOutcome.STORED, IngestOutcome.REPLACED)


@frozen
class Ingest:
    """Takes an instance whose header is read to one of three ends: new, identical, different.

    The caller lets in but one at a time of each SOP Instance UID. That is more than the index asks,
    which tells studies apart: but the names of objects need not.
    """

    storage: ArchiveStorage
    duplicates: Duplicates
    healing: Healing

    async def take(
        self, incoming: IncomingInstance, existing: StoredInstance | None
    ) -> IngestResult:
        """Take an instance, given what the index has under its path."""
        lost = False
        while existing is not None and not lost:
            try:
                reader = await self.storage.store.open(existing.key)
            except ObjectNotFoundError:
                # Another process may have replaced it since it was located.
                former, existing = existing, await self.storage.index.locate(incoming.identity.path)
                lost = existing == former
                if lost:
                    _log.error("object %s is lost: the newcomer takes its place", former.key)
                continue
            async with reader:
                matching = await matching_length(incoming, existing, reader)
                fault = await self.healing.fault(incoming, existing, reader, matching)
                if matching is None and not fault:
                    result = await self._acknowledge(incoming, existing)
                else:
                    if matching is None:
                        matching = incoming.size
                    result = await self._settle(incoming, existing, reader, matching, fault)
            break
        else:
            result = await self._store(incoming, lost=lost)
        if incoming.oddities.notes or incoming.oddities.obstacle:
            result = _note_oddities(incoming, result)
        # Told once it is durable as configured, and in the index: a handler can read it.
        if result.outcome in _SERVED_ANEW and self.storage.events.active:
            record = InstanceRecord(result.instance, incoming.attributes)
            await self.storage.tell(InstanceEventKind.STORED, record, incoming.origin)
        return result

    async def _acknowledge(
        self, incoming: IncomingInstance, existing: StoredInstance
    ) -> IngestResult:
        """Take one that is identical to what is held: nothing is written."""
        await self.storage.behind.confirm(existing)
        await self.storage.tell_received(incoming)
        return IngestResult(IngestOutcome.IDENTICAL, existing)

    async def _settle(
        self,
        incoming: IncomingInstance,
        existing: StoredInstance,
        reader: ObjectReader,
        matching: int,
        fault: str,
    ) -> IngestResult:
        """Take one that differs from what is held: its place if that is damaged, else by policy."""
        policy = None if fault else await self.duplicates.decide(existing, incoming.origin)
        durability = self.storage.behind.durable_at_least
        beside = existing.identity if policy is DuplicatePolicy.KEEP_FIRST else None
        async with self.storage.writer(incoming, durability, beside) as writer:
            variant = await self.duplicates.write(writer, incoming, existing, reader, matching)
            await self.storage.tell_received(incoming)
            with anyio.move_on_after(COMMIT_TIMEOUT, shield=True):
                if policy is None:
                    return await self.healing.heal(writer, incoming, existing, fault)
                return await self.duplicates.commit(writer, variant, incoming, existing, policy)
        raise _too_slow()

    async def _store(self, incoming: IncomingInstance, *, lost: bool) -> IngestResult:
        """Take one that is new, or all that there is of one whose object is lost."""
        behind = self.storage.behind
        durability = behind.durable_at_least if lost else behind.durability
        orphan, rank = "", later_rank() if lost else FIRST
        small = await incoming.read_small(LARGEST) if behind.tells_small and not lost else None
        if small is not None and behind.take_small():
            durability = Durability.WRITE_BEHIND
        else:
            small = None
        async with self.storage.writer(incoming, durability) as writer:
            # Back-pressure is here: the next chunk is asked for when the store has taken this one.
            while (chunk := await incoming.next()) is not None:
                await writer.write(chunk)
            if self.storage.events.active:
                await self.storage.tell_received(incoming)
            with anyio.move_on_after(COMMIT_TIMEOUT, shield=True):
                try:
                    stored = await writer.commit("", rank)
                # An orphan, another study's instance in a store that does not tell studies apart,
                # or another process at the same moment: only the index knows, so the object gets a
                # name beside it.
                except ObjectExistsError as taken:
                    orphan = taken.key
                    stored = await writer.commit(uuid4().hex, rank)
                record = incoming.record(stored)
                if lost:
                    async with WithdrawOnFailure(self.storage, record.instance):
                        await behind.forget(record.instance.identity.path)
                        result = await self.storage.index.replace(record)
                else:
                    content = None if small is None else [writer.beginning, *small]
                    result = await self._add(record, durability, content, incoming.timer)
                    first = result.existing
                    if first is not None and first.key != stored.key:
                        # Another process was first to get into the index.
                        async with WithdrawOnFailure(self.storage, record.instance):
                            return await self.duplicates.compare(record, first, incoming.origin)
                if orphan:
                    await self._clear_away(orphan, record.instance)
                if result.conflicts:
                    await self.duplicates.report(result, record.instance, incoming.origin)
                return IngestResult(IngestOutcome.STORED, record.instance)
        raise _too_slow()

    async def _add(
        self,
        record: InstanceRecord,
        durability: Durability,
        content: Sequence[Chunk] | None,
        timer: StageTimer | None,
    ) -> IndexResult:
        """Add the row of a new instance; with `content`, have both in the journal."""
        behind, instance = self.storage.behind, record.instance
        with behind.arrive(instance.identity.path):
            async with WithdrawOnFailure(self.storage, instance):
                if timer is not None:
                    timer.begin(IngestStage.INDEX)
                result = await self.storage.index.add(record, durability=durability)
                if timer is not None:
                    timer.end()
            first = result.existing
            if first is None or first.key == instance.key:
                # After the row: what is flushed is settled in the index, where it must be.
                if content is not None:
                    if timer is not None:
                        timer.begin(IngestStage.JOURNAL)
                    await behind.keep(instance, content)
                    if timer is not None:
                        timer.end()
                elif durability is Durability.WRITE_BEHIND:
                    await behind.note(instance)
        return result

    async def _clear_away(self, orphan: str, instance: StoredInstance) -> None:
        """Delete what a crash left before it was indexed, if the same has now been indexed.

        Where the store's names do not tell studies apart, it may also be the object of another
        study's instance with this SOP Instance UID, which is served. In a shared store it may be
        another process's, on its way into the index: that one is whole. Only a power failure cuts
        an object short.
        """
        store = self.storage.store
        uid = SingleValue(SOP_INSTANCE, instance.identity.sop_instance_uid)
        query = Query(Level.IMAGE, (uid,))
        if orphan in [served.key async for served in self.storage.index.instances(query)]:
            return
        if await is_torn(store, orphan) or (
            not store.shared and await holds_dataset(store, orphan, instance)
        ):
            await self.storage.discard(orphan)
        else:
            _log.warning("object %s is an orphan; %s is served", orphan, instance.key)


def _note_oddities(incoming: IncomingInstance, result: IngestResult) -> IngestResult:
    found = incoming.oddities
    instance, sender = incoming.identity.sop_instance_uid, incoming.origin.calling_ae_title
    if found.notes:
        _log.warning("%s from %s is odd: %s", instance, sender, "; ".join(found.notes))
    if found.obstacle:
        _log.warning(
            "%s from %s is kept, but cannot be converted: %s", instance, sender, found.obstacle
        )
    return evolve(result, oddities=tuple(found.notes), obstacle=found.obstacle)


def _too_slow() -> OutOfResourcesError:
    return OutOfResourcesError(f"store and index did not finish within {COMMIT_TIMEOUT:g} s")
