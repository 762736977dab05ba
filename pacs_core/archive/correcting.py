"""Corrections as they are made: written into the log, then applied to what the index has."""

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

import anyio
from attrs import define, evolve, field

from pacs_core.archive.conflicts import report_conflicts
from pacs_core.archive.correction_audit import correction_event
from pacs_core.archive.correction_objects import write_correction
from pacs_core.archive.correction_rules import STUDY, check_correction, normalize_changes
from pacs_core.archive.corrections import Corrections
from pacs_core.archive.locks import KeyedLocks
from pacs_core.archive.object_scan import map_concurrently, read_record
from pacs_core.archive.recovery import exclusively
from pacs_core.archive.settings import CharacterSetOf
from pacs_core.archive.storage import ArchiveStorage
from pacs_core.concurrency import closing
from pacs_core.contracts import (
    AuditTrail,
    Conflict,
    Correction,
    CorrectionError,
    CorrectionExistsError,
    CorrectionLog,
    CorrectionNotFoundError,
    CorrectionReport,
    EntityPath,
    InstanceEventKind,
    InstanceIdentity,
    InstanceNotFoundError,
    InstancePath,
    InstanceRecord,
    InvalidInstanceError,
    Level,
    ObjectNotFoundError,
    Origin,
    Query,
    StoredInstance,
    StoredObject,
)
from pacs_core.dataset import Changes

# Theory of operation
#
# An entry goes into the store first, as an object of its own, then into the log of the index; from
# then on it holds. Its instances are then brought up to it one by one: the record of each is made
# from its object and all corrections, as a rebuild would make it, and takes the place of the one
# before. Each is one transaction, so that a large patient holds up nobody. What was not finished,
# because the process was killed, is finished by the next archive that starts: the entry is settled
# only when all is done, and doing it again changes nothing.
#
# An instance that arrives meanwhile cannot slip through. It is added either before the entry is in
# the log of the index, and then is found and brought up; or after, and then whoever added it sees
# by `CorrectionLog.seen` that there is an entry it did not know, and brings it up itself.

_log = logging.getLogger(__name__)

ENTRY_TIMEOUT: Final = 300.0
"""Seconds for an entry to become durable; that is not cancelled midway."""

_RESUMING: Final = Origin("archive")


@define
class Correcting:
    """Makes corrections, and takes them back."""

    storage: ArchiveStorage
    corrections: Corrections
    audit: AuditTrail
    locks: KeyedLocks
    character_set_of: CharacterSetOf
    _one: anyio.Lock = field(factory=anyio.Lock)
    _conflicts: dict[Conflict, InstanceIdentity] = field(factory=dict)

    @property
    def _log_of_index(self) -> CorrectionLog:
        if (log := self.storage.index.correction_log) is None:
            raise CorrectionError("the index keeps no corrections: nothing can be corrected")
        return log

    async def update(self, correction: Correction, in_advance: bool) -> CorrectionReport:
        """Make a correction, see :meth:`Archive.update`; its number is given here."""
        entity = correction.entity
        log = self._log_of_index
        check_correction(entity, correction.changes, correction.reason)
        changes = normalize_changes(correction.changes)
        correction = evolve(correction, changes=changes)
        async with self._one:
            await self.corrections.refresh()
            query = Query(Level.IMAGE, entity.conditions)
            paths = [i.identity.path async for i in self.storage.index.instances(query)]
            if not (paths or in_advance):
                raise InstanceNotFoundError(f"there is no {entity}")
            if values := changes.get(STUDY):
                await self._check_free([(path, str(values[0])) for path in paths])
            return await self._carry_out(log, correction, paths)

    async def revert(self, number: int, origin: Origin, comment: str) -> CorrectionReport:
        """Take back a correction, see :meth:`Archive.revert`."""
        log = self._log_of_index
        async with self._one:
            await self.corrections.refresh()
            found = [c for c in self.corrections.entries if c.number == number and c.is_in_force]
            if not found:
                raise CorrectionNotFoundError(f"there is no correction {number} in force")
            entry = Correction(
                0, time.time(), found[0].entity, {}, origin, comment=comment, reverts=number
            )
            paths = await self._paths_under(number)
            if STUDY in found[0].changes:
                await self._check_free(await self._studies_without(entry, paths))
            return await self._carry_out(log, entry, paths)

    async def resume(self, lock: Path | None) -> None:
        """Apply what was entered, and not to all instances before a process died."""
        if (log := self.storage.index.correction_log) is None:
            return
        await self.corrections.refresh()
        if all(correction.is_settled for correction in self.corrections.entries):
            return
        async with exclusively(lock):
            for entry in await log.corrections():
                if not entry.is_settled:
                    if entry.reverts:
                        paths = await self._paths_under(entry.reverts)
                    else:
                        query = Query(Level.IMAGE, entry.entity.conditions)
                        found = self.storage.index.instances(query)
                        paths = [each.identity.path async for each in found]
                    _log.warning("correction %d is applied to the end", entry.number)
                    await self._apply(log, entry, paths)

    async def _paths_under(self, number: int) -> list[InstancePath]:
        async with closing(self.storage.index.corrected()) as corrected:
            return [i.identity.path async for i in corrected if number in i.corrections]

    async def _carry_out(
        self, log: CorrectionLog, correction: Correction, paths: Sequence[InstancePath]
    ) -> CorrectionReport:
        # Recorded first: what cannot be recorded must not happen.
        await self.audit.record(correction_event(correction, len(paths)))
        try:
            entered = await self._enter(log, correction)
        except Exception as error:
            await self.audit.record(correction_event(correction, len(paths), str(error)))
            raise
        return CorrectionReport(entered, await self._apply(log, entered, paths))

    async def _enter(self, log: CorrectionLog, correction: Correction) -> Correction:
        with anyio.fail_after(ENTRY_TIMEOUT, shield=True):
            while True:
                numbered = evolve(correction, number=self.corrections.number + 1)
                written = await write_correction(
                    self.storage.store, numbered, self.storage.ae_title
                )
                try:
                    await log.add(written)
                except CorrectionExistsError:
                    # Another process was first.
                    await self.storage.discard(written.key)
                    await self.corrections.refresh()
                    continue
                except Exception:
                    await self.storage.discard(written.key)
                    raise
                self.corrections.take(written)
                return written

    async def _apply(
        self, log: CorrectionLog, entry: Correction, paths: Sequence[InstancePath]
    ) -> int:
        """Bring instances up to all corrections; return how many go out otherwise now."""

        async def bring_up(path: InstancePath) -> bool:
            async with self.locks.hold(path.sop_instance_uid):
                return await self._bring_up_if_readable(path, entry)

        async def each() -> AsyncIterator[InstancePath]:
            for path in paths:
                yield path

        changed = 0
        self._conflicts.clear()
        async with aclosing(map_concurrently(bring_up, each())) as done:
            async for is_changed in done:
                changed += is_changed
        await log.settle(entry.number)
        await self._report_conflicts(entry)
        return changed

    async def _bring_up_if_readable(self, path: InstancePath, entry: Correction) -> bool:
        try:
            return await self._bring_up(path, entry.origin) is not None
        except (InvalidInstanceError, ObjectNotFoundError, OSError) as error:
            _log.error(
                "correction %d: instance %s stays as it was: %s",
                entry.number, path.sop_instance_uid, error,
            )  # fmt: skip
            return False

    async def bring_up(self, instance: StoredInstance, origin: Origin) -> StoredInstance:
        """Bring an instance up to all corrections; whoever calls this holds its lock.

        Returns
        -------
        StoredInstance
            What it is now.
        """
        return await self._bring_up(instance.identity.path, origin) or instance

    async def _bring_up(self, path: InstancePath, origin: Origin) -> StoredInstance | None:
        """Make the record of an instance anew; None if it is as it was, or is gone."""
        changed = None
        while True:
            if not self.corrections.is_current:
                await self.corrections.refresh()
            stored = await self.storage.index.locate(path)
            if stored is None:
                return changed
            record = await self._record_of(stored)
            if record.instance != stored:
                with anyio.fail_after(ENTRY_TIMEOUT, shield=True):
                    if not await self._put(record, stored, origin):
                        return changed
                changed, path = record.instance, record.instance.identity.path
            if self.corrections.is_current:
                return changed

    async def _record_of(self, stored: StoredInstance) -> InstanceRecord:
        """Return what an index should have of an instance."""
        record = await read_record(
            self.storage.store,
            StoredObject(stored.key, stored.size),
            self.storage.index.wanted_tags,
            self.character_set_of,
            self.corrections,
            to_end=False,
        )
        # What the index knows of the object stays, though it may be damaged by now.
        corrected = evolve(
            stored,
            identity=record.instance.identity,
            corrections=record.instance.corrections,
        )
        return evolve(record, instance=corrected)

    async def _put(self, record: InstanceRecord, stored: StoredInstance, origin: Origin) -> bool:
        index, behind = self.storage.index, self.storage.behind
        if record.instance.identity.path == stored.identity.path:
            result = await index.replace(record)
        else:
            # It gets its new name before it loses the old one: a crash in between leaves both,
            # and the next one to apply the correction takes the old one away.
            await behind.forget(stored.identity.path)
            await behind.secure(stored)
            result = await index.add(record)
            if result.existing is not None and result.existing.key != stored.key:
                _log.error(
                    "instance %s stays in study %s: study %s has another one",
                    *reversed(stored.identity.path), record.instance.identity.study_instance_uid,
                )  # fmt: skip
                return False
            await index.remove(stored.identity.path)
        identity = record.instance.identity
        self._conflicts.update(dict.fromkeys(result.conflicts, identity))
        await self.storage.tell(InstanceEventKind.UPDATED, record, origin)
        return True

    async def _report_conflicts(self, entry: Correction) -> None:
        """Report what contradicts now; half a study was of another patient for a moment."""
        arisen = {_name(conflict): identity for conflict, identity in self._conflicts.items()}
        if not arisen:
            return
        async for conflict in self.storage.index.conflicts():
            if (identity := arisen.get(_name(conflict))) is not None:
                await report_conflicts(self.audit, (conflict,), identity, entry.origin)

    async def _check_free(self, moves: Sequence[tuple[InstancePath, str]]) -> None:
        """Check that no instance would get the path of another."""
        for path, study in moves:
            if path.study_instance_uid == study:
                continue
            target = InstancePath(study, path.sop_instance_uid)
            if await self.storage.index.locate(target) is not None:
                raise CorrectionError(
                    f"study {study} has an instance {path.sop_instance_uid} already: delete one of "
                    "them first"
                )

    async def _studies_without(
        self, reversion: Correction, paths: Sequence[InstancePath]
    ) -> list[tuple[InstancePath, str]]:
        """Return in which studies instances would be without a correction."""
        trial = Corrections(None)
        for entry in (*self.corrections.entries, evolve(reversion, number=1 << 62)):
            trial.take(evolve(entry, reverted_by=0))
        found = []
        for path in paths:
            stored = await self.storage.index.locate(path)
            if stored is None:
                continue
            record = await read_record(
                self.storage.store,
                StoredObject(stored.key, stored.size),
                frozenset(),
                self.character_set_of,
                trial,
                to_end=False,
            )
            found.append((path, record.instance.identity.study_instance_uid))
        return found


def _name(conflict: Conflict) -> tuple[object, ...]:
    return conflict.kind, conflict.uid, conflict.attribute, conflict.study_instance_uid


def new_correction(
    entity: EntityPath, changes: Changes, origin: Origin, reason: str, comment: str
) -> Correction:
    """Return an entry that has no number yet."""
    return Correction(0, time.time(), entity, dict(changes), origin, reason, comment)
