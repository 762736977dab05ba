"""Our encoding of command sets against that of pynetdicom and pydicom, for every kind."""

from io import BytesIO

import pytest
from pynetdicom import dimse_messages
from pynetdicom.dsutils import decode, encode

from pacs_core.dimse import Command, CommandField, decode_command, encode_command

KEYWORDS = {
    "AffectedSOPClassUID": ("affected_sop_class_uid", "1.2.840.10008.5.1.4.1.1.2"),
    "RequestedSOPClassUID": ("requested_sop_class_uid", "1.2.840.10008.1.20.1"),
    "MessageID": ("message_id", 65535),
    "MessageIDBeingRespondedTo": ("message_id_being_responded_to", 258),
    "MoveDestination": ("move_destination", "ARCHIVE"),
    "Priority": ("priority", 1),
    "Status": ("status", 0xB000),
    "OffendingElement": ("offending_element", (0x00080018, 0x7FE00010)),
    "ErrorComment": ("error_comment", "Something odd"),
    "ErrorID": ("error_id", 513),
    "AffectedSOPInstanceUID": ("affected_sop_instance_uid", "1.2.3.4"),
    "RequestedSOPInstanceUID": ("requested_sop_instance_uid", "1.2.3.45"),
    "EventTypeID": ("event_type_id", 2),
    "AttributeIdentifierList": ("attribute_identifier_list", (0x00100010, 0x00100020)),
    "ActionTypeID": ("action_type_id", 1),
    "NumberOfRemainingSuboperations": ("number_of_remaining_suboperations", 4),
    "NumberOfCompletedSuboperations": ("number_of_completed_suboperations", 3),
    "NumberOfFailedSuboperations": ("number_of_failed_suboperations", 2),
    "NumberOfWarningSuboperations": ("number_of_warning_suboperations", 1),
    "MoveOriginatorApplicationEntityTitle": ("move_originator_application_entity_title", "MOVER"),
    "MoveOriginatorMessageID": ("move_originator_message_id", 99),
}
NEEDS_DATASET = {"C_STORE_RQ", "C_FIND_RQ", "C_GET_RQ", "C_MOVE_RQ", "N_SET_RQ"}


@pytest.fixture(params=CommandField, ids=lambda field: field.name)
def pair(request):
    """Our command and pynetdicom's message, with the same values in all elements both know."""
    name = request.param.name
    message = getattr(dimse_messages, name)()
    values = {}
    for item in message.command_set:
        if item.keyword in KEYWORDS:
            attribute, value = KEYWORDS[item.keyword]
            values[attribute] = value
            item.value = list(value) if isinstance(value, tuple) else value
    has_dataset = name in NEEDS_DATASET
    message.command_set.CommandField = int(request.param)
    message.command_set.CommandDataSetType = 0x0001 if has_dataset else 0x0101
    message._set_command_group_length()
    return Command(field=request.param, has_dataset=has_dataset, **values), message


def test_both_encode_the_same_bytes(pair):
    command, message = pair
    assert encode_command(command) == encode(message.command_set, True, True)


def test_we_read_what_they_write(pair):
    command, message = pair
    assert decode_command(encode(message.command_set, True, True)) == command


def test_they_read_what_we_write(pair):
    command, message = pair
    assert decode(BytesIO(encode_command(command)), True, True) == message.command_set
