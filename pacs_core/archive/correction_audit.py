"""Audit events about corrections (PS3.15 A.5.3.6, DICOM Instances Accessed, Update)."""

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    Correction,
    EventAction,
    Outcome,
)
from pacs_core.dataset import keyword_of


def correction_event(correction: Correction, instances: int, failure: str = "") -> AuditEvent:
    """Return the event about an entry of the log: which elements, but not their values.

    Parameters
    ----------
    correction : Correction
    instances : int
        How many it is about.
    failure : str
        Why it was not entered; empty if it is.
    """
    entity = correction.entity
    details: dict[str, AuditValue] = {
        "entity": str(entity),
        "changes": sorted(map(keyword_of, correction.changes)),
        "reason": correction.reason,
        "comment": correction.comment,
        "reverts": correction.reverts,
        "instances": instances,
    }
    if failure:
        details["failure"] = failure
    objects = []
    if entity.patient_id:
        objects.append(AuditObject(AuditObjectKind.PATIENT, entity.patient_id))
    if entity.study_instance_uid:
        objects.append(AuditObject(AuditObjectKind.STUDY, entity.study_instance_uid))
    return AuditEvent(
        AuditKind.UPDATE,
        Outcome.FAILURE if failure else Outcome.SUCCESS,
        correction.origin,
        details,
        action=EventAction.UPDATE,
        objects=tuple(objects),
    )
