"""Peers that say nothing, take nothing, or one byte at a time: a timeout ends each of them."""

import socket
import struct
import time
from contextlib import suppress
from threading import Thread

import pytest
from anyio.abc import SocketAttribute

from pacs_core.association import Proposal, connect
from pacs_core.contracts import Origin
from pacs_core.dimse import Command, CommandField
from pacs_core.upper_layer import RoleSelection

UID = "1.2.826.0.1.1.1"


@pytest.fixture(scope="module")
def tables():
    """Short timeouts; what is not to time out must take no waiting in these tests."""
    timeouts = {"artim": 0.4, "dimse": 0.6, "idle": 1.0, "write": 0.5, "shutdown": 1.0}
    return {"network": {"timeouts": timeouts}}


def _echo(w) -> bytes:
    return w.command_pdu(w.ECHO, w.encode_command(w.echo()))


def _drain(peer) -> bytes:
    """Return all that comes before the connection ends."""
    data = b""
    while (chunk := peer.read_exactly(1)) is not None:
        data += chunk
    return data


# PS3.8 §9.1.5 and Table 9-10, Sta2, Evt18: AA-2 closes the connection, without a PDU.
UNFINISHED = {
    "nothing": lambda w: b"",
    "one byte": lambda w: b"\x01",
    "a header": lambda w: w.handmade(w.context(1))[:6],
    "half a request": lambda w: w.handmade(w.context(1))[:100],
    "all but the last byte": lambda w: w.handmade(w.context(1))[:-1],
}


@pytest.mark.parametrize("name", UNFINISHED)
def test_request_that_does_not_come(wire, dial, recorded, name):
    peer = dial().send(UNFINISHED[name](wire))
    assert _drain(peer) == b""
    recorded(peer, "association-refused", "ARTIM")


def test_request_that_dribbles_in(wire, dial, recorded):
    """ARTIM is for the whole first PDU: bytes now and then do not prolong it."""
    peer = dial()

    def dribble() -> None:
        try:
            for byte in wire.handmade(wire.context(1)):
                peer.socket.sendall(bytes([byte]))
                time.sleep(0.02)
        except OSError:
            pass

    dribbling = Thread(target=dribble)
    dribbling.start()
    assert _drain(peer) == b""
    dribbling.join()
    recorded(peer, "association-refused", "ARTIM")


def test_rejected_peer_that_stays(wire, dial, recorded):
    """PS3.8 Table 9-10, Sta13, Evt18: AA-2."""
    peer = dial().send(wire.handmade(wire.context(1), version=2))
    assert _drain(peer) == wire.reject(1, 2, 2)
    recorded(peer, "association-refused", "version")


def test_aborted_peer_that_stays(wire, dial, recorded):
    peer = dial(wire.request()).send(wire.RELEASE_RP)
    assert _drain(peer) == wire.abort(2, 2)
    recorded(peer, "association-aborted", "Sta6")


def test_violating_peer_that_stays_and_talks(wire, dial, recorded):
    peer = dial(wire.request()).send(wire.dataset_pdus(wire.STORE, b"xx"))
    peer.send(_echo(wire) * 10)
    assert _drain(peer) == wire.abort(2, 6)
    recorded(peer, "association-aborted", "without a complete command")


def test_released_peer_that_stays(wire, dial):
    peer = dial(wire.request()).send(wire.RELEASE_RQ)
    assert _drain(peer) == wire.RELEASE_RP


# PS3.8 §9.3.8 names no reason for these: source 2, reason 0, not specified.
SILENT = {
    "idle": lambda w: b"",
    "half a PDU": lambda w: _echo(w)[:20],
    "half a command": lambda w: w.pdu(4, w.pdv(1, 1, b"\0\0\0\0")),
    "no dataset": lambda w: w.command_pdu(w.STORE, w.encode_command(w.store(UID))),
    "half a dataset": lambda w: (
        w.command_pdu(w.STORE, w.encode_command(w.store(UID)))
        + w.dataset_pdus(w.STORE, w.instance(UID, size=500_000), last=False)
    ),
    "half a PDU of the dataset": lambda w: (
        w.command_pdu(w.STORE, w.encode_command(w.store(UID)))
        + w.dataset_pdus(w.STORE, w.instance(UID, size=10_000))[:-100]
    ),
    "half an identifier": lambda w: (
        w.command_pdu(w.FIND, w.encode_command(w.query(CommandField.C_FIND_RQ)))
        + w.dataset_pdus(w.FIND, w.dataset(QueryRetrieveLevel="STUDY"), last=False)
    ),
    "refused, then half a dataset": lambda w: (
        w.command_pdu(w.STORE, w.encode_command(w.store(UID, sop_class=w.MR)))
        + w.dataset_pdus(w.STORE, b"12", last=False)
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_peer_that_falls_silent(wire, dial, recorded, name):
    peer = dial(wire.request()).send(SILENT[name](wire))
    assert peer.read_abort() == wire.abort(2, 0)
    recorded(peer, "association-aborted", "said nothing for too long")


def test_pdu_that_dribbles_in(wire, dial, recorded):
    """Bytes of a PDU now and then are no sign of life: only whole ones are."""
    peer = dial(wire.request())

    def dribble() -> None:
        try:
            for byte in _echo(wire):
                peer.socket.sendall(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            pass

    dribbling = Thread(target=dribble)
    dribbling.start()
    assert peer.read_abort() == wire.abort(2, 0)
    dribbling.join()
    recorded(peer, "association-aborted", "said nothing for too long")


# --- peers that do not read


@pytest.fixture
def archived(shared_node, wire):
    """A study of a few megabytes, which is gone again before the node is looked at."""
    uids = [f"1.2.826.0.9.{number}" for number in range(4)]

    async def store() -> None:
        proposals = [Proposal(wire.CT, (wire.EXPLICIT,))]
        async with connect(shared_node.peer, proposals) as association:
            for uid in uids:
                dataset = wire.instance(uid, size=4 << 20)
                assert (await association.c_store(wire.CT, uid, dataset)).status == 0x0000

    async def delete() -> None:
        for uid in uids:
            await shared_node.node.opened.archive.delete(uid, Origin("test"))

    shared_node.call(store)
    yield uids
    shared_node.call(delete)


def _deaf(dial, wire, node, **user):
    """A peer that does not read, with little room in the buffers between it and the node."""
    for listener in node.node.listener._listeners:
        raw = listener.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # connections inherit it
    peer = dial()
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.associate(wire.request(**user))
    return peer


def test_c_get_that_is_not_read(archived, wire, dial, recorded, node, still_serves):
    """A C-GET whose requestor does not read ends by the write timeout; others go on meanwhile."""
    peer = _deaf(dial, wire, node, roles=(RoleSelection(wire.CT, scu=True, scp=True),))
    identifier = wire.dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.826.0.1")
    peer.message(wire.GET, wire.query(CommandField.C_GET_RQ), identifier)
    still_serves(node)
    port = peer.port
    recorded(port, "association-aborted", "took nothing for too long")


def test_answers_that_are_not_read(wire, dial, recorded, node, still_serves):
    """Requests without end from a peer that reads no answer."""
    peer = _deaf(dial, wire, node)
    port = peer.port
    flood = _echo(wire) * 20_000
    with suppress(ConnectionError):
        peer.send(flood)
    still_serves(node)
    recorded(port, "association-aborted", "took nothing for too long")


def test_c_get_whose_sub_operations_are_not_answered(archived, wire, dial, recorded):
    """The DIMSE timeout is for responses to our own requests as well."""
    peer = dial(wire.request(roles=(RoleSelection(wire.CT, scu=True, scp=True),)))
    identifier = wire.dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.826.0.1")
    peer.message(wire.GET, wire.query(CommandField.C_GET_RQ), identifier)
    assert peer.response()[0].field is CommandField.C_STORE_RQ
    assert peer.read_abort() == wire.abort(2, 0)
    recorded(peer, "association-aborted", "said nothing for too long")


def test_two_c_gets_whose_sub_operations_are_not_answered(archived, wire, dial, recorded):
    """More at once than was agreed must not make the node wait for answers it does not read."""
    peer = dial(wire.request(roles=(RoleSelection(wire.CT, scu=True, scp=True),)))
    identifier = wire.dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.826.0.1")
    for message_id in (1, 2, 3):
        peer.message(wire.GET, wire.query(CommandField.C_GET_RQ, message_id), identifier)
    assert peer.read_abort() == wire.abort(2, 0)
    recorded(peer, "association-aborted", "said nothing for too long")


def test_c_get_that_answers_another_message(archived, wire, dial, recorded):
    """PS3.7 §9.1.1.1.2: a response to a message ID that was never used."""
    peer = dial(wire.request(roles=(RoleSelection(wire.CT, scu=True, scp=True),)))
    identifier = wire.dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.826.0.1")
    peer.message(wire.GET, wire.query(CommandField.C_GET_RQ), identifier)
    request, _ = peer.response()
    response = Command(
        field=CommandField.C_STORE_RSP,
        message_id_being_responded_to=request.message_id + 100,
        status=0,
    )
    peer.message(wire.STORE, response)
    assert peer.read_abort() == wire.abort(2, 6)
    recorded(peer, "association-aborted", "not outstanding")


def test_others_are_served_while_some_stall(wire, dial, node, still_serves, recorded):
    """Three stall within a dataset, one within a command; a fifth gets its answers."""
    stalled = [dial(wire.request()) for _ in range(4)]
    for number, peer in enumerate(stalled[:3]):
        peer.message(wire.STORE, wire.store(f"1.2.{number}"))
        part = wire.instance(f"1.2.{number}", size=1 << 20)
        peer.send(wire.dataset_pdus(wire.STORE, part, last=False))
    stalled[3].send(struct.pack(">BxI", 4, 1000))
    peer = dial(wire.request())
    response, _ = peer.message(wire.STORE, wire.store(UID), b"").response()
    assert response.status == 0xC000
    peer.release()
    for peer in stalled:
        recorded(peer, "association-aborted")
