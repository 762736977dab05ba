"""Cutting messages to the peer's maximum length (PS3.8 §D.1 and Annex E)."""

import pytest
from hypothesis import given, strategies as st

from pacs_core.upper_layer import LocalProtocolError, PDataTF, encode, fragment, fragment_size

messages = st.integers(0, 60).map(lambda size: bytes(range(size)))


@given(messages, st.integers(7, 40), st.booleans())
def test_fragments_fit_and_join_again(data, maximum, is_command):
    values = list(fragment(5, is_command, data, maximum))
    assert b"".join(value.data for value in values) == data
    assert all(len(encode(PDataTF((value,)))) - 6 <= maximum for value in values)
    assert [value.is_last for value in values] == [False] * (len(values) - 1) + [True]
    assert {(value.context_id, value.is_command) for value in values} == {(5, is_command)}
    assert all(value.data for value in values) == bool(data)


@given(messages, st.integers(8, 40))
def test_all_but_the_last_have_even_length(data, maximum):
    assert all(len(v.data) % 2 == 0 for v in list(fragment(1, False, data, maximum))[:-1])


def test_unlimited_is_bounded():
    first, second = fragment(1, False, bytes(131072), 0)
    assert (len(first.data), len(second.data)) == (131066, 6)


@pytest.mark.parametrize("maximum", [1, 6])
def test_no_room_for_data(maximum):
    with pytest.raises(LocalProtocolError, match="no room"):
        fragment(1, False, b"", maximum)


def test_the_smallest_useful_maximum():
    assert fragment_size(7) == 1


def test_nothing_is_copied():
    data = bytearray(b"0123456789")
    assert all(value.data.obj is data for value in fragment(1, False, data, 10))


def test_a_message_may_come_in_parts():
    [value] = fragment(1, False, b"1234", 100, is_last=False)
    assert not value.is_last
