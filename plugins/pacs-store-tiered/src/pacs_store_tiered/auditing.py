"""Record of what moved between tiers: one audit event for each study and way."""

from collections import Counter
from contextlib import suppress
from typing import Final

from attrs import define, field

from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditObject,
    AuditObjectKind,
    AuditTrail,
    EventAction,
    Origin,
    Outcome,
    PluginAuditKind,
    StoredInstance,
)

MOVED: Final = PluginAuditKind("store-tiered.moved")
"""Objects of a study were moved to a lower tier."""
RECALLED: Final = PluginAuditKind("store-tiered.recalled")
"""Objects of a study were copied to the top, for a reader or by command."""


@define(eq=False)
class MoveRecorder:
    """Records moves, study by study; whoever has moved the last object closes it.

    Parameters
    ----------
    audit : AuditTrail
    kind : PluginAuditKind
    origin : Origin
    """

    audit: AuditTrail
    kind: PluginAuditKind
    origin: Origin
    _study: str = field(default="", init=False)
    _way: tuple[str, str] = field(default=("", ""), init=False)
    _classes: Counter[str] = field(factory=Counter, init=False)
    _size: int = field(default=0, init=False)
    _failed: int = field(default=0, init=False)

    async def add(
        self, instance: StoredInstance, source: str, target: str, size: int | None
    ) -> None:
        """Note an object that has moved, or, if `size` is None, failed to."""
        study = instance.identity.study_instance_uid
        if (study, (source, target)) != (self._study, self._way):
            await self.close()
            self._study, self._way = study, (source, target)
        if size is None:
            self._failed += 1
        else:
            self._classes[instance.identity.sop_class_uid] += 1
            self._size += size

    async def close(self) -> None:
        """Record what was noted since the last event."""
        moved, failed = self._classes.total(), self._failed
        if not moved and not failed:
            return
        outcome = Outcome.SUCCESS if not failed else Outcome.WARNING if moved else Outcome.FAILURE
        source, target = self._way
        classes = dict(sorted(self._classes.items()))
        study = AuditObject(AuditObjectKind.STUDY, self._study, sop_classes=classes)
        event = AuditEvent(
            self.kind,
            outcome,
            self.origin,
            {
                "study_instance_uid": self._study,
                "from": source,
                "to": target,
                "instances": moved,
                "bytes": self._size,
                "failed": failed,
            },
            action=EventAction.EXECUTE,
            objects=(study,),
        )
        self._classes.clear()
        self._size = self._failed = 0
        with suppress(AuditFailedError):  # logged by the trail; what has moved is where it is
            await self.audit.record(event)
