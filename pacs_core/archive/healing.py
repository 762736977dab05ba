"""Newcomers that take the place of damaged objects, whatever the policy for duplicates is.

A sender that stores an instance again is told that it is stored: then it must be. So when the
newcomer differs from the object that is held, that is read and compared with its digest; if it is
damaged, the newcomer is served from now on. A damaged object is deleted only if the newcomer is
exactly what it was, else it is set aside: it may hold the only bytes left of something else.

Two workers may heal one instance at the same time. Each puts its own object into the index; the
one that comes second finds that it took out another's, and keeps that aside unless it is the same.
"""

import logging
from uuid import uuid4

from attrs import frozen

from pacs_core.archive.conflicts import report_conflicts
from pacs_core.archive.damage import OTHER_BYTES, damage, meta_damage
from pacs_core.archive.fixity import is_decay, later_rank
from pacs_core.archive.incoming_instance import IncomingInstance, InstanceWriter
from pacs_core.archive.objects import same_dataset
from pacs_core.archive.storage import ArchiveStorage
from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditTrail,
    AuditValue,
    IngestOutcome,
    IngestResult,
    ObjectNotFoundError,
    ObjectReader,
    Outcome,
    StoredInstance,
)

_log = logging.getLogger(__name__)


@frozen
class Healing:
    """Finds out whether a held object is damaged, and puts newcomers in its place."""

    storage: ArchiveStorage
    audit: AuditTrail

    async def fault(
        self,
        incoming: IncomingInstance,
        existing: StoredInstance,
        reader: ObjectReader,
        matching: int | None,
    ) -> str:
        """Say what is wrong with what is held, given how much of it matched the newcomer.

        Raises
        ------
        OSError
            It cannot be read at present.
        """
        try:
            if matching is not None:
                return await damage(self.storage.store, existing)
            if existing.digest not in (b"", incoming.digest):
                return OTHER_BYTES
            return await meta_damage(reader, existing)
        except OSError as error:
            if is_decay(error):
                return f"its object cannot be read: {error.strerror}"
            raise

    async def heal(
        self,
        writer: InstanceWriter,
        incoming: IncomingInstance,
        existing: StoredInstance,
        fault: str,
    ) -> IngestResult:
        """Commit a written newcomer, and serve it in place of a damaged object."""
        record = incoming.record(await writer.commit(uuid4().hex, later_rank()))
        newcomer = record.instance
        async with self.storage.withdraw_on_failure(newcomer):
            restored = _is_same(newcomer, existing)
            # Recorded first: what cannot be recorded must not happen.
            await self._record(incoming, newcomer, existing, fault, restored=restored)
            await self.storage.behind.forget(newcomer.identity.path)
            result = await self.storage.index.replace(record)
            former = result.existing
            if former is not None and former.key != newcomer.key:
                await self._clear_away(former, existing, newcomer, restored=restored)
            await report_conflicts(self.audit, result.conflicts, newcomer.identity, incoming.origin)
        return IngestResult(IngestOutcome.REPLACED, newcomer)

    async def _clear_away(
        self,
        former: StoredInstance,
        existing: StoredInstance,
        newcomer: StoredInstance,
        *,
        restored: bool,
    ) -> None:
        if former.key != existing.key:
            # Another process has replaced the damaged object meanwhile.
            restored = await self._is_served(former)
        if restored:
            await self.storage.discard(former.key)
        else:
            _log.warning("object %s is set aside; %s is served", former.key, newcomer.key)

    async def _is_served(self, former: StoredInstance) -> bool:
        """Tell whether what is served now has the dataset of what was served before."""
        served: StoredInstance | None = None
        while served != (now := await self.storage.index.locate(former.identity.path)):
            served = now
            try:
                return now is not None and await same_dataset(self.storage.store, former, now)
            except ObjectNotFoundError:
                # The one served now may itself have been replaced.
                continue
        return False

    async def _record(
        self,
        incoming: IncomingInstance,
        newcomer: StoredInstance,
        existing: StoredInstance,
        fault: str,
        *,
        restored: bool,
    ) -> None:
        uid, origin = existing.identity.sop_instance_uid, incoming.origin
        _log.error(
            "instance %s is damaged: %s (%s); %s from %s takes its place (%s)",
            uid, fault, existing.key, "the same" if restored else "what came",
            origin.calling_ae_title or origin.interface, newcomer.key,
        )  # fmt: skip
        details: dict[str, AuditValue] = {
            "sop_instance_uid": uid,
            "existing_key": existing.key,
            "newcomer_key": newcomer.key,
            "reason": fault,
            "restored": restored,
        }
        outcome = Outcome.SUCCESS if restored else Outcome.WARNING
        await self.audit.record(AuditEvent(AuditKind.INSTANCE_HEALED, outcome, origin, details))


def _is_same(newcomer: StoredInstance, existing: StoredInstance) -> bool:
    """Tell whether a newcomer is what a damaged object was."""
    return (newcomer.digest, newcomer.transfer_syntax_uid) == (
        existing.digest,
        existing.transfer_syntax_uid,
    )
