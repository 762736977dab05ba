"""Our requestor against servers that misbehave: no wait is endless, and errors say what was."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

import anyio
import pytest

from pacs_core.association import (
    AssociationAbortedError,
    AssociationError,
    AssociationRefusedError,
    ConnectError,
    Options,
    PeerTimeoutError,
    Proposal,
    connect,
)
from pacs_core.contracts import Peer, Timeouts
from pacs_core.dimse import Command, CommandField
from pacs_core.upper_layer import (
    AssociateAC,
    AsynchronousOperations,
    ContextResult,
    RoleSelection,
    UserInformation,
    decode,
    encode,
)

pytestmark = pytest.mark.anyio

SHORT = Timeouts(artim=0.4, dimse=0.4, write=0.4, connect=2.0)
VERIFICATION = "1.2.840.10008.1.1"
ECHO = [Proposal(VERIFICATION, ("1.2.840.10008.1.2",))]


@pytest.fixture
def server(raw_peer):
    """Start a server that follows a script on its first connection; return it as a peer."""
    listeners, threads = [], []

    def start(script: Callable) -> Peer:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(10)
        listeners.append(listener)

        def serve() -> None:
            connection, _ = listener.accept()
            connection.settimeout(10)
            with connection, suppress(OSError):  # the requestor has hung up, as it may
                script(raw_peer(connection))

        thread = Thread(target=serve)
        thread.start()
        threads.append(thread)
        return Peer("SERVER", *listener.getsockname())

    yield start
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.close()


def accept(peer, *results: ContextResult, **user) -> None:
    """Answer the A-ASSOCIATE-RQ, by default accepting context 1."""
    request = decode(peer.read_pdu())
    contexts = results or (ContextResult(1, 0, "1.2.840.10008.1.2"),)
    peer.send(encode(AssociateAC("", "", contexts, UserInformation(16384, "1.2", **user))))
    assert request.called_ae_title == "SERVER"


def until_closed(peer) -> list[bytes]:
    """Read what the requestor still says; return the PDUs."""
    pdus = []
    while (pdu := peer.read_pdu()) is not None:
        pdus.append(pdu)
    return pdus


async def echo(peer: Peer, **options) -> Command:
    async with connect(peer, ECHO, timeouts=SHORT, **options) as association:
        return await association.c_echo()


# --- before the association

SILENT_OR_WRONG = {
    "says nothing": (lambda p, w: until_closed(p), PeerTimeoutError),
    "half an AC": (lambda p, w: (p.send(b"\x02\0\0\0\0\x50"), until_closed(p)), PeerTimeoutError),
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
    with anyio.fail_after(5):
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
    with pytest.raises(ConnectError, match="is the peer running"):
        await echo(Peer("SERVER", "127.0.0.1", port))


async def test_timeout_before_the_association_aborts(server):
    """PS3.8 §9.1.5: the requestor that loses patience says so with an A-ABORT."""
    heard = []
    peer = server(lambda raw: heard.extend(until_closed(raw)))
    with pytest.raises(PeerTimeoutError, match="did not answer A-ASSOCIATE-RQ"):
        await echo(peer)
    await anyio.to_thread.run_sync(lambda: wait_for(lambda: len(heard) == 2))
    assert heard[1][0] == 0x07


def wait_for(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("did not happen")


# --- on the association


def _response(w, **fields) -> bytes:
    values = {"field": CommandField.C_ECHO_RSP, "message_id_being_responded_to": 1, "status": 0}
    return w.command_pdu(1, w.encode_command(Command(**{**values, **fields})))


def _answering(make):
    """Accept, read the request, and say something."""

    def script(raw, w) -> None:
        accept(raw)
        raw.read_pdu()
        raw.send(make(w))
        until_closed(raw)

    return script


def _closing(make):
    def script(raw, w) -> None:
        accept(raw)
        raw.read_pdu()
        raw.send(make(w))

    return script


WRONG_ANSWERS = {
    "silence": (_answering(lambda w: b""), PeerTimeoutError),
    "half an answer": (_answering(lambda w: _response(w)[:-5]), PeerTimeoutError),
    "half a command": (_answering(lambda w: w.pdu(4, w.pdv(1, 1, b"\0\0"))), PeerTimeoutError),
    "closes": (_closing(lambda w: b""), AssociationAbortedError),
    "closes within the answer": (_closing(lambda w: _response(w)[:-5]), AssociationAbortedError),
    "abort": (_answering(lambda w: w.abort(2, 0)), AssociationAbortedError),
    "release": (_answering(lambda w: w.RELEASE_RQ), AssociationAbortedError),
    "garbage": (_answering(lambda w: bytes(100)), AssociationAbortedError),
    "second AC": (_answering(lambda w: w.pdu(2, bytes(80))), AssociationAbortedError),
    "answer to another message": (
        _answering(lambda w: _response(w, message_id_being_responded_to=7)),
        AssociationAbortedError,
    ),
    "answer of another kind": (
        _answering(lambda w: _response(w, field=CommandField.C_FIND_RSP)),
        AssociationAbortedError,
    ),
    "answer in a context that was not accepted": (
        _answering(lambda w: b"\x04" + _response(w)[1:10] + b"\x03" + _response(w)[11:]),
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
    with anyio.fail_after(5):
        with pytest.raises(error) as raised:
            await echo(peer)
    assert type(raised.value) is error


async def test_answer_nobody_asked_for(server, wire):
    """It comes with the AC, so before any request: aborted (PS3.7 §9.1)."""

    def script(raw) -> None:
        raw.read_pdu()
        contexts = (ContextResult(1, 0, "1.2.840.10008.1.2"),)
        raw.send(encode(AssociateAC("", "", contexts)), _response(wire))
        until_closed(raw)

    with anyio.fail_after(5):
        async with connect(server(script), ECHO, timeouts=SHORT) as association:
            await association.engine.ended.wait()
            with pytest.raises(AssociationAbortedError, match="not outstanding"):
                await association.c_echo()


async def test_request_along_with_the_answer_to_ours_is_heard(server, wire):
    """A request right behind the A-ASSOCIATE-AC is answered, not lost."""
    heard = []

    def script(raw) -> None:
        raw.read_pdu()
        contexts = (ContextResult(1, 0, "1.2.840.10008.1.2"),)
        request = wire.command_pdu(1, wire.encode_command(wire.echo(9)))
        raw.send(encode(AssociateAC("", "", contexts)), request)
        heard.append(raw.response()[0])
        raw.read_pdu()
        raw.send(wire.RELEASE_RP)

    with anyio.fail_after(5):
        async with connect(server(script), ECHO, timeouts=SHORT):
            await anyio.to_thread.run_sync(lambda: wait_for(lambda: heard))
    assert (heard[0].message_id_being_responded_to, heard[0].status) == (9, 0x0122)


async def test_contexts_that_were_not_proposed(server, wire):
    """Answers to what was not proposed do not count (PS3.8 §7.1.1.14)."""
    results = (
        ContextResult(1, 0, "1.2.840.10008.1.2"),
        ContextResult(3, 0, "1.2.840.10008.1.2"),
        ContextResult(5, 0, "1.2.3.4"),
    )

    def script(raw) -> None:
        accept(raw, *results, roles=(RoleSelection(VERIFICATION, scu=False, scp=True),))
        raw.read_pdu()
        raw.send(wire.RELEASE_RP)

    async with connect(server(script), ECHO, timeouts=SHORT) as association:
        assert set(association.contexts) == {1}
        assert association.contexts[1].scu


async def test_transfer_syntax_that_was_not_proposed(server, wire):
    def script(raw) -> None:
        accept(raw, ContextResult(1, 0, "1.2.840.10008.1.2.1"))
        raw.read_pdu()
        raw.send(wire.RELEASE_RP)

    async with connect(server(script), ECHO, timeouts=SHORT) as association:
        assert association.contexts == {}
        with pytest.raises(AssociationError, match="no presentation context"):
            await association.c_echo()


async def test_peer_that_can_receive_nothing(server):
    """Maximum length 1: nothing can be sent, so the association is aborted."""

    def script(raw) -> None:
        raw.read_pdu()
        contexts = (ContextResult(1, 0, "1.2.840.10008.1.2"),)
        raw.send(encode(AssociateAC("", "", contexts, UserInformation(1))))
        until_closed(raw)

    with anyio.fail_after(5), pytest.raises(AssociationAbortedError, match="no room for data"):
        await echo(server(script))


async def test_peer_that_does_not_read(server):
    """The write timeout ends a C-STORE that nobody takes."""
    done = Event()

    def script(raw) -> None:
        accept(raw)
        done.wait(10)

    try:
        with anyio.fail_after(5), pytest.raises(PeerTimeoutError, match="took nothing"):
            async with connect(server(script), ECHO, timeouts=SHORT) as association:
                await association.c_store("1.2", "1.2.3", bytes(50 << 20), context_id=1)
    finally:
        done.set()


# --- release


def _ends(end):
    """Accept, answer one echo, and then do something else than to release."""

    def script(raw, w) -> None:
        accept(raw)
        raw.response()
        raw.send(_response(w))
        end(raw, w)

    return script


def _collides(raw, w) -> None:
    """Ask for release at the same time (PS3.8 §7.2.2): the requestor answers first."""
    assert raw.read_pdu() == w.RELEASE_RQ
    raw.send(w.RELEASE_RQ)
    assert raw.read_pdu() == w.RELEASE_RP
    raw.send(w.RELEASE_RP)
    assert raw.read_pdu() is None


ENDINGS = {
    "no answer": lambda raw, w: until_closed(raw),
    "closes": lambda raw, w: raw.read_pdu(),
    "resets": lambda raw, w: (raw.read_pdu(), raw.reset()),
    "abort": lambda raw, w: (raw.read_pdu(), raw.send(w.abort(0, 0)), until_closed(raw)),
    "garbage": lambda raw, w: (raw.read_pdu(), raw.send(bytes(20)), until_closed(raw)),
    "half an answer": lambda raw, w: (
        raw.read_pdu(),
        raw.send(w.RELEASE_RP[:5]),
        until_closed(raw),
    ),
    "collision": _collides,
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_end_without_agreement_is_no_error(server, wire, name):
    """All that was asked has been answered; that the peer cannot say goodbye costs nobody."""
    peer = server(lambda raw: _ends(ENDINGS[name])(raw, wire))
    with anyio.fail_after(5):
        assert (await echo(peer)).status == 0x0000


# --- what the user does


class OwnError(Exception):
    pass


async def test_exception_of_the_user_comes_out_as_it_is(pacs_node):
    cause = ValueError("the cause")
    with pytest.raises(OwnError) as raised:
        async with connect(pacs_node().peer, ECHO):
            raise OwnError("mine") from cause
    assert raised.value.__cause__ is cause


async def test_group_of_the_user_comes_out_as_it_is(pacs_node):
    group = ExceptionGroup("mine", [OwnError()])
    with pytest.raises(ExceptionGroup) as raised:
        async with connect(pacs_node().peer, ECHO):
            raise group
    assert raised.value is group


@pytest.mark.parametrize("give_up", ["raise", "cancel"])
async def test_block_that_does_not_end_aborts(server, wire, give_up):
    """PS3.8 §9.3.8: source 0, the service user."""
    heard = []

    def script(raw) -> None:
        accept(raw)
        heard.extend(until_closed(raw))

    with anyio.CancelScope() as scope, suppress(OwnError):
        async with connect(server(script), ECHO, timeouts=SHORT):
            if give_up == "raise":
                raise OwnError
            scope.cancel()
            await anyio.sleep_forever()
    await anyio.to_thread.run_sync(wait_for, lambda: heard)
    assert heard == [wire.abort(0, 0)]


async def test_cancelled_request_leaves_the_association_usable(server, wire):
    """Its answer may still come, to nobody; the next request waits for its place."""

    def script(raw) -> None:
        accept(raw)
        first, _ = raw.response()
        waiting.wait(5)
        raw.send(_response(wire, message_id_being_responded_to=first.message_id))
        second, _ = raw.response()
        raw.send(_response(wire, message_id_being_responded_to=second.message_id))
        raw.read_pdu()
        raw.send(wire.RELEASE_RP)

    waiting = Event()
    with anyio.fail_after(5):
        async with connect(server(script), ECHO) as association:
            with anyio.move_on_after(0.05):
                await association.c_echo()
            waiting.set()
            assert (await association.c_echo()).status == 0x0000


@pytest.mark.parametrize("window", [1, 8])
async def test_cancelled_before_it_is_sent(pacs_node, window):
    options = Options(operations=AsynchronousOperations(window, window))
    async with connect(pacs_node().peer, ECHO, options=options) as association:
        for _ in range(20):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await association.c_echo()
        with anyio.fail_after(5):
            assert (await association.c_echo()).status == 0x0000


async def test_request_that_cannot_be_encoded_leaves_the_association_usable(pacs_node):
    """The mistake is the caller's; its place in the window is free again."""
    async with connect(pacs_node().peer, ECHO) as association:
        for _ in range(3):
            with pytest.raises(ValueError, match="UID"):
                await association.c_store("1.2", "x" * 80, b"", context_id=1)
        with anyio.fail_after(5):
            assert (await association.c_echo()).status == 0x0000


async def test_dataset_that_fails_aborts(pacs_node, wire):
    """Half a message cannot be taken back."""

    async def broken():
        yield wire.instance("1.2.3")
        raise OwnError("disk")

    proposals = [Proposal(wire.CT, (wire.EXPLICIT,))]
    with anyio.fail_after(5), pytest.raises(OwnError):
        async with connect(pacs_node().peer, proposals) as association:
            await association.c_store(wire.CT, "1.2.3", broken())


async def test_one_cancelled_sender_does_not_harm_another(pacs_node, wire):
    """While one dataset is on its way, another request gives up waiting for its turn."""
    proposals = [Proposal(wire.CT, (wire.EXPLICIT,)), *ECHO]
    options = Options(operations=AsynchronousOperations(4, 4))
    statuses, resume, started = [], anyio.Event(), anyio.Event()

    async def slow():
        data = wire.instance("1.2.826.5", size=1000)
        yield data[:50]
        started.set()
        await resume.wait()
        yield data[50:]

    async with connect(pacs_node().peer, proposals, options=options) as association:

        async def store() -> None:
            statuses.append((await association.c_store(wire.CT, "1.2.826.5", slow())).status)

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store)
                await started.wait()
                with anyio.move_on_after(0.05):
                    await association.c_echo()
                resume.set()
            assert statuses == [0x0000]
            assert (await association.c_echo()).status == 0x0000
