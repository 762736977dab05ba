"""Recovery before an archive serves: settles what was not flushed when it ended.

After the death of the processes everything is there, and has but to be flushed. After a power
failure objects may be missing or cut short: these instances are lost, and named as such.
"""

import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import anyio
from attrs import frozen

from pacs_core.archive.damage import damage, meta_damage
from pacs_core.archive.flushing import ORIGIN
from pacs_core.archive.object_scan import AT_ONCE, map_concurrently
from pacs_core.concurrency.files import try_lock
from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditTrail,
    Index,
    ObjectNotFoundError,
    ObjectStore,
    Outcome,
    StoredInstance,
)

# Theory of operation
#
# Whatever the account of unflushed instances still holds when a node starts was acknowledged, and
# may or may not be on disk. Each is looked at: the object must be there, have the size and the
# digest that the row says, and file meta information from which the row could be made again.
#
#   whole    The object is flushed, then the row settled: the order of every flush.
#   lost     Logged, audited, and the row removed, so that no query promises what no retrieval can
#            deliver. The audit event comes first: if it cannot be recorded, the row stays and is
#            found again.
#   unknown  The object cannot be read just now (OSError). The row stays unsettled.
#
# Several processes start together and share the index, so one does this under a lock on a file, and
# the others wait: one that served already could store again what another is about to remove as
# lost. Before removing, the row is read once more, because a process of a former node may still
# run.

_log = logging.getLogger(__name__)

_AT_ONCE = 16 * AT_ONCE
_LOCK_POLL = 0.05


@frozen
class Recovery:
    """Settles or withdraws what was not flushed."""

    store: ObjectStore
    index: Index
    audit: AuditTrail

    async def run(self) -> int:
        """Look at every instance that is not settled; with :func:`exclusively` among processes.

        None of them may serve meanwhile, and store again what another still holds for lost.

        Returns
        -------
        int
            How many instances are lost.
        """
        lost = 0
        whole: list[StoredInstance] = []
        async with aclosing(map_concurrently(self._verdict, self.index.unflushed())) as verdicts:
            async for instance, reason in verdicts:
                if reason is None:
                    continue
                if reason:
                    lost += await self._withdraw(instance)
                    continue
                whole.append(instance)
                if len(whole) == _AT_ONCE:
                    await self._settle(whole)
                    whole = []
        await self._settle(whole)
        return lost

    async def _verdict(self, instance: StoredInstance) -> tuple[StoredInstance, str | None]:
        try:
            return instance, await self._fault(instance)
        except OSError:
            _log.exception("object %s cannot be read; its instance stays unsettled", instance.key)
            return instance, None

    async def _fault(self, instance: StoredInstance) -> str:
        if reason := await damage(self.store, instance):
            return reason
        async with await self.store.open(instance.key) as reader:
            return await meta_damage(reader, instance)

    async def _settle(self, instances: Sequence[StoredInstance]) -> None:
        if instances:
            await self.store.flush([instance.key for instance in instances])
            await self.index.settle([i.identity.path for i in instances])
            _log.info("%d instances that had not been flushed are whole", len(instances))

    async def _withdraw(self, instance: StoredInstance) -> int:
        path = instance.identity.path
        # A living process may have removed or replaced it since.
        if await self.index.locate(path) != instance or not (reason := await self._fault(instance)):
            return 0
        _log.error("instance %s is lost: %s (%s)", path.sop_instance_uid, reason, instance.key)
        await self._record(instance, reason)
        await self.index.remove(path)
        with suppress(ObjectNotFoundError):
            await self.store.delete(instance.key)
        return 1

    async def _record(self, instance: StoredInstance, reason: str) -> None:
        identity = instance.identity
        details = {
            "study_instance_uid": identity.study_instance_uid,
            "series_instance_uid": identity.series_instance_uid,
            "sop_instance_uid": identity.sop_instance_uid,
            "key": instance.key,
            "reason": reason,
        }
        event = AuditEvent(AuditKind.INSTANCE_LOST, Outcome.FAILURE, ORIGIN, details)
        await self.audit.record(event)


@asynccontextmanager
async def exclusively(path: Path | None) -> AsyncIterator[None]:
    """Hold a lock among processes, if there is a path."""
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        while not try_lock(fd):  # noqa: ASYNC110 - the other one is another process
            await anyio.sleep(_LOCK_POLL)
        yield
    finally:
        os.close(fd)
