"""Hostile PDUs and messages on an established association: A-ABORT, or a status."""

import struct

import pytest
from attrs import evolve

from pacs_core.dimse import Command, CommandField
from pacs_core.upper_layer import AsynchronousOperations

UNRECOGNIZED, UNEXPECTED, INVALID = 1, 2, 6
"""Reasons of an A-ABORT by the service provider (PS3.8 §9.3.8)."""


def _echo(w) -> bytes:
    return w.encode_command(w.echo())


# PS3.8 Table 9-10: in Sta6 these are AA-8, an A-ABORT of the service provider (source 2).
ABORTED = {
    "second A-ASSOCIATE-RQ": (lambda w: w.handmade(w.context(1)), UNEXPECTED, "Sta6"),
    "A-ASSOCIATE-AC": (
        lambda w: b"\x02" + w.handmade(w.item(0x21, bytes([1, 0, 3, 0])))[1:],
        UNEXPECTED,
        "Sta6",
    ),
    "A-ASSOCIATE-RJ": (lambda w: w.reject(1, 1, 1), UNEXPECTED, "Sta6"),
    "A-RELEASE-RP": (lambda w: w.RELEASE_RP, UNEXPECTED, "Sta6"),
    "unknown PDU type": (lambda w: w.pdu(0x08, bytes(4)), UNRECOGNIZED, "unknown"),
    "http": (lambda w: b"GET / HTTP/1.1\r\n\r\n", UNRECOGNIZED, "unknown"),
    "PDU length FFFFFFFF": (lambda w: w.pdu(4, b"", 0xFFFFFFFF), INVALID, "above"),
    "PDU longer than agreed": (lambda w: w.pdu(4, bytes(131073)), INVALID, "above"),
    "release of 2 GB": (lambda w: w.pdu(5, b"", 0x80000000), INVALID, "above"),
    "P-DATA without values": (lambda w: w.pdu(4, b""), INVALID, "no presentation data value"),
    "PDV header cut": (lambda w: w.pdu(4, bytes([0, 0, 0])), INVALID, "no item header"),
    "PDV overrun": (lambda w: w.pdu(4, w.pdv(1, 3, _echo(w), 5000)), INVALID, "length 5000"),
    "PDV length 0": (lambda w: w.pdu(4, w.pdv(1, 3, b"", 0)), INVALID, "length 0"),
    "PDV length 1": (lambda w: w.pdu(4, w.pdv(1, 3, b"", 1)), INVALID, "length 1"),
    "PDV length FFFFFFFF": (
        lambda w: w.pdu(4, w.pdv(1, 3, _echo(w), 0xFFFFFFFF)),
        INVALID,
        "length 4294967295",
    ),
    "PDV length FFFFFFFC, which wraps": (
        lambda w: w.pdu(4, w.pdv(1, 3, _echo(w), 0xFFFFFFFC)),
        INVALID,
        "length 4294967292",
    ),
    "2000 PDVs": (lambda w: w.pdu(4, w.pdv(1, 1, b"") * 2000), INVALID, "more than"),
    "even context": (lambda w: w.command_pdu(2, _echo(w)), INVALID, "not odd"),
    "context that was not accepted": (
        lambda w: w.command_pdu(w.MISSING, _echo(w)),
        INVALID,
        "not accepted",
    ),
    "context that was not proposed": (lambda w: w.command_pdu(255, _echo(w)), INVALID, "accepted"),
    "dataset before command": (
        lambda w: w.dataset_pdus(w.STORE, bytes(10)),
        INVALID,
        "without a complete command",
    ),
    "dataset within a command": (
        lambda w: w.pdu(4, w.pdv(3, 1, _echo(w)[:20])) + w.pdu(4, w.pdv(3, 0, b"")),
        INVALID,
        "without a complete command",
    ),
    "command within a dataset": (
        lambda w: w.command_pdu(3, w.encode_command(w.store("1.2"))) + w.command_pdu(3, _echo(w)),
        INVALID,
        "before the data set",
    ),
    "message within a message": (
        lambda w: w.pdu(4, w.pdv(1, 1, _echo(w)[:20])) + w.command_pdu(3, _echo(w)),
        INVALID,
        "within a message",
    ),
    "garbage command": (lambda w: w.command_pdu(1, b"garbage!" * 8), INVALID, "group 0000"),
    "empty command": (lambda w: w.command_pdu(1, b""), INVALID, "command field"),
    "command cut": (lambda w: w.command_pdu(1, _echo(w)[:-1]), INVALID, "exceeds"),
    "command element overrun": (
        lambda w: w.command_pdu(1, struct.pack("<HHI", 0, 2, 0xFFFFFFFF)),
        INVALID,
        "exceeds",
    ),
    "elements out of order": (
        lambda w: w.command_pdu(1, _echo(w)[12:] + _echo(w)[:12]),
        INVALID,
        "ascending",
    ),
    "wrong group length": (
        lambda w: w.command_pdu(1, struct.pack("<HHII", 0, 0, 4, 500) + _echo(w)[12:]),
        INVALID,
        "group length",
    ),
    "unknown command field": (
        lambda w: w.command_pdu(
            1, _echo(w).replace(b"\0\x01\x02\0\0\0\x30\0", b"\0\x01\x02\0\0\0\x99\0")
        ),
        INVALID,
        "command field",
    ),
    "oversize command": (
        lambda w: w.pdu(4, w.pdv(1, 1, bytes(40000))) + w.pdu(4, w.pdv(1, 1, bytes(40000))),
        INVALID,
        "command set of more than",
    ),
    "response to nothing": (
        lambda w: w.command_pdu(
            3,
            w.encode_command(
                Command(field=CommandField.C_STORE_RSP, message_id_being_responded_to=1, status=0)
            ),
        ),
        INVALID,
        "not outstanding",
    ),
}


@pytest.mark.parametrize("name", ABORTED)
def test_violation_is_aborted(wire, dial, recorded, name):
    """PS3.8 §9.3.8: source 2, and the reason."""
    hostile, reason, text = ABORTED[name]
    peer = dial(wire.request()).send(hostile(wire))
    assert peer.read_abort() == wire.abort(2, reason)
    recorded(peer, "association-aborted", text)


def test_abort_of_the_peer_is_recorded(wire, dial, recorded):
    """PS3.8 §9.3.8: AA-3, the connection is closed and nothing is answered."""
    peer = dial(wire.request()).send(wire.abort(2, 5))
    assert peer.read_pdu() is None
    recorded(peer, "association-aborted", "by the peer (source 2, reason 5)")


def test_abort_before_negotiation(wire, dial):
    """Table 9-10: Sta2, AA-2; nothing was asked for, so there is nothing to record."""
    peer = dial().send(wire.abort(0, 0))
    assert peer.read_pdu() is None


def test_release_in_the_middle_of_a_message(wire, dial, node):
    """A release is answered whatever is unfinished (PS3.8 §7.2); half a message means nothing."""
    peer = dial(wire.request())
    peer.message(wire.STORE, wire.store("1.2.3"))
    peer.send(wire.dataset_pdus(wire.STORE, wire.instance("1.2.3"), last=False))
    peer.release()


def test_two_releases_in_one_segment(wire, dial, recorded):
    """Table 9-10: in Sta8 an A-RELEASE-RQ is AA-8."""
    peer = dial(wire.request()).send(wire.RELEASE_RQ * 2)
    assert peer.read_abort() == wire.abort(2, UNEXPECTED)
    recorded(peer, "association-aborted", "Sta8")


# --- requests that are answered, after which the association goes on


# PS3.7 §9.1.1.1.9 and Annex C.
REFUSED = {
    "SOP Instance UID with a path": (lambda w: w.store("../../x"), 0x0117),
    "absolute path": (lambda w: w.store("/etc/passwd"), 0x0117),
    "UID with NUL inside": (lambda w: w.store("1.2\0.3"), 0x0117),
    "UID of 65 characters": (lambda w: w.store("1." + "2" * 63), 0x0117),
    "UID with empty component": (lambda w: w.store("1..2"), 0x0117),
    "UID of dots": (lambda w: w.store(".."), 0x0117),
    "UID with SQL": (lambda w: w.store("1'; DROP TABLE instances;--"), 0x0117),
    "SOP class of another context": (lambda w: w.store("1.2.3", sop_class=w.MR), 0x0122),
    "SOP class that is no UID": (lambda w: w.store("1.2.3", sop_class="x"), 0x0122),
    "C-FIND in a storage context": (
        lambda w: evolve(w.query(CommandField.C_FIND_RQ), affected_sop_class_uid=w.CT),
        0x0211,
    ),
}


def _raw_command(command: Command) -> bytes:
    """Encode a request with a dataset and whatever UIDs (PS3.7 §6.3.1)."""

    def element(number: int, value: str | int | None) -> bytes:
        if value is None:
            return b""
        data = value.encode() if isinstance(value, str) else struct.pack("<H", value)
        data += b"\0" * (len(data) % 2)
        return struct.pack("<HHI", 0, number, len(data)) + data

    body = b"".join(
        (
            element(0x0002, command.affected_sop_class_uid),
            element(0x0100, command.field),
            element(0x0110, command.message_id),
            element(0x0700, 0),
            element(0x0800, 1),
            element(0x1000, command.affected_sop_instance_uid),
        )
    )
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


@pytest.mark.parametrize("name", REFUSED)
def test_request_is_refused(wire, dial, name):
    """The status of PS3.7 Annex C; nothing is stored, and the association goes on."""
    make, status = REFUSED[name]
    command = make(wire)
    peer = dial(wire.request())
    peer.send(wire.command_pdu(wire.STORE, _raw_command(command)))
    peer.send(wire.dataset_pdus(wire.STORE, wire.instance("1.2.3")))
    response, _ = peer.response()
    assert response.status == status
    assert response.message_id_being_responded_to == command.message_id
    assert peer.message(wire.ECHO, wire.echo()).response()[0].status == 0x0000
    peer.release()


def test_missing_arguments(wire, dial):
    """A C-STORE-RQ without its UIDs: an answer that names them (PS3.7 §C.5)."""
    peer = dial(wire.request())
    body = b"".join(
        struct.pack("<HHI", 0, number, 2) + struct.pack("<H", value)
        for number, value in ((0x0100, 1), (0x0110, 7), (0x0800, 0x0101))
    )
    peer.send(wire.command_pdu(wire.STORE, struct.pack("<HHII", 0, 0, 4, len(body)) + body))
    response, _ = peer.response()
    assert response.message_id_being_responded_to == 7
    assert response.status in (0x0120, 0x0212)
    assert {0x00000002, 0x00001000} <= set(response.offending_element)
    peer.release()


def test_cancel_of_unknown_message_is_ignored(wire, dial):
    """PS3.7 §9.3.2.3: there is nothing to answer, it came too late."""
    peer = dial(wire.request())
    cancel = Command(field=CommandField.C_CANCEL_RQ, message_id_being_responded_to=4711)
    peer.message(wire.FIND, cancel)
    assert peer.message(wire.ECHO, wire.echo()).response()[0].status == 0x0000
    peer.release()


def test_message_id_in_use(wire, dial):
    """0210H Duplicate invocation (PS3.7 §C.5) while the first is outstanding."""
    window = AsynchronousOperations(4, 4)
    peer = dial(wire.request(asynchronous_operations=window))
    query = wire.query(CommandField.C_FIND_RQ, message_id=5)
    # The first can only begin once its identifier is whole, so it is outstanding meanwhile.
    identifier = wire.dataset(QueryRetrieveLevel="STUDY", PatientID="")
    burst = [wire.command_pdu(wire.FIND, wire.encode_command(query))]
    burst.append(wire.dataset_pdus(wire.FIND, identifier))
    peer.send(*burst, *burst)
    first, second = peer.response()[0], peer.response()[0]
    assert {first.status, second.status} == {0x0000, 0x0210}
    peer.release()


def _gets(wire, count: int) -> bytes:
    identifier = wire.dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")
    get = wire.query(CommandField.C_GET_RQ)
    return b"".join(
        wire.command_pdu(wire.GET, wire.encode_command(evolve(get, message_id=number)))
        + wire.dataset_pdus(wire.GET, identifier)
        for number in range(1, count + 1)
    )


def test_a_few_requests_beyond_the_window(wire, dial):
    """Requests that do not wait for answers are bad manners, but harmless."""
    peer = dial(wire.request()).send(_gets(wire, 8))
    answered = {peer.response()[0].message_id_being_responded_to for _ in range(8)}
    assert answered == set(range(1, 9))
    peer.release()


def test_flood_of_requests_beyond_the_window(wire, dial, recorded):
    """PS3.7 §D.3.3.3: one at a time was agreed."""
    peer = dial(wire.request()).send(_gets(wire, 200))
    assert peer.read_abort() == wire.abort(2, INVALID)
    recorded(peer, "association-aborted", "operations at once, 1 were negotiated")


def test_flood_of_refused_requests(wire, dial):
    """Answers that a peer does not read bound what it may ask for; all come in the end."""
    peer = dial(wire.request())
    command = _raw_command(wire.store("../../x"))
    request = wire.command_pdu(wire.STORE, command) + wire.dataset_pdus(wire.STORE, b"")
    for _ in range(20):
        peer.send(request * 100)
        assert {peer.response()[0].status for _ in range(100)} == {0x0117}
    peer.release()
