"""The account of what was sent on one association, for the audit trail (PS3.15 A.5.3.7)."""

from attrs import define, field

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    AuditTrail,
    AuditValue,
    EventAction,
    Origin,
    Outcome,
    Participant,
    Sent,
)

_MOST_STUDIES = 256  # in one event; more are recorded in several


@define
class Transfers:
    """Counts instances by study and SOP class.

    Attributes
    ----------
    audit : AuditTrail
    origin : Origin
        Of the association.
    participants : tuple of Participant
        Who sends, and who receives.
    """

    audit: AuditTrail
    origin: Origin
    participants: tuple[Participant, ...]
    _sent: int = 0
    _failed: int = 0
    _reason: str = ""
    _studies: dict[str, dict[str, int]] = field(factory=dict)

    async def add(self, sent: Sent) -> None:
        """Take account of an instance."""
        if not sent.arrived:
            self._failed += 1
            self._reason = sent.reason
            return
        self._sent += 1
        identity = sent.instance.identity
        study = self._studies.get(identity.study_instance_uid)
        if study is None:
            if len(self._studies) == _MOST_STUDIES:
                await self.record()
            study = self._studies[identity.study_instance_uid] = {}
        study[identity.sop_class_uid] = study.get(identity.sop_class_uid, 0) + 1

    async def record(self) -> None:
        """Record what there is, if anything.

        Raises
        ------
        AuditFailedError
            A required sink did not take it.
        """
        if not self._sent and not self._failed:
            return
        outcome = Outcome.SUCCESS
        if self._failed:
            outcome = Outcome.WARNING if self._sent else Outcome.FAILURE
        details: dict[str, AuditValue] = {"sent": self._sent, "failed": self._failed}
        if self._reason:
            details["reason"] = self._reason
        objects = tuple(
            AuditObject(AuditObjectKind.STUDY, uid, sop_classes=classes)
            for uid, classes in self._studies.items()
        )
        self._sent = self._failed = 0
        self._reason, self._studies = "", {}
        event = AuditEvent(
            AuditKind.INSTANCES_SENT,
            outcome,
            self.origin,
            details,
            action=EventAction.READ,
            participants=self.participants,
            objects=objects,
        )
        await self.audit.record(event)
