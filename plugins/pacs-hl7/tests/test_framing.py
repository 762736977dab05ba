"""MLLP: frames however they come."""

from itertools import chain

import pytest
from hypothesis import given, strategies as st
from pacs_hl7.framing import Deframer, FramingError, frame

CONTENT = st.binary(max_size=50).map(lambda data: data.translate(None, b"\x0b\x1c"))


@given(st.lists(CONTENT, max_size=5), st.binary(max_size=20), st.data())
def test_messages_come_out_as_they_went_in_however_they_are_cut(messages, gap, data):
    gap = gap.translate(None, b"\x0b\x1c")
    stream = gap + b"".join(frame(message) + gap for message in messages)
    deframer, found = Deframer(50), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += deframer.feed(stream[:size])
        stream = stream[size:]
    assert found == messages
    assert not deframer.is_within


@pytest.mark.parametrize(
    "stream",
    [
        b"\x0b" + b"x" * 100,
        b"\x0b" + b"x" * 51 + b"\x1c\r",
        b"GET / HTTP/1.1\r\n" * 100,
    ],
    ids=["endless", "long", "no MLLP"],
)
def test_what_is_too_long_ends(stream):
    deframer = Deframer(50)
    pieces = [stream[start : start + 7] for start in range(0, len(stream), 7)]
    with pytest.raises(FramingError):
        list(chain.from_iterable(map(deframer.feed, pieces)))


def test_the_last_return_may_be_missing():
    assert list(Deframer(50).feed(b"\x0ba\x1c\x0bb\x1c\r\n\x0bc\x1c")) == [b"a", b"b", b"c"]
