"""Audit of messages: which transaction of IHE each is, and who took part (ITI TF-2 3.8.5.1)."""

import os

import pytest
from pacs_hl7.auditing import UNDONE, kind_of, make_event
from pacs_hl7.interface import KeptMessage, MessageState

from pacs_core.contracts import AuditObjectKind, Origin, Outcome, ParticipantRole

ORIGIN = Origin("HL7", host="192.0.2.7", port=50123)


@pytest.mark.parametrize(
    ("message", "event", "transaction"),
    [
        ("ADT^A04", "110110", "RAD-1"),
        ("ADT^A08", "110110", "RAD-12"),
        ("ADT^A40", "110110", "RAD-12"),
        ("ORM^O01", "110111", "RAD-4"),
        ("OMI^O23", "110111", "RAD-4"),
        ("ORU^R01", "110107", "RAD-28"),
    ],
)
def test_each_message_is_of_a_transaction(message, event, transaction):
    kind = kind_of(message)
    assert (kind.value, kind.event_id.value) == ("hl7.message", event)
    assert (kind.event_type.value, kind.event_type.scheme) == (transaction, "IHE Transactions")


def kept(content, patient="4711"):
    return KeptMessage(
        7, 0.0, "HIS|HOSPITAL", "M1", "ADT^A08", patient, content, MessageState.DONE, "", b""
    )


def test_facility_and_application_take_part_and_the_patient_has_the_control_id():
    content = b"MSH|^~\\&|HIS|HOSPITAL|PACS|RADIOLOGY|20261128||ADT^A08|M1|P|2.5.1\rPID|1\r"
    event = make_event(kept(content), kind_of("ADT^A08"), Outcome.SUCCESS, "done", ORIGIN)
    source, destination = event.participants
    assert (source.user_id, source.role) == ("HOSPITAL|HIS", ParticipantRole.SOURCE)
    assert (source.is_requestor, source.host) == (True, "192.0.2.7")
    assert destination.user_id == "RADIOLOGY|PACS"
    assert destination.role is ParticipantRole.DESTINATION
    assert (source.alternative_id, destination.alternative_id) == ("", str(os.getpid()))
    (patient,) = event.objects
    assert (patient.kind, patient.id) == (AuditObjectKind.PATIENT, "4711")
    assert patient.details == {"MSH-10": "M1"}


@pytest.mark.parametrize("content", [b"", b"MSH", b"nonsense", b"MSH|^~\\&|A"])
def test_what_is_no_message_is_recorded_as_well(content):
    event = make_event(kept(content, ""), kind_of(""), Outcome.FAILURE, "no MSH", ORIGIN)
    assert (event.participants, event.objects) == ((), ())
    assert event.active_participants[0].host == "192.0.2.7"


def test_whoever_undoes_is_who_took_part():
    content = b"MSH|^~\\&|HIS|HOSPITAL|PACS|RADIOLOGY|\r"
    event = make_event(kept(content), UNDONE, Outcome.SUCCESS, "", ORIGIN)
    assert event.participants == ()
