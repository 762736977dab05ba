"""Our requestor against servers that misbehave: no wait is endless, and errors say what was."""

import socket
from threading import Event

import anyio
import pytest

from pacs_core.association import (
    AssociationAbortedError,
    AssociationError,
    AssociationRefusedError,
    ConnectError,
    PeerTimeoutError,
    connect,
)
from pacs_core.contracts import Peer
from pacs_core.dimse import CommandField
from pacs_core.upper_layer import (
    AssociateAC,
    ContextResult,
    RoleSelection,
    UserInformation,
    encode,
)

from .requestor import ACCEPTED, ECHO, SHORT, VERIFICATION, echo

pytestmark = pytest.mark.anyio


# --- before the association


@pytest.mark.parametrize("class_uid", [b"", bytes(4), b"Acme 1.0"])
async def test_an_answer_of_an_unconventional_peer(server, wire, class_uid):
    """Titles padded with NULs (PS3.8 Table 9-17: not tested), no implementation class UID."""

    def script(peer, wire=wire):
        peer.read_pdu()
        accepted = wire.item(0x21, bytes([1, 0, 0, 0]) + wire.item(0x40, b"1.2.840.10008.1.2"))
        user = wire.item(0x51, bytes([0, 0, 64, 0])) + wire.item(0x52, class_uid)
        head = bytes([0, 1, 0, 0]) + b"SERVER".ljust(16, b"\0") * 2 + bytes(32)
        items = wire.item(0x10, b"1.2.840.10008.3.1.1.1") + accepted + wire.item(0x50, user)
        peer.send(wire.pdu(2, head + items))
        peer.response()
        peer.send(wire.echo_response())
        peer.read_pdu()
        peer.send(wire.RELEASE_RP)

    assert (await echo(server(script))).status == 0x0000


SILENT_OR_WRONG = {
    "says nothing": (lambda p, w: p.until_closed(), PeerTimeoutError),
    "half an AC": (lambda p, w: (p.send(b"\x02\0\0\0\0\x50"), p.until_closed()), PeerTimeoutError),
    "closes": (lambda p, w: p.read_pdu(), AssociationAbortedError),
    "resets": (lambda p, w: (p.read_pdu(), p.reset()), AssociationAbortedError),
    "garbage": (lambda p, w: p.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), AssociationAbortedError),
    "aborts": (lambda p, w: (p.read_pdu(), p.send(w.abort(2, 1))), AssociationAbortedError),
    "rejects": (lambda p, w: (p.read_pdu(), p.send(w.reject(1, 1, 7))), AssociationRefusedError),
    "rejects without reason": (
        lambda p, w: (p.read_pdu(), p.send(w.reject(9, 9, 9))),
        AssociationRefusedError,
    ),
    "P-DATA": (
        lambda p, w: p.send(w.command_pdu(1, w.encode_command(w.echo()))),
        AssociationAbortedError,
    ),
    "an RQ of its own": (lambda p, w: p.send(w.handmade(w.context(1))), AssociationAbortedError),
    "an AC of 4 GB": (lambda p, w: p.send(w.pdu(2, b"", 0xFFFFFFFF)), AssociationAbortedError),
    "a malformed AC": (lambda p, w: p.send(w.pdu(2, bytes(80))), AssociationAbortedError),
}


@pytest.mark.parametrize("name", SILENT_OR_WRONG)
async def test_no_association(server, wire, name):
    script, error = SILENT_OR_WRONG[name]
    peer = server(lambda raw: script(raw, wire))
    with anyio.fail_after(20):
        with pytest.raises(error) as raised:
            await echo(peer)
    assert type(raised.value) is error


async def test_rejection_is_told(server, wire):
    peer = server(lambda raw: (raw.read_pdu(), raw.send(wire.reject(2, 3, 1))))
    with pytest.raises(AssociationRefusedError, match="temporary congestion") as raised:
        await echo(peer)
    assert (raised.value.rejection.result, raised.value.rejection.source) == (2, 3)


async def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectError, match=": Connection refused; is the peer running"):
        await echo(Peer("SERVER", "127.0.0.1", port))


async def test_timeout_before_the_association_aborts(server, eventually):
    """PS3.8 §9.1.5: the requestor that loses patience says so with an A-ABORT."""
    heard = []
    peer = server(lambda raw: heard.extend(raw.until_closed()))
    with pytest.raises(PeerTimeoutError, match="did not answer A-ASSOCIATE-RQ"):
        await echo(peer)
    await anyio.to_thread.run_sync(eventually, lambda: len(heard) == 2)
    assert heard[1][0] == 0x07


# --- on the association


def _answering(make):
    """Accept, read the request, and say something."""

    def script(raw, w) -> None:
        raw.accept(ACCEPTED)
        raw.read_pdu()
        raw.send(make(w))
        raw.until_closed()

    return script


def _closing(make):
    def script(raw, w) -> None:
        raw.accept(ACCEPTED)
        raw.read_pdu()
        raw.send(make(w))

    return script


WRONG_ANSWERS = {
    "silence": (_answering(lambda w: b""), PeerTimeoutError),
    "half an answer": (_answering(lambda w: w.echo_response()[:-5]), PeerTimeoutError),
    "half a command": (_answering(lambda w: w.pdu(4, w.pdv(1, 1, b"\0\0"))), PeerTimeoutError),
    "closes": (_closing(lambda w: b""), AssociationAbortedError),
    "closes within the answer": (
        _closing(lambda w: w.echo_response()[:-5]),
        AssociationAbortedError,
    ),
    "abort": (_answering(lambda w: w.abort(2, 0)), AssociationAbortedError),
    "release": (_answering(lambda w: w.RELEASE_RQ), AssociationAbortedError),
    "garbage": (_answering(lambda w: bytes(100)), AssociationAbortedError),
    "second AC": (_answering(lambda w: w.pdu(2, bytes(80))), AssociationAbortedError),
    "answer to another message": (
        _answering(lambda w: w.echo_response(message_id_being_responded_to=7)),
        AssociationAbortedError,
    ),
    "answer of another kind": (
        _answering(lambda w: w.echo_response(field=CommandField.C_FIND_RSP)),
        AssociationAbortedError,
    ),
    "answer in a context that was not accepted": (
        _answering(lambda w: b"\x04" + w.echo_response()[1:10] + b"\x03" + w.echo_response()[11:]),
        AssociationAbortedError,
    ),
    "dataset without command": (
        _answering(lambda w: w.dataset_pdus(1, b"12")),
        AssociationAbortedError,
    ),
    "garbage command": (_answering(lambda w: w.command_pdu(1, b"x" * 40)), AssociationAbortedError),
    "too large a PDU": (_answering(lambda w: w.pdu(4, b"", 1 << 30)), AssociationAbortedError),
}


@pytest.mark.parametrize("name", WRONG_ANSWERS)
async def test_no_answer(server, wire, name):
    script, error = WRONG_ANSWERS[name]
    peer = server(lambda raw: script(raw, wire))
    with anyio.fail_after(20):
        with pytest.raises(error) as raised:
            await echo(peer)
    assert type(raised.value) is error


async def test_answer_nobody_asked_for(server, wire):
    """It comes with the AC, so before any request: aborted (PS3.7 §9.1)."""

    def script(raw) -> None:
        raw.read_pdu()
        raw.send(encode(AssociateAC("", "", (ACCEPTED,))), wire.echo_response())
        raw.until_closed()

    with anyio.fail_after(20):
        async with connect(server(script), ECHO, timeouts=SHORT) as association:
            await association.engine.ended.wait()
            with pytest.raises(AssociationAbortedError, match="not outstanding"):
                await association.c_echo()


async def test_request_along_with_the_answer_to_ours_is_heard(server, wire, eventually):
    """A request right behind the A-ASSOCIATE-AC is answered, not lost."""
    heard = []

    def script(raw) -> None:
        raw.read_pdu()
        request = wire.command_pdu(1, wire.encode_command(wire.echo(9)))
        raw.send(encode(AssociateAC("", "", (ACCEPTED,))), request)
        heard.append(raw.response()[0])
        raw.read_pdu()
        raw.send(wire.RELEASE_RP)

    with anyio.fail_after(20):
        async with connect(server(script), ECHO, timeouts=SHORT):
            await anyio.to_thread.run_sync(eventually, lambda: heard)
    assert (heard[0].message_id_being_responded_to, heard[0].status) == (9, 0x0122)


async def test_contexts_that_were_not_proposed(server, wire):
    """Answers to what was not proposed do not count (PS3.8 §7.1.1.14)."""
    results = (
        ContextResult(1, 0, "1.2.840.10008.1.2"),
        ContextResult(3, 0, "1.2.840.10008.1.2"),
        ContextResult(5, 0, "1.2.3.4"),
    )

    def script(raw) -> None:
        roles = (RoleSelection(VERIFICATION, scu=False, scp=True),)
        raw.accept(*results, user=UserInformation(16384, roles=roles))
        raw.read_pdu()
        raw.send(wire.RELEASE_RP)

    async with connect(server(script), ECHO, timeouts=SHORT) as association:
        assert set(association.contexts) == {1}
        assert association.contexts[1].scu


async def test_transfer_syntax_that_was_not_proposed(server, wire):
    def script(raw) -> None:
        raw.accept(ContextResult(1, 0, "1.2.840.10008.1.2.1"))
        raw.read_pdu()
        raw.send(wire.RELEASE_RP)

    async with connect(server(script), ECHO, timeouts=SHORT) as association:
        assert association.contexts == {}
        with pytest.raises(AssociationError, match="no presentation context"):
            await association.c_echo()


async def test_peer_that_can_receive_nothing(server):
    """Maximum length 1: nothing can be sent, so the association is aborted."""

    def script(raw) -> None:
        raw.accept(ACCEPTED, user=UserInformation(1))
        raw.until_closed()

    with anyio.fail_after(20), pytest.raises(AssociationAbortedError, match="no room for data"):
        await echo(server(script))


async def test_peer_that_does_not_read(server):
    """The write timeout ends a C-STORE that nobody takes."""
    done = Event()

    def script(raw) -> None:
        raw.accept(ACCEPTED)
        done.wait(10)

    try:
        with anyio.fail_after(20), pytest.raises(PeerTimeoutError, match="took nothing"):
            async with connect(server(script), ECHO, timeouts=SHORT) as association:
                await association.c_store("1.2", "1.2.3", bytes(50 << 20), context_id=1)
    finally:
        done.set()
