"""Hostile first PDUs: each is answered as the standard says, recorded, and forgotten."""

import struct

import pytest

from pacs_core.upper_layer import decode

# Table 9-10: in Sta2 an invalid or unexpected PDU is AA-1, an A-ABORT of the service user
# (source 0), whose reason is not significant and sent as 0 (PS3.8 §9.3.8).
ABORTED_BEFORE = {
    "http": lambda w: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls client hello": lambda w: bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "zeros": lambda w: bytes(64),
    "length FFFFFFFF": lambda w: struct.pack(">BxI", 1, 0xFFFFFFFF),
    "P-DATA first": lambda w: w.command_pdu(1, w.encode_command(w.echo())),
    "P-DATA of length FFFFFFFF": lambda w: struct.pack(">BxI", 4, 0xFFFFFFFF),
    "release first": lambda w: w.RELEASE_RQ,
    "release response first": lambda w: w.RELEASE_RP,
    "AC first": lambda w: b"\x02" + w.handmade(w.context(1))[1:],
    "RJ first": lambda w: w.reject(1, 1, 1),
    "empty RQ": lambda w: w.pdu(1, b""),
    "RQ of one byte": lambda w: w.pdu(1, b"\0"),
    "RQ cut in its AE titles": lambda w: w.pdu(1, bytes([0, 1, 0, 0]) + b"PACS"),
    "no presentation context": lambda w: w.handmade(),
    "even context": lambda w: w.handmade(w.context(2)),
    "context zero": lambda w: w.handmade(w.context(0)),
    "duplicate context": lambda w: w.handmade(w.context(1), w.context(1)),
    "context without syntaxes": lambda w: w.handmade(w.item(0x20, bytes([1, 0, 0, 0]))),
    "context without transfer syntax": lambda w: w.handmade(
        w.item(0x20, bytes([1, 0, 0, 0]) + w.item(0x30, b"1.2.840.10008.1.1"))
    ),
    "two abstract syntaxes": lambda w: w.handmade(
        w.item(0x20, bytes([1, 0, 0, 0]) + 2 * w.item(0x30, b"1.2") + w.item(0x40, b"1.2"))
    ),
    "sub-item overrun": lambda w: w.handmade(
        w.item(0x20, bytes([1, 0, 0, 0]) + struct.pack(">BxH", 0x30, 500) + b"1.2.840")
    ),
    "item overrun": lambda w: w.handmade(struct.pack(">BxH", 0x20, 0xFFFF)),
    "abstract syntax that is no UID": lambda w: w.handmade(w.context(1, "../../etc/passwd")),
    "abstract syntax of NULs": lambda w: w.handmade(w.context(1, "\0\0\0\0")),
    "transfer syntax of 65 characters": lambda w: w.handmade(w.context(1, transfer="1" * 65)),
    "two application contexts": lambda w: w.handmade(
        w.item(0x10, b"1.2.840.10008.3.1.1.1"), w.context(1)
    ),
    "two user informations": lambda w: w.handmade(w.context(1), w.item(0x50, b"")),
    "user information overrun": lambda w: w.handmade(
        w.context(1), w.item(0x50, struct.pack(">BxH", 0x51, 4))
    ),
    "AE title of controls": lambda w: w.handmade(w.context(1), calling=b"\x1b[2J\r\nPACS"),
    "AE title beyond ASCII": lambda w: w.handmade(w.context(1), called="PÄCS".encode("latin-1")),
    "ten thousand items": lambda w: w.handmade(w.item(0x99, b"") * 10_001, w.context(1)),
    "129 contexts": lambda w: w.handmade(*(w.context(1) for _ in range(129))),
    "role selection overrun": lambda w: w.handmade(
        w.context(1), w.item(0x50, w.item(0x54, struct.pack(">H", 60) + b"1.2"))
    ),
    "user identity overrun": lambda w: w.handmade(
        w.context(1), w.item(0x50, w.item(0x58, bytes([2, 1]) + struct.pack(">H", 60000)))
    ),
}


@pytest.mark.parametrize("name", ABORTED_BEFORE)
def test_invalid_first_pdu_is_aborted(wire, dial, recorded, name):
    """PS3.8 Table 9-10: Sta2, AA-1."""
    peer = dial().send(ABORTED_BEFORE[name](wire))
    assert peer.read_pdu() == wire.abort(0, 0)
    recorded(peer, "association-refused", "aborted by this node")


# What comes along with a good request, in one segment.
PIPELINED = {
    "second request": (lambda w: w.handmade(w.context(1)), (2, 2)),
    "message": (lambda w: w.command_pdu(1, w.encode_command(w.echo())), (2, 2)),
    "release": (lambda w: w.RELEASE_RQ, (2, 2)),
    "garbage": (lambda w: bytes(64), (2, 1)),
}


@pytest.mark.parametrize("name", PIPELINED)
def test_request_with_more_behind_it_is_aborted(wire, dial, recorded, name):
    """PS3.8 Table 9-10: Sta3, AA-8; nothing may follow before the answer."""
    more, abort = PIPELINED[name]
    peer = dial().send(wire.handmade(wire.context(1)), more(wire))
    assert peer.read_abort() == wire.abort(*abort)
    recorded(peer, "association-", "aborted by this node")


def test_request_with_an_abort_behind_it(wire, dial, recorded):
    """PS3.8 Table 9-10: Sta3, AA-3."""
    peer = dial().send(wire.handmade(wire.context(1)), wire.abort(0, 0))
    while peer.read_pdu() is not None:
        pass
    recorded(peer, "association-", "by the peer")


# PS3.8 Table 9-21 and §7.1.1.7.
REJECTED = {
    "version bit clear": (lambda w: w.handmade(w.context(1), version=2), (1, 2, 2), "version"),
    "version zero": (lambda w: w.handmade(version=0), (1, 2, 2), "version"),
    "version 0, garbage follows": (lambda w: w.pdu(1, bytes(4)), (1, 2, 2), "version"),
    "other application context": (
        lambda w: w.handmade(w.context(1), application="1.2.3"),
        (1, 1, 2),
        "application context",
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_unacceptable_request_is_rejected(wire, dial, recorded, name):
    """PS3.8 §9.3.4: result, source and reason; the node leaves closing to the requestor."""
    request, rejection, reason = REJECTED[name]
    peer = dial().send(request(wire))
    assert peer.read_pdu() == wire.reject(*rejection)
    recorded(peer, "association-refused", reason)


# What a strict receiver tolerates: PS3.8 §9.3.1 (unknown items are skipped, other version bits
# are not tested), §9.3.2 (reserved fields are not tested).
TOLERATED = {
    "all version bits": lambda w: w.handmade(w.context(1), version=0xFFFF),
    "unknown items": lambda w: w.handmade(w.item(0x77, b"??"), w.context(1), w.item(0xFF, b"")),
    "called AE title of spaces": lambda w: w.handmade(w.context(1), called=b""),
    "AE title padded with NULs": lambda w: w.handmade(
        w.context(1), called=b"PACS".ljust(16, b"\0"), calling=b"RAW".ljust(16, b"\0")
    ),
    "AE title of spaces and NULs": lambda w: w.handmade(
        w.context(1), called=b"PACS \0  \0", calling=bytes(16)
    ),
    "memory behind an AE title": lambda w: w.handmade(w.context(1), calling=b"RAW\0\xff\x1b[2J"),
    "empty implementation class UID": lambda w: w.handmade(w.context(1), user=w.item(0x52, b"")),
    "implementation class UID that is none": lambda w: w.handmade(
        w.context(1), user=w.item(0x52, b"Acme 1.0")
    ),
    "unsupported contexts only": lambda w: w.handmade(w.context(1, "1.2.3.4")),
    "unknown transfer syntax": lambda w: w.handmade(w.context(1, transfer="1.2.3.4")),
}


@pytest.mark.parametrize("name", TOLERATED)
def test_odd_request_is_accepted(wire, dial, name):
    peer = dial().send(TOLERATED[name](wire))
    answer = peer.read_pdu()
    assert answer is not None
    assert answer[0] == 0x02
    peer.release()


def test_an_ae_title_ends_at_its_first_nul(wire, dial):
    """As C ends it; what is recorded, and what rights depend on, is what stands before it."""
    called, calling = b"PACS\0\0\0\0", b"CT-2 \0garbage"
    request = wire.handmade(wire.context(1), called=called, calling=calling)
    decoded = decode(request)
    assert (decoded.called_ae_title, decoded.calling_ae_title) == ("PACS", "CT-2")
    peer = dial().send(request)
    answer = peer.read_pdu()
    # The answer repeats the title as it was understood (PS3.8 Table 9-17).
    assert answer[10:42] == b"PACS".ljust(16) + b"CT-2".ljust(16)
    peer.release()


def test_context_results(wire, dial):
    """PS3.8 Table 9-18: 3 for the abstract syntax, 4 for the transfer syntaxes."""
    peer = dial().send(
        wire.handmade(wire.context(1), wire.context(3, "1.2.3"), wire.context(5, transfer="1.2"))
    )
    answer = decode(peer.read_pdu())
    assert [(c.id, c.result) for c in answer.presentation_contexts] == [(1, 0), (3, 3), (5, 4)]


def test_maximum_length_one(wire, dial, recorded):
    """A peer that can receive nothing (PS3.8 §D.1) is aborted with the first answer."""
    peer = dial(wire.request(maximum_length=1))
    peer.message(wire.ECHO, wire.echo())
    assert peer.read_pdu() == wire.abort(0, 0)
    recorded(peer, "association-aborted", "maximum PDU length 1")


@pytest.mark.parametrize("maximum", [7, 8, 13])
def test_tiny_maximum_length(wire, dial, maximum):
    """Answers are cut to the peer's Maximum Length, the six bytes of a PDV included."""
    peer = dial(wire.request(maximum_length=maximum))
    peer.message(wire.ECHO, wire.echo())
    sizes, command, last = [], b"", False
    while not last:
        pdu = peer.read_pdu()
        sizes.append(len(pdu) - 6)
        command += pdu[12:]
        last = bool(pdu[11] & 2)
    assert max(sizes) <= maximum
    assert command.endswith(b"\0\x09\x02\0\0\0\0\0")  # Status, 0000H
    peer.release()
