"""Restore what is in the bin, or remove it for good, study by study."""

import logging
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from attrs import define, field

from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    DeletedInstance,
    EventAction,
    InstanceNotFoundError,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
)
from pacs_lifecycle.interface import BinState, WaitingBin

RESTORED: Final = PluginAuditKind("lifecycle.restored")
"""A study, or what there was of it in the bin, was restored."""
EMPTIED: Final = PluginAuditKind("lifecycle.emptied")
"""A study, or what there was of it in the bin, was removed for good."""

_AT_WORK: Final = 60.0

_log = logging.getLogger(__name__)


@define
class BinReport:
    """What became of what was in the bin."""

    studies: set[str] = field(factory=set)
    instances: int = 0
    size: int = 0
    failures: list[str] = field(factory=list)


@define(eq=False)
class Emptying:
    """Restores what is in the bin, or removes it for good.

    Killed at any moment it may be done again: what was claimed is claimed anew.

    Parameters
    ----------
    node : Node
    origin : Origin
        Who wants it.
    """

    node: Node
    origin: Origin

    async def restore(self, study: str) -> BinReport:
        """Restore all that the bin has of a study."""

        async def restore(deleted: DeletedInstance) -> None:
            await self.node.archive.restore(deleted, self.origin)

        return await self._each(BinState.RESTORING, restore, RESTORED, study=study)

    async def purge(
        self, *, study: str = "", before: float = 0.0, most: int = sys.maxsize
    ) -> BinReport:
        """Remove for good what the bin has: of a study, or what was deleted before a moment.

        What was deleted first goes first, in batches; no more are begun than `most`.
        """

        async def purge(deleted: DeletedInstance) -> None:
            # What is served is in the bin only because a deletion, or a restoration, was cut short.
            await self.node.archive.purge(deleted, self.origin)

        return await self._each(
            BinState.PURGING, purge, EMPTIED, study=study, before=before, most=most
        )

    async def _each(
        self,
        state: BinState,
        act: Callable[[DeletedInstance], Awaitable[None]],
        kind: PluginAuditKind,
        *,
        study: str = "",
        before: float = 0.0,
        most: int = sys.maxsize,
    ) -> BinReport:
        waiting_bin, report = self.node.find(WaitingBin), BinReport()
        failed: set[str] = set()
        for _ in range(most):
            claimed = await waiting_bin.claim(
                state, study=study, before=before, limit=100 + len(failed)
            )
            todo = [each for each in claimed if each.instance.key not in failed]
            if not todo:
                break
            done: list[DeletedInstance] = []
            for deleted in todo:
                try:
                    await self._require_gone(deleted)
                    await act(deleted)
                except InstanceNotFoundError as error:
                    report.failures.append(str(error))
                except Exception as error:
                    key = deleted.instance.key
                    _log.warning("object %s stays in the bin: %s", key, error)
                    report.failures.append(f"{key}: {error}")
                    failed.add(key)
                    continue
                done.append(deleted)
            await waiting_bin.take_out([each.instance.key for each in done])
            await self._record(kind, done)
            report.instances += len(done)
            report.size += sum(each.instance.size for each in done)
            report.studies.update(each.instance.identity.study_instance_uid for each in done)
        if failed:
            await waiting_bin.unclaim(failed)
        return report

    async def _require_gone(self, deleted: DeletedInstance) -> None:
        """Leave alone what another process is deleting at this moment: its row is to go yet."""
        if time.time() - deleted.time < _AT_WORK:
            served = await self.node.archive.locate(deleted.instance.identity.path)
            if served is not None and served.key == deleted.instance.key:
                raise OSError("it is being deleted: try again in a minute")

    async def _record(self, kind: PluginAuditKind, done: list[DeletedInstance]) -> None:
        by_study: dict[str, list[DeletedInstance]] = {}
        for each in done:
            by_study.setdefault(each.instance.identity.study_instance_uid, []).append(each)
        for study, some in by_study.items():
            classes = Counter(each.instance.identity.sop_class_uid for each in some)
            action = EventAction.CREATE if kind is RESTORED else EventAction.DELETE
            what = AuditObject(AuditObjectKind.STUDY, study, sop_classes=dict(classes))
            details: dict[str, AuditValue] = {"study_instance_uid": study, "instances": len(some)}
            event = AuditEvent(
                kind, Outcome.SUCCESS, self.origin, details, action=action, objects=(what,)
            )
            with suppress(AuditFailedError):  # logged by the trail; it has happened
                await self.node.audit.record(event)
