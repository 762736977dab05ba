"""Audit events of plugins, with what messages of PS3.15 A.5.2 need."""

import pytest

from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditKind,
    Origin,
    Outcome,
    Participant,
    ParticipantRole,
    PluginAuditKind,
    Principal,
)

ORIGIN = Origin("DIMSE", "MODALITY", "PACS", "192.0.2.7", 50123)


@pytest.mark.parametrize("name", ["forwarded", "", ".x", "x.", "Routing.sent", "a b.c", "a.b\n"])
def test_a_kind_names_its_plugin(name):
    with pytest.raises(ValueError, match=r"routing\.forwarded"):
        PluginAuditKind(name)


def test_no_kind_of_a_plugin_can_be_taken_for_one_of_the_kernel():
    PluginAuditKind("routing.forwarded", AuditCode("110104", "DCM", "DICOM Instances Transferred"))
    for kind in AuditKind:
        with pytest.raises(ValueError, match="no kind of a plugin"):
            PluginAuditKind(kind.value)


def test_both_ends_took_part_unless_the_event_says_more():
    event = AuditEvent(AuditKind.C_ECHO, Outcome.SUCCESS, ORIGIN)
    caller, called = event.active_participants
    assert (caller.user_id, caller.host, caller.is_requestor) == ("MODALITY", "192.0.2.7", True)
    assert (called.user_id, called.is_requestor) == ("PACS", False)
    media = (Participant("disc", ParticipantRole.DESTINATION_MEDIA),)
    event = AuditEvent(AuditKind.C_ECHO, Outcome.SUCCESS, ORIGIN, participants=media)
    assert event.active_participants == media


def test_an_authenticated_user_is_who_took_part():
    origin = Origin("DICOMweb", host="192.0.2.8", principal=Principal("ward"))
    [user] = AuditEvent(AuditKind.C_FIND, Outcome.SUCCESS, origin).active_participants
    assert (user.user_id, user.host) == ("ward", "192.0.2.8")
