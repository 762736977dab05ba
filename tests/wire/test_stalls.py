"""Peers that say nothing, take nothing, or one byte at a time: a timeout ends each of them."""

import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from threading import Thread

import pytest

from pacs_core.association import Proposal, connect
from pacs_core.contracts import Archive, Level, Origin, Query, UidList
from pacs_core.dataset import tag_of
from pacs_core.dimse import Command, CommandField
from pacs_core.upper_layer import RoleSelection

UID = "1.2.826.0.1.1.1"


@pytest.fixture(scope="module")
def tables():
    """Short timeouts; what is not to time out must take no waiting in these tests."""
    timeouts = {"artim": 0.4, "dimse": 0.6, "idle": 1.0, "write": 0.5, "shutdown": 1.0}
    return {"network": {"timeouts": timeouts}, "archive": {"durability": "none"}}


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


async def _delete(archive: Archive, uids: Iterable[str]) -> None:
    query = Query(Level.IMAGE, (UidList(tag_of("SOPInstanceUID"), tuple(uids)),))
    for path in [instance.identity.path async for instance in archive.instances(query)]:
        await archive.delete(path, Origin("test"))


def _keep(node, wire, instances: dict[str, bytes]):
    """Store instances; they are gone again before the next test."""

    async def store() -> None:
        async with connect(node.peer, [Proposal(wire.CT, (wire.EXPLICIT,))]) as association:
            for uid, dataset in instances.items():
                assert (await association.c_store(wire.CT, uid, dataset)).status == 0x0000

    async def delete() -> None:
        await _delete(node.node.opened.archive, instances)

    node.call(store)
    yield
    node.call(delete)


@pytest.fixture
def archived(shared_node, wire):
    """A study of a few megabytes."""
    uids = [f"1.2.826.0.9.{number}" for number in range(4)]
    yield from _keep(shared_node, wire, {u: wire.instance(u, size=4 << 20) for u in uids})


@pytest.fixture
def many(shared_node, wire):
    """A study whose matches fill more than the buffers."""
    uids = [f"1.2.826.0.9.{number}" for number in range(500)]
    yield from _keep(shared_node, wire, {u: wire.instance(u) for u in uids})


def _deaf(dial, wire, node, **user):
    """A peer that does not read, with little room in the buffers between it and the node."""
    for listening in node.node.listener._sockets:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # connections inherit it
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


def test_c_find_that_is_not_read(many, wire, dial, recorded, node, still_serves):
    """Matches that nobody takes wait in the index, not in memory; the write timeout ends it."""
    peer = _deaf(dial, wire, node)
    identifier = wire.dataset(
        QueryRetrieveLevel="IMAGE",
        StudyInstanceUID="1.2.826.0.1",
        SeriesInstanceUID="1.2.826.0.1.1",
        SOPInstanceUID="",
        SOPClassUID="",
    )
    peer.message(wire.FIND, wire.query(CommandField.C_FIND_RQ), identifier)
    still_serves(node)
    recorded(peer.port, "association-aborted", "took nothing for too long")


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


@pytest.fixture
def forgotten(shared_node):
    """Collect UIDs whose instances are gone again before the next test."""
    uids: list[str] = []
    yield uids

    async def delete() -> None:
        await _delete(shared_node.node.opened.archive, uids)

    shared_node.call(delete)


def _stalled(dial, wire, number: int):
    """A peer that has sent a megabyte of a dataset, and says no more."""
    peer = dial(wire.request()).message(wire.STORE, wire.store(f"1.2.{number}"))
    part = wire.instance(f"1.2.{number}", size=1 << 20)
    return peer.send(wire.dataset_pdus(wire.STORE, part, last=False))


def test_others_store_while_some_stall(shared_node, wire, forgotten, raw_dial):
    """Three stall within a dataset, one within a header; a fifth stores, and finds."""
    stalled = [_stalled(raw_dial, wire, number) for number in range(3)]
    stalled.append(raw_dial(wire.request()).send(struct.pack(">BxI", 4, 1000)))
    peer = raw_dial(wire.request())
    for number in range(10):
        uid = f"1.2.826.0.7.{number}"
        response, _ = peer.message(wire.STORE, wire.store(uid), wire.instance(uid)).response()
        assert response.status == 0x0000
        forgotten.append(uid)
    query = wire.query(CommandField.C_FIND_RQ)
    identifier = wire.dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.826.0.1")
    responses = peer.message(wire.FIND, query, identifier)
    assert [responses.response()[0].status for _ in range(2)] == [0xFF00, 0x0000]
    peer.release()
    assert [peer.read_abort() for peer in stalled] == [wire.abort(2, 0)] * 4
