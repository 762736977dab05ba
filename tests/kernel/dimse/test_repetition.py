"""Repetition: what is decoded and encoded by the short way is what the long way makes of it."""

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from pacs_core.dimse import (
    Command,
    CommandDecoder,
    CommandField,
    DimseError,
    DimseProtocolViolation,
    Status,
    decode_command,
    encode_command,
    encode_status,
    encode_store,
)

CT = "1.2.840.10008.5.1.4.1.1.2"

uids = st.integers(0, 10**9).map("1.2.826.0.1.{}".format)
requests = st.builds(
    Command,
    field=st.just(CommandField.C_STORE_RQ),
    message_id=st.integers(0, 65535),
    affected_sop_class_uid=st.sampled_from([CT, "1.2.840.10008.5.1.4.1.1.4"]),
    affected_sop_instance_uid=uids,
    priority=st.integers(0, 2),
    move_originator_application_entity_title=st.sampled_from([None, "MOVER"]),
    move_originator_message_id=st.sampled_from([None, 7]),
    has_dataset=st.just(True),
)

echoes = st.builds(
    Command,
    field=st.just(CommandField.C_ECHO_RQ),
    message_id=st.integers(0, 65535),
    affected_sop_class_uid=st.just("1.2.840.10008.1.1"),
)

responses = st.builds(
    Command,
    field=st.sampled_from([CommandField.C_STORE_RSP, CommandField.C_ECHO_RSP]),
    message_id_being_responded_to=st.integers(0, 65535),
    affected_sop_class_uid=st.sampled_from([None, CT]),
    affected_sop_instance_uid=st.none() | uids,
    status=st.sampled_from([0x0000, 0x0000, 0xB000, 0xA700]),
    error_comment=st.sampled_from([None, None, "disk full"]),
    offending_element=st.sampled_from([(), (), (0x0000, 0x0002)]),
)


@st.composite
def damaged(draw):
    """Return an encoded command set of which some bytes may be others, and the end may lack."""
    encoded = bytearray(encode_command(draw(st.one_of(requests, echoes, responses))))
    for place in draw(st.lists(st.integers(0, len(encoded) - 1), max_size=2)):
        encoded[place] = draw(st.integers(0, 255))
    return bytes(encoded[: draw(st.sampled_from([None, -1, -2]))])


def meaning(decode, encoded):
    try:
        return decode(encoded)
    except (DimseError, DimseProtocolViolation) as error:
        return type(error), str(error), vars(error).get("command"), getattr(error, "status", None)


@given(
    st.lists(
        st.one_of(st.one_of(requests, echoes, responses).map(encode_command), damaged()),
        min_size=2,
        max_size=8,
    )
)
def test_each_command_set_means_what_it_means_alone(encoded):
    decoder = CommandDecoder()

    assert [meaning(decoder.decode, each) for each in encoded] == [
        meaning(decode_command, each) for each in encoded
    ]


@given(requests, st.integers(0, 65535), uids)
def test_another_message_id_and_instance_is_all_that_may_differ(request, message_id, uid):
    decoder = CommandDecoder()
    other = evolve(request, message_id=message_id, affected_sop_instance_uid=uid)

    assert decoder.decode(encode_command(request)) == request
    assert decoder.decode(encode_command(other)) == other


@given(st.one_of(requests, echoes), st.sampled_from([0, Status.OUT_OF_RESOURCES, 0xFFFF]))
def test_a_status_alone_is_encoded_as_the_command_set_of_the_response(request, status):
    response = Command(
        field=request.response_field,
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=request.affected_sop_class_uid,
        affected_sop_instance_uid=request.affected_sop_instance_uid,
        status=status,
    )

    assert encode_status(request, status) == encode_command(response)


@given(responses, st.integers(0, 65535), uids)
def test_responses_repeat_likewise(response, message_id, uid):
    decoder = CommandDecoder()
    instance = response.affected_sop_instance_uid and uid
    other = evolve(
        response, message_id_being_responded_to=message_id, affected_sop_instance_uid=instance
    )

    for each in map(encode_command, (response, other)):
        assert decoder.decode(each) == decode_command(each)


@given(requests, st.integers(0, 65535))
def test_a_request_is_encoded_as_by_the_long_way(request, message_id):
    assert encode_store(request, message_id) == encode_command(
        evolve(request, message_id=message_id)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"affected_sop_class_uid": None},
        {"affected_sop_instance_uid": None},
        {"affected_sop_instance_uid": "1.2.x"},
        {"priority": None},
        {"priority": 65536},
        {"has_dataset": False},
        {"move_originator_application_entity_title": ""},
        {"move_originator_message_id": -1},
    ],
)
def test_a_request_that_cannot_be_encoded_is_refused_as_by_the_long_way(wrong):
    request = Command(
        field=CommandField.C_STORE_RQ,
        message_id=1,
        affected_sop_class_uid=CT,
        affected_sop_instance_uid="1.2.3",
        priority=0,
        has_dataset=True,
    )
    assert encode_store(request, 1)
    for encode in (encode_command, lambda each: encode_store(each, 1)):
        with pytest.raises(ValueError):
            encode(evolve(request, **wrong))
