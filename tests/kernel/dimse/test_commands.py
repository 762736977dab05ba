"""Command sets byte by byte, and what becomes of broken ones (PS3.7 §6.3, §9.3, Annex C, E)."""

import struct

import pytest

from pacs_core.dimse import (
    LAYOUTS,
    Command,
    CommandField,
    DatasetRule,
    DimseProtocolViolation,
    InvalidArgument,
    MalformedCommand,
    Status,
    decode_command,
    encode_command,
)

CT = "1.2.840.10008.5.1.4.1.1.2"


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value


def us(number: int, value: int) -> bytes:
    return element(number, struct.pack("<H", value))


def command_set(*elements: bytes, group_length: int | None = None) -> bytes:
    body = b"".join(elements)
    length = len(body) if group_length is None else group_length
    return element(0, struct.pack("<L", length)) + body


ECHO_RQ = bytes.fromhex(
    "00000000 04000000 38000000"
    "00000200 12000000 312e322e3834302e31303030382e312e3100"
    "00000001 02000000 3000"
    "00001001 02000000 0700"
    "00000008 02000000 0101".replace(" ", "")
)


def store_request(**replaced: bytes) -> bytes:
    """Encode a C-STORE-RQ by hand, elements replaced by name, or dropped where empty."""
    elements = {
        "sop_class": element(0x0002, CT.encode() + b"\0"),
        "field": us(0x0100, 0x0001),
        "message_id": us(0x0110, 7),
        "priority": us(0x0700, 2),
        "dataset_type": us(0x0800, 0x0001),
        "sop_instance": element(0x1000, b"1.2.3\0"),
    }
    return command_set(*(elements | replaced).values())


def test_echo_request_is_encoded_as_the_standard_says():
    command = Command(
        field=CommandField.C_ECHO_RQ, message_id=7, affected_sop_class_uid="1.2.840.10008.1.1"
    )
    assert encode_command(command) == ECHO_RQ
    assert decode_command(ECHO_RQ) == command


def test_store_request_is_encoded_as_the_standard_says():
    command = Command(
        field=CommandField.C_STORE_RQ,
        message_id=7,
        priority=2,
        affected_sop_class_uid=CT,
        affected_sop_instance_uid="1.2.3",
        has_dataset=True,
    )
    assert encode_command(command) == store_request()
    assert decode_command(memoryview(store_request())) == command


def test_any_dataset_type_but_0101_announces_a_dataset():
    assert decode_command(store_request(dataset_type=us(0x0800, 0x0102))).has_dataset


def test_offending_elements_are_encoded_group_first():
    encoded = encode_command(
        Command(
            field=CommandField.C_STORE_RSP,
            message_id_being_responded_to=1,
            status=0xA900,
            offending_element=(0x00080018, 0x7FE00010),
        )
    )
    assert element(0x0901, bytes.fromhex("08001800e07f1000")) in encoded


@pytest.mark.parametrize(
    ("comment", "encoded"),
    [("odd", b"odd "), ("Größe\n", b"Gr??e?"), ("a\\b ", b"a?b "), ("x" * 99, b"x" * 64)],
)
def test_error_comment_is_cut_and_plain(comment, encoded):
    command = Command(
        field=CommandField.C_ECHO_RSP,
        message_id_being_responded_to=1,
        status=0x0110,
        error_comment=comment,
    )
    assert element(0x0902, encoded) in encode_command(command)


def test_elements_foreign_to_the_kind_are_not_encoded():
    response = Command(field=CommandField.C_ECHO_RSP, message_id_being_responded_to=1, status=0)
    with_foreign = Command(
        field=CommandField.C_ECHO_RSP,
        message_id_being_responded_to=1,
        status=0,
        move_destination="X",
        message_id=9,
    )
    assert encode_command(with_foreign) == encode_command(response)


@pytest.mark.parametrize(
    "changes",
    [
        {"message_id": None},
        {"message_id": 0x10000},
        {"message_id": -1},
        {"affected_sop_class_uid": "1..2"},
        {"affected_sop_class_uid": "1." * 32 + "1"},
        {"has_dataset": True},
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(changes):
    arguments = {"message_id": 1, "affected_sop_class_uid": "1.2"} | changes
    with pytest.raises(ValueError):
        encode_command(Command(field=CommandField.C_ECHO_RQ, **arguments))


@pytest.mark.parametrize("title", ["", "   ", "x" * 17, "A\\B", "A\nB", "Ä"])
def test_unfit_ae_titles_are_not_sent(title):
    with pytest.raises(ValueError, match="AE title"):
        encode_command(
            Command(
                field=CommandField.C_MOVE_RQ,
                message_id=1,
                affected_sop_class_uid="1.2",
                priority=0,
                move_destination=title,
                has_dataset=True,
            )
        )


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "command field"),
        (ECHO_RQ[:-1], "exceeds"),
        (ECHO_RQ[:-6], "header"),
        (ECHO_RQ + b"\0", "header"),
        (b"\x08\0" + ECHO_RQ[2:], "group 0000"),
        (element(0x0100, b"\x30\0") * 2, "ascending"),
        (store_request(field=us(0x0100, 0x7777)), "7777"),
        (store_request(field=element(0x0100, b"\1")), "command field"),
        (store_request(field=b""), "command field"),
        (store_request(message_id=b""), "message_id"),
        (store_request(message_id=element(0x0110, b"\1\0\0\0")), "message_id"),
        (store_request(dataset_type=b""), "0800"),
        (store_request(dataset_type=element(0x0800, b"")), "0800"),
        (command_set(ECHO_RQ[12:], group_length=56 + 13), "group length"),
        (command_set(ECHO_RQ[12:], group_length=56 - 13), "group length"),
        (element(0, b"\0\0") + ECHO_RQ[12:], "group length"),
        (element(0x0002, b"")[:-4] + b"\xff\xff\xff\xff", "4294967295"),
        # A C-STORE-RSP without status, a C-CANCEL-RQ that says not what to cancel.
        (command_set(us(0x0100, 0x8001), us(0x0120, 1), us(0x0800, 0x0101)), "status"),
        (command_set(us(0x0100, 0x8001), us(0x0800, 0x0101), us(0x0900, 0)), "responded_to"),
        (command_set(us(0x0100, 0x0FFF), us(0x0800, 0x0101)), "responded_to"),
    ],
)
def test_what_cannot_be_answered_is_malformed(data, what):
    with pytest.raises(MalformedCommand, match=what) as caught:
        decode_command(data)
    assert isinstance(caught.value, DimseProtocolViolation)


@pytest.mark.parametrize("group_length", [56 + 12, 56 - 1])
def test_known_errors_in_the_group_length_are_forgiven(group_length):
    data = command_set(ECHO_RQ[12:], group_length=group_length)
    assert decode_command(data) == decode_command(ECHO_RQ)


def test_an_absent_group_length_is_forgiven():
    assert decode_command(ECHO_RQ[12:]) == decode_command(ECHO_RQ)


def test_retired_and_unknown_elements_are_skipped():
    data = store_request(message_id=element(0x0105, b"junk") + us(0x0110, 7))
    assert decode_command(data) == decode_command(store_request())


@pytest.mark.parametrize(
    "value", [b"1.2.3", b"1.2.3\0", b"1.2.3 ", b"1.2.3\0\0\0"], ids=["odd", "nul", "space", "nuls"]
)
def test_padding_of_a_uid_is_stripped(value):
    command = decode_command(store_request(sop_instance=element(0x1000, value)))
    assert command.sop_instance_uid == "1.2.3"


INSTANCE, CLASS = 0x1000, 0x0002


@pytest.mark.parametrize(
    ("replaced", "status", "offending"),
    [
        ({"sop_instance": b""}, Status.MISTYPED_ARGUMENT, (INSTANCE,)),
        ({"sop_instance": element(INSTANCE, b"")}, Status.MISTYPED_ARGUMENT, (INSTANCE,)),
        ({"sop_instance": element(INSTANCE, b"1\x002\0")}, 0x0117, (INSTANCE,)),
        ({"sop_instance": element(INSTANCE, b"1.2/../3")}, 0x0117, (INSTANCE,)),
        ({"sop_instance": element(INSTANCE, b"1" * 65 + b"\0")}, 0x0117, (INSTANCE,)),
        ({"sop_instance": element(INSTANCE, b"1.\xb2\0")}, 0x0117, (INSTANCE,)),
        ({"sop_class": element(CLASS, b"CT")}, 0x0122, (CLASS,)),
        ({"sop_class": b"", "sop_instance": b""}, 0x0212, (CLASS, INSTANCE)),
        ({"priority": b""}, 0x0212, (0x0700,)),
        ({"priority": element(0x0700, b"\0" * 4)}, 0x0212, (0x0700,)),
        ({"dataset_type": us(0x0800, 0x0101)}, 0x0212, (0x0800,)),
        ({"x": element(0x1030, b"A\nB ")}, 0x0212, (0x1030,)),
    ],
)
def test_what_can_be_answered_is_an_invalid_argument(replaced, status, offending):
    with pytest.raises(InvalidArgument) as caught:
        decode_command(store_request(**replaced))
    error = caught.value
    assert error.status == status
    assert error.offending_element == offending
    assert len(error.comment) <= 64
    assert error.command.message_id == 7
    assert error.command.has_dataset == ("dataset_type" not in replaced)
    assert error.command.response_field is CommandField.C_STORE_RSP


def test_services_on_normalized_objects_have_a_status_of_their_own():
    data = command_set(
        element(0x0003, b"!!"),
        us(0x0100, CommandField.N_DELETE_RQ),
        us(0x0110, 1),
        us(0x0800, 0x0101),
        element(0x1001, b"1.2\0"),
    )
    with pytest.raises(InvalidArgument) as caught:
        decode_command(data)
    assert caught.value.status == Status.NO_SUCH_SOP_CLASS
    assert caught.value.command.sop_instance_uid == "1.2"


def test_unusable_optional_elements_of_a_response_are_skipped():
    data = command_set(
        us(0x0100, 0x8001),
        us(0x0120, 3),
        us(0x0800, 0x0101),
        us(0x0900, 0),
        element(0x0901, b"\0\0\0"),
        element(0x0902, b"f\xe9\x1b[31m"),
        element(0x1000, b"no UID"),
    )
    assert decode_command(data) == Command(
        field=CommandField.C_STORE_RSP,
        message_id_being_responded_to=3,
        status=0,
        error_comment="f??[31m",
    )


def test_every_command_has_a_layout_and_a_sound_direction():
    assert set(LAYOUTS) == set(CommandField)
    for field in CommandField:
        command = Command(field=field)
        assert command.is_request == field.name.endswith("RQ")
        assert command.is_response == (not command.is_request)
        if command.is_request and field is not CommandField.C_CANCEL_RQ:
            assert command.response_field.name == field.name.replace("_RQ", "_RSP")
        else:
            with pytest.raises(ValueError, match="no response"):
                _ = command.response_field
    required = {f for f, layout in LAYOUTS.items() if layout.dataset is DatasetRule.REQUIRED}
    assert {f.name for f in required} == {
        "C_STORE_RQ",
        "C_FIND_RQ",
        "C_GET_RQ",
        "C_MOVE_RQ",
        "N_SET_RQ",
    }
