"""PDVs to messages (PS3.8 Annex E)."""

import contextlib
import itertools

import pytest
from hypothesis import given, strategies as st

from pacs_core.dimse import (
    Command,
    CommandField,
    CommandInvalid,
    CommandReceived,
    DatasetFragment,
    DimseProtocolViolation,
    MalformedCommand,
    MessageAssembler,
    encode_command,
)
from pacs_core.upper_layer import PresentationDataValue

ECHO = Command(field=CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid="1.2")
STORE = Command(
    field=CommandField.C_STORE_RQ,
    message_id=2,
    affected_sop_class_uid="1.2",
    affected_sop_instance_uid="1.2.3",
    priority=0,
    has_dataset=True,
)
BAD_STORE = encode_command(STORE).replace(b"1.2.3\0", b"1.2.x\0")


def command_pdv(data, is_last=True, context_id=1):
    return PresentationDataValue(context_id, True, is_last, data)


def data_pdv(data, is_last=True, context_id=1):
    return PresentationDataValue(context_id, False, is_last, data)


def feed_all(assembler, pdvs):
    return [event for pdv in pdvs for event in assembler.feed(pdv)]


@pytest.fixture
def assembler():
    return MessageAssembler()


def test_a_message_without_a_dataset(assembler):
    events = feed_all(assembler, [command_pdv(encode_command(ECHO), context_id=3)])
    assert events == [CommandReceived(3, ECHO)]
    assert assembler.is_idle


def test_a_message_with_a_dataset(assembler):
    assert assembler.feed(command_pdv(encode_command(STORE))) == (CommandReceived(1, STORE),)
    assert not assembler.is_idle
    assert assembler.feed(data_pdv(b"ab", False)) == (DatasetFragment(1, b"ab", False),)
    assert assembler.feed(data_pdv(b"cd")) == (DatasetFragment(1, b"cd", True),)
    assert assembler.is_idle


def test_a_dataset_may_end_with_an_empty_fragment(assembler):
    assembler.feed(command_pdv(encode_command(STORE)))
    assembler.feed(data_pdv(b"ab", False))
    assert assembler.feed(data_pdv(b"")) == (DatasetFragment(1, b"", True),)
    assert assembler.is_idle


def test_dataset_fragments_are_not_copied(assembler):
    assembler.feed(command_pdv(encode_command(STORE)))
    received = memoryview(bytearray(b"abcd"))
    (event,) = assembler.feed(data_pdv(received))
    assert event.data is received


def test_an_invalid_request_still_has_its_dataset(assembler):
    (event,) = assembler.feed(command_pdv(BAD_STORE))
    assert isinstance(event, CommandInvalid)
    assert event.error.command.message_id == 2
    assert assembler.feed(data_pdv(b"ab")) == (DatasetFragment(1, b"ab", True),)
    assert assembler.feed(command_pdv(encode_command(ECHO))) == (CommandReceived(1, ECHO),)


@pytest.mark.parametrize(
    ("before", "pdv", "what"),
    [
        ([], data_pdv(b"ab"), "without a complete command"),
        ([command_pdv(encode_command(ECHO))], data_pdv(b"ab"), "without a complete command"),
        ([command_pdv(b"\0\0", False)], data_pdv(b"ab"), "without a complete command"),
        ([command_pdv(encode_command(STORE))], command_pdv(b"\0\0"), "before the data set"),
        (
            [command_pdv(encode_command(STORE)), data_pdv(b"ab", False)],
            command_pdv(b"\0\0"),
            "before the data set",
        ),
        ([command_pdv(b"\0\0", False)], command_pdv(b"\0\0", context_id=3), "within a message"),
        ([command_pdv(encode_command(STORE))], data_pdv(b"ab", context_id=3), "within a message"),
        (
            [command_pdv(encode_command(STORE))],
            command_pdv(encode_command(ECHO), context_id=3),
            "within a message",
        ),
        (
            [command_pdv(encode_command(STORE)), data_pdv(b"ab")],
            data_pdv(b"cd"),
            "without a complete command",
        ),
    ],
)
def test_fragments_out_of_place(assembler, before, pdv, what):
    feed_all(assembler, before)
    with pytest.raises(DimseProtocolViolation, match=what):
        assembler.feed(pdv)


def test_a_command_set_is_limited_in_size():
    assembler = MessageAssembler(max_command_length=100)
    assembler.feed(command_pdv(bytes(60), is_last=False))
    assembler.feed(command_pdv(bytes(40), is_last=False))
    with pytest.raises(MalformedCommand, match="more than 100 bytes"):
        assembler.feed(command_pdv(b"\0", is_last=False))


def test_a_single_large_fragment_is_refused_unread():
    assembler = MessageAssembler(max_command_length=100)
    with pytest.raises(MalformedCommand, match="more than 100 bytes"):
        assembler.feed(command_pdv(bytes(101)))


def fragments(data, cuts, make_pdv, context_id):
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    return [
        make_pdv(piece, number == len(pieces), context_id) for number, piece in enumerate(pieces, 1)
    ]


messages = st.lists(
    st.tuples(
        st.sampled_from([(encode_command(ECHO), None), (BAD_STORE, b"xyz")])
        | st.binary(max_size=20).map(lambda dataset: (encode_command(STORE), dataset)),
        st.sampled_from([1, 3, 255]),
    ),
    max_size=4,
)


@given(messages, st.data())
def test_events_do_not_depend_on_fragmentation(conversation, data):
    def cuts(size):
        return data.draw(st.lists(st.integers(0, size), max_size=4))

    assembler = MessageAssembler()
    for (command, dataset), context_id in conversation:
        pdvs = fragments(command, cuts(len(command)), command_pdv, context_id)
        (announced,) = feed_all(assembler, pdvs)
        (whole,) = MessageAssembler().feed(command_pdv(command, True, context_id))
        assert type(announced) is type(whole)
        assert announced.context_id == context_id
        if isinstance(announced, CommandReceived):
            assert announced == whole
        if dataset is not None:
            pdvs = fragments(dataset, cuts(len(dataset)), data_pdv, context_id)
            events = feed_all(assembler, pdvs)
            assert b"".join(e.data for e in events) == dataset
            assert [e.is_last for e in events] == [False] * (len(events) - 1) + [True]
        assert assembler.is_idle


@given(
    st.lists(
        st.builds(
            PresentationDataValue,
            st.sampled_from([1, 3]),
            st.booleans(),
            st.booleans(),
            st.sampled_from([encode_command(ECHO), encode_command(STORE), b"", b"ab", BAD_STORE]),
        ),
        max_size=12,
    )
)
def test_any_fragments_are_events_or_a_violation(pdvs):
    assembler = MessageAssembler(max_command_length=300)
    with contextlib.suppress(DimseProtocolViolation):
        for pdv in pdvs:
            was_idle = assembler.is_idle
            events = assembler.feed(pdv)
            assert len(events) <= 1
            assert pdv.is_command or not was_idle
            assert assembler.is_idle <= pdv.is_last
