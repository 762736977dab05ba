"""The account of outstanding operations (PS3.7 §9.1, §9.3.2.3, §D.3.3.3)."""

import pytest

from pacs_core.dimse import (
    Command,
    CommandField,
    DimseError,
    DimseProtocolViolation,
    InvokedOperations,
    RequestedOperations,
    Status,
)


def response(field, message_id, status=0):
    return Command(field=field, message_id_being_responded_to=message_id, status=status)


def store(message_id):
    return Command(field=CommandField.C_STORE_RQ, message_id=message_id)


def cancel(message_id):
    return Command(field=CommandField.C_CANCEL_RQ, message_id_being_responded_to=message_id)


def test_message_ids_count_from_one():
    invoked = InvokedOperations(window=2)
    assert [invoked.invoke(CommandField.C_ECHO_RQ) for _ in range(2)] == [1, 2]
    assert invoked.is_full
    with pytest.raises(RuntimeError, match="window"):
        invoked.invoke(CommandField.C_ECHO_RQ)


def test_message_ids_wrap_around_those_in_use():
    invoked = InvokedOperations(window=2)
    slow = invoked.invoke(CommandField.C_MOVE_RQ)
    used = []
    for _ in range(65535):
        used.append(invoked.invoke(CommandField.C_ECHO_RQ))
        assert invoked.settle(response(CommandField.C_ECHO_RSP, used[-1]))
    assert used == [*range(2, 65536), 2]
    assert slow in invoked
    assert len(invoked) == 1


def test_without_a_limit_all_message_ids_can_be_used():
    invoked = InvokedOperations(window=0)
    ids = {invoked.invoke(CommandField.C_ECHO_RQ) for _ in range(65535)}
    assert ids == set(range(1, 65536))
    assert invoked.is_full


def test_pending_responses_leave_the_operation_outstanding():
    invoked = InvokedOperations()
    message_id = invoked.invoke(CommandField.C_FIND_RQ)
    assert not invoked.settle(response(CommandField.C_FIND_RSP, message_id, 0xFF00))
    assert not invoked.settle(response(CommandField.C_FIND_RSP, message_id, 0xFF01))
    assert message_id in invoked
    assert invoked.settle(response(CommandField.C_FIND_RSP, message_id, 0xFE00))
    assert message_id not in invoked


@pytest.mark.parametrize(
    ("field", "message_id", "what"),
    [
        (CommandField.C_ECHO_RSP, 2, "not outstanding"),
        (CommandField.C_STORE_RSP, 1, "C_ECHO_RQ"),
        (CommandField.C_ECHO_RSP, None, "not outstanding"),
    ],
)
def test_responses_to_nothing_asked_are_a_violation(field, message_id, what):
    invoked = InvokedOperations()
    invoked.invoke(CommandField.C_ECHO_RQ)
    with pytest.raises(DimseProtocolViolation, match=what):
        invoked.settle(response(field, message_id))
    assert len(invoked) == 1


def test_a_second_final_response_is_a_violation():
    invoked = InvokedOperations()
    message_id = invoked.invoke(CommandField.C_ECHO_RQ)
    invoked.settle(response(CommandField.C_ECHO_RSP, message_id))
    with pytest.raises(DimseProtocolViolation, match="not outstanding"):
        invoked.settle(response(CommandField.C_ECHO_RSP, message_id))


def test_a_message_id_in_use_is_a_duplicate_invocation():
    performed = RequestedOperations(window=2)
    performed.begin(store(7))
    with pytest.raises(DimseError) as caught:
        performed.begin(store(7))
    assert caught.value.status == Status.DUPLICATE_INVOCATION
    performed.finish(7)
    assert performed.begin(store(7)) == 7


def test_more_than_the_window_is_a_violation():
    performed = RequestedOperations(window=1)
    performed.begin(store(1))
    with pytest.raises(DimseProtocolViolation, match="window of 1"):
        performed.begin(store(2))
    performed.finish(1)
    assert performed.begin(store(2)) == 2
    assert len(performed) == 1


def test_cancelling():
    performed = RequestedOperations(window=0)
    performed.begin(store(1))
    performed.begin(store(2))
    assert performed.cancel(cancel(2))
    assert performed.is_cancelled(2)
    assert not performed.is_cancelled(1)


def test_a_late_cancel_is_ignored():
    """The operation may have finished while the request was under way (PS3.7 §9.3.2.3)."""
    performed = RequestedOperations()
    performed.begin(store(1))
    performed.finish(1)
    assert not performed.cancel(cancel(1))
    performed.begin(store(1))
    assert not performed.is_cancelled(1)


def test_finishing_what_never_began_is_an_error():
    with pytest.raises(KeyError):
        RequestedOperations().finish(1)
