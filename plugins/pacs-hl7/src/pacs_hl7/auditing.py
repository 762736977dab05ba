"""Audit of messages, as IHE has it: which transaction, who took part, whom it was about.

RAD TF-3 5.1 has a patient record for updates of patients, a procedure record for orders, an import
for reports; ITI TF-2 3.8.5.1 says who the participants are: facility and application of MSH, with
a vertical bar between.
"""

import os
from typing import Final

from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    Origin,
    Outcome,
    Participant,
    ParticipantRole,
    PluginAuditKind,
)
from pacs_hl7.interface import KeptMessage
from pacs_hl7.messages import read_header
from pacs_hl7.orders import ORDERS

_PATIENT: Final = AuditCode("110110", "DCM", "Patient Record")
_PROCEDURE: Final = AuditCode("110111", "DCM", "Procedure Record")
_IMPORT: Final = AuditCode("110107", "DCM", "Import")


def _heeded(event: AuditCode, transaction: str, meaning: str) -> PluginAuditKind:
    return PluginAuditKind(
        "hl7.message", event, AuditCode(transaction, "IHE Transactions", meaning)
    )


HEEDED: Final = PluginAuditKind("hl7.message", _PATIENT)
UNDONE: Final = PluginAuditKind("hl7.undo", _PATIENT)
_REGISTERED: Final = _heeded(_PATIENT, "RAD-1", "Patient Registration")
_UPDATED: Final = _heeded(_PATIENT, "RAD-12", "Patient Update")
_SCHEDULED: Final = _heeded(_PROCEDURE, "RAD-4", "Procedure Scheduled")
_REPORTED: Final = _heeded(_IMPORT, "RAD-28", "Structured Report Export")
_REGISTRATIONS: Final = frozenset({"A01", "A04", "A05", "A28"})


def kind_of(kind: str) -> PluginAuditKind:
    """Return which event a message is, by message code and trigger event: ``ADT^A08``."""
    code, _, trigger = kind.partition("^")
    if code == "ADT":
        return _REGISTERED if trigger in _REGISTRATIONS else _UPDATED
    if (code, trigger) in ORDERS:
        return _SCHEDULED
    return _REPORTED if code == "ORU" else HEEDED


def make_event(
    kept: KeptMessage,
    kind: PluginAuditKind,
    outcome: Outcome,
    result: str,
    origin: Origin,
    *,
    character_set: str = "utf-8",
) -> AuditEvent:
    """Return the event of a message that was heeded, or undone.

    `character_set` is that of messages that name none.
    """
    details: dict[str, AuditValue] = {
        "message": kept.number,
        "type": kept.kind,
        "control_id": kept.control_id,
    }
    if result:
        details["result"] = result[:500]
    if origin.tls and origin.tls.certificate:
        certificate = origin.tls.certificate
        details["certificate"] = certificate.subject or ", ".join(certificate.names)
    patient = AuditObject(
        AuditObjectKind.PATIENT, kept.patient, details={"MSH-10": kept.control_id}
    )
    participants = _participants(kept.content, origin, character_set)
    return AuditEvent(
        kind,
        outcome,
        origin,
        details,
        action=EventAction.UPDATE,
        participants=participants if kind.value == HEEDED.value else (),
        objects=(patient,) if kept.patient else (),
    )


def _participants(content: bytes, origin: Origin, character_set: str) -> tuple[Participant, ...]:
    header = read_header(content, character_set)
    if len(header.fields) < 6:
        return ()
    sending, sends_from, receiving, receives_at = (header.get(n)[:200] for n in range(3, 7))
    return (
        Participant(
            f"{sends_from}|{sending}", ParticipantRole.SOURCE, is_requestor=True, host=origin.host
        ),
        Participant(
            f"{receives_at}|{receiving}",
            ParticipantRole.DESTINATION,
            alternative_id=str(os.getpid()),
        ),
    )
