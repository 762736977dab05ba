"""Messages to PDVs, and back again (PS3.8 Annex E)."""

import pytest
from hypothesis import given, strategies as st

from pacs_core.dimse import (
    Command,
    CommandField,
    CommandReceived,
    MessageAssembler,
    encode_command,
    encode_message,
)

STORE = Command(
    field=CommandField.C_STORE_RQ,
    message_id=2,
    affected_sop_class_uid="1.2",
    affected_sop_instance_uid="1.2.3",
    priority=0,
    has_dataset=True,
)
ECHO = Command(field=CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid="1.2")


@given(st.binary(max_size=200), st.sampled_from([0, 8, 16, 64, 16384]))
def test_what_is_sent_arrives(dataset, max_pdu_length):
    groups = encode_message(5, STORE, dataset, max_pdu_length)
    assembler = MessageAssembler()
    events = [event for group in groups for pdv in group for event in assembler.feed(pdv)]
    assert events[0] == CommandReceived(5, STORE)
    assert b"".join(event.data for event in events[1:]) == dataset
    assert assembler.is_idle


@pytest.mark.parametrize("max_pdu_length", [8, 17, 64])
def test_no_pdu_exceeds_what_the_peer_accepts(max_pdu_length):
    """A PDV item has six bytes besides its data (PS3.8 §9.3.5.1)."""
    groups = encode_message(1, STORE, bytes(200), max_pdu_length)
    assert max(sum(len(pdv.data) + 6 for pdv in group) for group in groups) <= max_pdu_length


def test_command_and_dataset_have_a_pdu_each():
    groups = encode_message(1, STORE, b"abcd", 16384)
    assert [[(p.is_command, p.is_last) for p in group] for group in groups] == [
        [(True, True)],
        [(False, True)],
    ]


def test_a_command_alone():
    ((pdv,),) = encode_message(1, ECHO, None, 16384)
    assert pdv.data == encode_command(ECHO)


def test_the_caller_may_send_the_dataset_itself():
    ((pdv,),) = encode_message(1, STORE, None, 16384)
    assert pdv.data == encode_command(STORE)


def test_an_unannounced_dataset_is_refused():
    with pytest.raises(ValueError, match="has_dataset"):
        encode_message(1, ECHO, b"ab", 16384)
