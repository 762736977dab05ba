"""Conflicts that an instance has brought about: into the log and the audit trail, once each."""

import logging
from collections.abc import Iterable

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditTrail,
    Conflict,
    ConflictKind,
    InstanceIdentity,
    Origin,
    Outcome,
)

_log = logging.getLogger(__name__)

_REMEDY = "see `pacs index conflicts`"
_MEANING = {
    ConflictKind.PATIENT: "studies of patient {uid} differ in {attribute}",
    ConflictKind.STUDY: "study {uid} has instances of several patients",
    ConflictKind.SERIES: "series {uid} is in several studies, which are kept apart",
    ConflictKind.INSTANCE: "instance {uid} is in several studies, which are kept apart",
    ConflictKind.STUDY_ATTRIBUTE: "instances of study {uid} differ in {attribute}",
    ConflictKind.SERIES_ATTRIBUTE: "instances of series {uid} differ in {attribute}",
}


async def report_conflicts(
    audit: AuditTrail, conflicts: Iterable[Conflict], identity: InstanceIdentity, origin: Origin
) -> None:
    """Report what an instance contradicts.

    Raises
    ------
    AuditFailedError
        It could not be recorded.
    """
    for conflict in conflicts:
        meaning = _MEANING[conflict.kind].format(uid=conflict.uid, attribute=conflict.attribute)
        _log.warning("%s: %s; %s", meaning, ", ".join(map(repr, conflict.values)), _REMEDY)
        details = {
            "conflict": conflict.kind.value,
            "uid": conflict.uid,
            "attribute": conflict.attribute,
            "values": conflict.values,
            "study_instance_uid": identity.study_instance_uid,
            "series_instance_uid": identity.series_instance_uid,
            "sop_instance_uid": identity.sop_instance_uid,
        }
        await audit.record(AuditEvent(AuditKind.CONFLICT, Outcome.WARNING, origin, details))
