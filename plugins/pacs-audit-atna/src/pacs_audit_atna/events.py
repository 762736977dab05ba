"""Audit messages as PS3.15 A.5 has them, whatever their form: the kernel's events, translated.

The table :data:`EVENTS` says which event of A.5.3 each kind of the kernel is. Kinds of plugins say
so themselves. What the standard knows no event for has a code of its own, as A.5.2 permits.
"""

from datetime import UTC, datetime
from typing import Final

from attrs import evolve, frozen

from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    Outcome,
    Participant,
    ParticipantRole,
    PluginAuditKind,
)

OWN_SCHEME: Final = "99PACSCORE"
"""Coding scheme designator of codes that are ours (PS3.3 Table 8-1: 99 is for private ones)."""


def _dcm(value: str, meaning: str) -> AuditCode:
    return AuditCode(value, "DCM", meaning)


# PS3.16 CID 400, Audit Event ID
APPLICATION_ACTIVITY: Final = _dcm("110100", "Application Activity")
AUDIT_LOG_USED: Final = _dcm("110101", "Audit Log Used")
BEGIN_TRANSFERRING: Final = _dcm("110102", "Begin Transferring DICOM Instances")
INSTANCES_ACCESSED: Final = _dcm("110103", "DICOM Instances Accessed")
INSTANCES_TRANSFERRED: Final = _dcm("110104", "DICOM Instances Transferred")
STUDY_DELETED: Final = _dcm("110105", "DICOM Study Deleted")
EXPORT: Final = _dcm("110106", "Export")
IMPORT: Final = _dcm("110107", "Import")
QUERY: Final = _dcm("110112", "Query")
SECURITY_ALERT: Final = _dcm("110113", "Security Alert")
USER_AUTHENTICATION: Final = _dcm("110114", "User Authentication")

# PS3.16 CID 401 and 403, Audit Event Type Code and Security Alert Type Code
APPLICATION_START: Final = _dcm("110120", "Application Start")
APPLICATION_STOP: Final = _dcm("110121", "Application Stop")
LOGIN: Final = _dcm("110122", "Login")
LOGOUT: Final = _dcm("110123", "Logout")
NODE_AUTHENTICATION: Final = _dcm("110126", "Node Authentication")
NETWORK_CONFIGURATION: Final = _dcm("110128", "Network Configuration")
SECURITY_CONFIGURATION: Final = _dcm("110129", "Security Configuration")
SOFTWARE_CONFIGURATION: Final = _dcm("110131", "Software Configuration")
RESTRICTED_FUNCTION: Final = _dcm("110132", "Use of Restricted Function")
AUDIT_STOPPED: Final = _dcm("110133", "Audit Recording Stopped")

_ROLE_NAMES: Final = {
    ParticipantRole.APPLICATION: "Application",
    ParticipantRole.APPLICATION_LAUNCHER: "Application Launcher",
    ParticipantRole.DESTINATION: "Destination Role ID",
    ParticipantRole.SOURCE: "Source Role ID",
    ParticipantRole.DESTINATION_MEDIA: "Destination Media",
    ParticipantRole.SOURCE_MEDIA: "Source Media",
}


@frozen
class EventClass:
    """Which event of A.5.3 something is.

    Attributes
    ----------
    event_id : AuditCode
    event_type : AuditCode or None
    action : EventAction
        Unless the event says another.
    """

    event_id: AuditCode
    event_type: AuditCode | None = None
    action: EventAction = EventAction.EXECUTE


_CREATE, _READ, _UPDATE = EventAction.CREATE, EventAction.READ, EventAction.UPDATE

EVENTS: Final = {
    AuditKind.NODE_STARTED: EventClass(APPLICATION_ACTIVITY, APPLICATION_START),
    AuditKind.NODE_STOPPED: EventClass(APPLICATION_ACTIVITY, APPLICATION_STOP),
    AuditKind.WORKER_RESTARTED: EventClass(APPLICATION_ACTIVITY, APPLICATION_START),
    AuditKind.CONFIGURATION_ERROR: EventClass(SECURITY_ALERT, SOFTWARE_CONFIGURATION),
    AuditKind.CERTIFICATE_EXPIRY: EventClass(SECURITY_ALERT, NODE_AUTHENTICATION),
    AuditKind.CERTIFICATE_CHANGED: EventClass(SECURITY_ALERT, SECURITY_CONFIGURATION),
    AuditKind.CONFIGURATION_CHANGED: EventClass(SECURITY_ALERT, NETWORK_CONFIGURATION),
    AuditKind.PLUGIN_QUARANTINED: EventClass(SECURITY_ALERT, SOFTWARE_CONFIGURATION),
    AuditKind.SERVICE_FAILED: EventClass(SECURITY_ALERT, SOFTWARE_CONFIGURATION),
    AuditKind.ASSOCIATION_ACCEPTED: EventClass(USER_AUTHENTICATION, LOGIN),
    AuditKind.ASSOCIATION_RELEASED: EventClass(USER_AUTHENTICATION, LOGOUT),
    AuditKind.ASSOCIATION_ABORTED: EventClass(USER_AUTHENTICATION, LOGOUT),
    AuditKind.ASSOCIATION_REFUSED: EventClass(SECURITY_ALERT, NODE_AUTHENTICATION),
    AuditKind.C_STORE: EventClass(INSTANCES_TRANSFERRED, None, _CREATE),
    AuditKind.C_FIND: EventClass(QUERY),
    AuditKind.C_MOVE: EventClass(BEGIN_TRANSFERRING),
    AuditKind.C_GET: EventClass(BEGIN_TRANSFERRING),
    AuditKind.INSTANCES_SENT: EventClass(INSTANCES_TRANSFERRED, None, _READ),
    AuditKind.IMPORT: EventClass(IMPORT, None, _CREATE),
    AuditKind.DELETE: EventClass(STUDY_DELETED, None, EventAction.DELETE),
    AuditKind.UPDATE: EventClass(INSTANCES_ACCESSED, None, _UPDATE),
    AuditKind.DUPLICATE: EventClass(INSTANCES_ACCESSED, None, _UPDATE),
    AuditKind.CONFLICT: EventClass(INSTANCES_ACCESSED, None, _UPDATE),
    AuditKind.INGEST_FILTERED: EventClass(INSTANCES_ACCESSED, None, _UPDATE),
    AuditKind.INSTANCE_HEALED: EventClass(INSTANCES_ACCESSED, None, _UPDATE),
    AuditKind.ACCESS_DENIED: EventClass(SECURITY_ALERT, RESTRICTED_FUNCTION),
    AuditKind.CONTROL: EventClass(SECURITY_ALERT, RESTRICTED_FUNCTION),
}
"""The kernel's kinds that are events of the standard; the others are C-ECHO and what is of the node
itself, such as a disk that is full."""

_MEANT_BY_READING: Final = frozenset({INSTANCES_TRANSFERRED.value, BEGIN_TRANSFERRING.value})
_ENDS: Final = frozenset({*_MEANT_BY_READING, QUERY.value, IMPORT.value, EXPORT.value})
_REASONS: Final = ("reason", "error", "comment", "problem", "status")


@frozen
class AuditMessage:
    """An audit message (A.5.1), before it gets a form.

    Attributes
    ----------
    event_id, event_type : AuditCode
        The type is None where there is none.
    action : EventAction
    time : datetime
        UTC.
    outcome : Outcome
    description : str
        Event Outcome Description; empty if all went well.
    participants : tuple of Participant
        At least one.
    objects : tuple of AuditObject
        What is in the event's details is in those of the first.
    ae_title : str
        Of the node that reports.
    ae_titles : frozenset of str
        Names of participants that are AE titles.
    """

    event_id: AuditCode
    event_type: AuditCode | None
    action: EventAction
    time: datetime
    outcome: Outcome
    description: str
    participants: tuple[Participant, ...]
    objects: tuple[AuditObject, ...]
    ae_title: str
    ae_titles: frozenset[str]

    def ae_title_of(self, participant: Participant) -> str:
        """Return the AE title of a participant; empty if it is none that is known for one."""
        names = (participant.name, participant.user_id)
        return next((each for each in names if each in self.ae_titles), "")


def translate(event: AuditEvent, ae_title: str) -> AuditMessage:
    """Return an event of the node with this AE title as an audit message."""
    meaning = classify(event.kind)
    action = event.action or meaning.action
    return AuditMessage(
        meaning.event_id,
        meaning.event_type,
        action,
        event.time.astimezone(UTC),
        event.outcome,
        _describe(event),
        _participants(event, meaning, action, ae_title),
        _objects(event, ae_title),
        ae_title,
        frozenset({ae_title, event.origin.calling_ae_title, event.origin.called_ae_title} - {""}),
    )


def classify(kind: AuditKind | PluginAuditKind) -> EventClass:
    """Return which event of A.5.3 a kind is."""
    if isinstance(kind, PluginAuditKind):
        own = AuditCode(kind.value, OWN_SCHEME, kind.value)
        return EventClass(kind.event_id or own, kind.event_type or (own if kind.event_id else None))
    found = EVENTS.get(kind)
    return found or EventClass(AuditCode(kind.value, OWN_SCHEME, kind.value))


def role_name(role: ParticipantRole) -> str:
    """Return the meaning of a role's code (PS3.16 CID 402)."""
    return _ROLE_NAMES[role]


def _describe(event: AuditEvent) -> str:
    if event.outcome is Outcome.SUCCESS:
        return ""
    told = (str(event.details[name]) for name in _REASONS if event.details.get(name))
    return next(told, event.outcome.value)


def _participants(
    event: AuditEvent, meaning: EventClass, action: EventAction, ae_title: str
) -> tuple[Participant, ...]:
    """Return who took part, with the roles that A.5.3 asks for."""
    if meaning.event_id == APPLICATION_ACTIVITY:
        node = Participant(ae_title, ParticipantRole.APPLICATION, name=ae_title)
        launcher = event.origin.user or event.origin.calling_ae_title
        if not launcher:
            return (node,)
        role, host = ParticipantRole.APPLICATION_LAUNCHER, event.origin.host
        return (node, Participant(launcher, role, True, host, event.origin.calling_ae_title))
    ends = list(event.active_participants)
    if len(ends) == 1:
        ends.append(Participant(ae_title, name=ae_title))
    if meaning.event_id.value not in _ENDS:
        return tuple(ends)
    # Who asks is the source of a query and of what it sends, and the destination of what it gets.
    gets = meaning.event_id.value in _MEANT_BY_READING and action is not EventAction.CREATE
    asking, asked = ParticipantRole.SOURCE, ParticipantRole.DESTINATION
    if gets:
        asking, asked = asked, asking
    return tuple(
        evolve(each, role=each.role or (asking if each.is_requestor else asked)) for each in ends
    )


def _objects(event: AuditEvent, ae_title: str) -> tuple[AuditObject, ...]:
    """Return what the event is about, with its details at the first."""
    details: dict[str, AuditValue] = {"kind": event.kind.value, **event.details}
    if event.correlation:
        details["correlation"] = event.correlation
    objects = list(event.objects)
    if not objects:
        study, sop_class = details.get("study_instance_uid"), details.get("sop_class_uid")
        if isinstance(study, str) and study:
            classes = {sop_class: 1} if isinstance(sop_class, str) and sop_class else {}
            objects.append(AuditObject(AuditObjectKind.STUDY, study, sop_classes=classes))
        patient = details.get("patient_id")
        if isinstance(patient, str) and patient:
            objects.append(AuditObject(AuditObjectKind.PATIENT, patient))
    if not objects:
        objects.append(AuditObject(AuditObjectKind.NODE, ae_title))
    objects[0] = evolve(objects[0], details={**objects[0].details, **details})
    return tuple(objects)
