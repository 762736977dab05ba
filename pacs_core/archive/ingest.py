"""How an instance gets into the archive: scanned, written, committed, indexed, in this order.

Where processes share store and index, the index decides which of them was first: its ``add`` is
atomic. What keeps their objects safe from each other: a process puts no other object into the
index than one that it has just committed, and deletes but two kinds of objects, those that it has
committed and the index does not point to, and those that its own ``replace`` took out of the index.
"""

import logging
from uuid import uuid4

import anyio
from attrs import evolve, frozen

from pacs_core.archive.arrival import SOP_INSTANCE, Arrival
from pacs_core.archive.duplicates import Duplicates, matching_length
from pacs_core.archive.fixity import FIRST, later_rank
from pacs_core.archive.healing import Healing
from pacs_core.archive.instance_writer import InstanceWriter
from pacs_core.archive.objects import holds_dataset
from pacs_core.archive.shelf import Shelf
from pacs_core.archive.survey import is_torn
from pacs_core.contracts import (
    Durability,
    IndexResult,
    IngestOutcome,
    IngestResult,
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

_log = logging.getLogger(__name__)

COMMIT_TIMEOUT = 300.0
"""Seconds for a whole instance to become durable and indexed; that is not cancelled midway."""

_SERVED_ANEW = (IngestOutcome.STORED, IngestOutcome.REPLACED)


@frozen
class Ingest:
    """Takes arrivals; the caller lets in but one at a time of each SOP Instance UID.

    That is more than the index asks, which tells studies apart: but the names of objects need not.
    """

    shelf: Shelf
    duplicates: Duplicates
    healing: Healing

    async def take(self, arrival: Arrival, existing: StoredInstance | None) -> IngestResult:
        """Take an arrival whose header is read, given what the index has under its path."""
        result = await self._take(arrival, existing)
        if arrival.oddities.notes or arrival.oddities.obstacle:
            result = _said(arrival, result)
        if result.outcome in _SERVED_ANEW and self.shelf.events.active:
            record = InstanceRecord(result.instance, arrival.attributes)
            await self.shelf.tell(InstanceEventKind.STORED, record, arrival.origin)
        return result

    async def _take(self, arrival: Arrival, existing: StoredInstance | None) -> IngestResult:
        while existing is not None:
            try:
                reader = await self.shelf.store.open(existing.key)
            except ObjectNotFoundError:
                # Another process may have replaced it since it was located.
                former, existing = existing, await self._located(arrival)
                if existing != former:
                    continue
                _log.error("object %s is lost: the newcomer takes its place", existing.key)
                return await self._admit(arrival, lost=True)
            async with reader:
                return await self._join(arrival, existing, reader)
        return await self._admit(arrival, lost=False)

    async def _located(self, arrival: Arrival) -> StoredInstance | None:
        return await self.shelf.index.locate(arrival.identity.path)

    async def _admit(self, arrival: Arrival, *, lost: bool) -> IngestResult:
        behind = self.shelf.behind
        durability = behind.careful if lost else behind.durability
        async with self.shelf.writer(arrival, durability) as writer:
            await writer.begin(*arrival.take_held())
            while (chunk := await arrival.next()) is not None:
                await writer.write([chunk])
            await self.shelf.tell_received(arrival)
            with anyio.move_on_after(COMMIT_TIMEOUT, shield=True):
                return await self._commit(writer, arrival, lost, durability)
        raise _too_slow()

    async def _commit(
        self, writer: InstanceWriter, arrival: Arrival, lost: bool, durability: Durability
    ) -> IngestResult:
        orphan, rank = "", later_rank() if lost else FIRST
        try:
            stored = await writer.commit("", rank)
        except ObjectExistsError as taken:
            orphan = taken.key
            stored = await writer.commit(uuid4().hex, rank)
        record = arrival.record(stored)
        async with self.shelf.withdrawing(record.instance):
            result = await self._index(record, lost, durability)
            first = result.existing
            if not lost and first is not None and first.key != stored.key:
                return await self.duplicates.compare(record, first, arrival.origin)
        if durability is Durability.WRITE_BEHIND:
            await self.shelf.behind.note(record.instance)
        if orphan:
            await self._clear_away(orphan, record.instance)
        if result.conflicts:
            await self.duplicates.report(result, record.instance, arrival.origin)
        return IngestResult(IngestOutcome.STORED, record.instance)

    async def _index(
        self, record: InstanceRecord, lost: bool, durability: Durability
    ) -> IndexResult:
        if not lost:
            return await self.shelf.index.add(record, durability=durability)
        await self.shelf.behind.forget(record.instance.identity.path)
        return await self.shelf.index.replace(record)

    async def _clear_away(self, orphan: str, instance: StoredInstance) -> None:
        """Delete what a crash left before it was indexed, if the same has now been indexed.

        Where the store's names do not tell studies apart, it may also be the object of another
        study's instance with this SOP Instance UID, which is served. In a shared store it may be
        another process's, on its way into the index: that one is whole. Only a power failure cuts
        an object short.
        """
        store = self.shelf.store
        if await self._is_served(orphan, instance.identity.sop_instance_uid):
            return
        if await is_torn(store, orphan) or (
            not store.shared and await holds_dataset(store, orphan, instance)
        ):
            await self.shelf.discard(orphan)
        else:
            _log.warning("object %s is an orphan; %s is served", orphan, instance.key)

    async def _is_served(self, key: str, sop_instance_uid: str) -> bool:
        query = Query(Level.IMAGE, (SingleValue(SOP_INSTANCE, sop_instance_uid),))
        keys = [instance.key async for instance in self.shelf.index.instances(query)]
        return key in keys

    async def _join(
        self, arrival: Arrival, existing: StoredInstance, reader: ObjectReader
    ) -> IngestResult:
        matching = await matching_length(arrival, existing, reader)
        fault = await self.healing.fault(arrival, existing, reader, matching)
        if matching is None:
            if not fault:
                await self.shelf.behind.confirm(existing)
                await self.shelf.tell_received(arrival)
                return IngestResult(IngestOutcome.IDENTICAL, existing)
            matching = arrival.size
        if not fault:
            await self.duplicates.consider(existing, arrival.origin)
        async with self.shelf.writer(arrival, self.shelf.behind.careful) as writer:
            variant = await self.duplicates.write(writer, arrival, existing, reader, matching)
            await self.shelf.tell_received(arrival)
            with anyio.move_on_after(COMMIT_TIMEOUT, shield=True):
                if fault:
                    return await self.healing.heal(writer, arrival, existing, fault)
                return await self.duplicates.commit(writer, variant, arrival, existing)
        raise _too_slow()


def _said(arrival: Arrival, result: IngestResult) -> IngestResult:
    found = arrival.oddities
    instance, sender = arrival.identity.sop_instance_uid, arrival.origin.calling_ae_title
    if found.notes:
        _log.warning("%s from %s is odd: %s", instance, sender, "; ".join(found.notes))
    if found.obstacle:
        _log.warning(
            "%s from %s is kept, but cannot be converted: %s", instance, sender, found.obstacle
        )
    return evolve(result, oddities=tuple(found.notes), obstacle=found.obstacle)


def _too_slow() -> OutOfResourcesError:
    return OutOfResourcesError(f"store and index did not finish within {COMMIT_TIMEOUT:g} s")
