"""The byte stream: cut anywhere, damaged, hostile."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from pacs_core.upper_layer import (
    Abort,
    Aborted,
    DataReceived,
    Limits,
    PDataTF,
    PresentationDataValue,
    ReleaseRP,
    ReleaseRQ,
    Role,
    State,
    UpperLayer,
    encode,
)

values = st.builds(
    PresentationDataValue,
    st.sampled_from([1, 3]),
    st.booleans(),
    st.booleans(),
    st.binary(max_size=30) | st.integers(4000, 9000).map(bytes),
)
stretches = st.one_of(
    st.lists(values, min_size=1, max_size=3).map(lambda v: encode(PDataTF(tuple(v)))),
    st.lists(values, min_size=1, max_size=3).map(lambda v: encode(PDataTF(tuple(v)))),
    st.sampled_from(
        [
            encode(ReleaseRQ()),
            encode(ReleaseRP()),
            encode(Abort(2, 0)),
            b"\x04\0\0\0\0\0",
            b"\x04\0\xff\xff\xff\xff",
            b"\x09\0\0\0\0\x02",
            b"\x04\0\0\0\0\x06\0\0\0\x03\x01\x00",
        ]
    ),
    st.binary(max_size=20),
)


def run(machine, pieces):
    events = [event for piece in pieces for event in machine.receive_data(piece)]
    return events, b"".join(machine.buffers_to_send()), machine.state, machine.must_close


def cut(stream, places):
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(bounds)]


@given(st.lists(stretches, max_size=8), st.lists(st.integers(0, 100_000), max_size=20))
@pytest.mark.parametrize("state", ["Sta2", "Sta6", "Sta7", "Sta13"])
def test_how_the_stream_is_cut_does_not_matter(machine_in, request_pdu, state, parts, places):
    stream = b"".join(parts)
    if state == "Sta2" and places:
        stream = encode(request_pdu) + stream
    whole = run(machine_in(Role.ACCEPTOR, state), [stream])
    assert run(machine_in(Role.ACCEPTOR, state), cut(stream, places)) == whole
    if len(stream) < 3000:
        single = [stream[at : at + 1] for at in range(len(stream))]
        assert run(machine_in(Role.ACCEPTOR, state), single) == whole


@given(st.binary(min_size=6))
def test_garbage_ends_in_abort_or_waits_for_more(place, machine_in, garbage):
    machine = machine_in(*place)
    events = machine.receive_data(garbage)
    aborted = any(isinstance(event, Aborted) for event in events)
    output = b"".join(machine.buffers_to_send())
    if aborted and machine.state is State.Sta13:
        assert output.startswith(b"\x07\0\0\0\0\x04")
    if garbage[0] not in range(1, 8) and place[1] not in ("Sta1", "Sta4"):
        assert machine.state is State.Sta13
        assert output.startswith(b"\x07")
    machine.receive_eof()
    assert machine.must_close


FOREIGN = {
    b"\x16\x03\x01\x02\x00\x01": "TLS",
    b"GET / HTTP/1.1\r\n": "HTTP",
    b"OPTIONS * HTTP/1.1\r\n": "HTTP",
    b"\x0bMSH|^~\\&|": "HL7 v2",
}


@pytest.mark.parametrize(("first", "protocol"), FOREIGN.items(), ids=str)
def test_another_protocol_is_named(machine_in, first, protocol):
    """So that whoever has given a wrong port finds it in the log of the one that was called."""
    (event,), output, _, _ = run(machine_in(Role.ACCEPTOR, "Sta2"), [first])
    assert f"as if of {protocol}, which is not spoken on this port" in event.detail
    assert output == encode(Abort(0, 0))  # AA-1: before there is an association


OVERSIZED = {
    "P-DATA-TF": (b"\x04\0" + (101).to_bytes(4, "big"), 6),
    "P-DATA-TF of 4 GiB": (b"\x04\0\xff\xff\xff\xff", 6),
    "A-ASSOCIATE-RQ": (b"\x01\0" + (5001).to_bytes(4, "big"), 6),
    "A-ASSOCIATE-AC": (b"\x02\0" + (5001).to_bytes(4, "big"), 6),
    "A-ABORT": (b"\x07\0\0\0\0\x05", 6),
    "unknown type": (b"\x7f\0\0\0\0\0", 1),
}


@pytest.mark.parametrize(("header", "reason"), OVERSIZED.values(), ids=OVERSIZED)
@pytest.mark.parametrize("at_once", [True, False])
def test_caps_are_enforced_on_the_header_alone(machine_in, header, reason, at_once):
    limits = Limits(max_pdu_length=100, max_associate_pdu_length=5000)
    machine = machine_in(Role.ACCEPTOR, "Sta6", limits)
    pieces = [header] if at_once else [header[:5], header[5:]]
    events, output, state, _ = run(machine, pieces)
    [event] = events
    assert (event.source, event.reason, event.by_peer) == (2, reason, False)
    assert event.detail
    assert output == encode(Abort(2, reason))
    assert state is State.Sta13
    assert machine.receive_data(encode(Abort(0, 0))) == []
    assert b"".join(machine.buffers_to_send()) == b""


def test_the_largest_allowed_pdu_is_taken(machine_in):
    machine = machine_in(Role.ACCEPTOR, "Sta6", Limits(max_pdu_length=100))
    pdu = PDataTF((PresentationDataValue(1, False, True, bytes(94)),))
    assert machine.receive_data(encode(pdu)) == [DataReceived(pdu.pdvs)]


def test_values_within_one_read_are_not_copied(machine_in):
    machine = machine_in(Role.ACCEPTOR, "Sta6")
    read = encode(PDataTF((PresentationDataValue(1, False, True, b"x" * 5000),))) * 2
    for event in machine.receive_data(read):
        assert event.pdvs[0].data.obj is read


@pytest.mark.parametrize("kind", [bytearray, lambda b: memoryview(bytearray(b))])
def test_values_outlive_the_readers_buffer(machine_in, kind):
    machine = machine_in(Role.ACCEPTOR, "Sta6")
    encoded = encode(PDataTF((PresentationDataValue(1, False, True, b"x" * 5000),)))
    for piece in (encoded, encoded[:4500], encoded[4500:]):
        buffer = kind(piece)
        events = machine.receive_data(buffer)
        buffer[:] = bytes(len(piece))
    assert events[0].pdvs[0].data == b"x" * 5000
    assert events[0].pdvs[0].data.readonly


def test_many_tiny_reads_do_not_cost_many_times_their_size(machine_in):
    machine = machine_in(Role.ACCEPTOR, "Sta6")
    encoded = encode(PDataTF((PresentationDataValue(1, False, True, bytes(100_000)),)))
    pieces = [encoded[at : at + 2] for at in range(0, len(encoded) - 2, 2)]
    tracemalloc.start()
    try:
        for piece in pieces:
            assert machine.receive_data(piece) == []
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * len(encoded)


def test_memory_is_freed_when_idle(machine_in):
    machine = machine_in(Role.ACCEPTOR, "Sta6")
    encoded = encode(PDataTF((PresentationDataValue(1, False, True, bytes(100_000)),)))
    read = encoded + encoded[:10]
    tracemalloc.start()
    try:
        machine.receive_data(bytes(bytearray(read)))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 10_000


def test_a_machine_before_its_connection_ignores_bytes():
    assert UpperLayer(Role.ACCEPTOR).receive_data(b"\x7f" * 10) == []
