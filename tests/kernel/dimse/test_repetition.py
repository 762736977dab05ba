"""Repetition: what is decoded and encoded by the short way is what the long way makes of it."""

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

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


@st.composite
def damaged(draw):
    """Return an encoded request of which some bytes may be others, and the end may lack."""
    encoded = bytearray(encode_command(draw(st.one_of(requests, echoes))))
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
        st.one_of(requests.map(encode_command), echoes.map(encode_command), damaged()),
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
