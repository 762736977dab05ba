"""The engine of an association, with a peer that a test plays byte by byte.

The peer is the sans-IO machine in the other role, on the other end of a pair of sockets.
"""

import asyncio
import socket
from contextlib import asynccontextmanager

import anyio
import pytest

from pacs_core.association.budget import ByteBudget
from pacs_core.association.channel import Channel
from pacs_core.association.engine import Engine
from pacs_core.association.errors import AssociationError
from pacs_core.association.transport import Transport
from pacs_core.contracts import AssociationInfo, Origin, Response, Timeouts
from pacs_core.dimse import (
    Command,
    CommandField,
    CommandReceived,
    MessageAssembler,
    encode_message,
)
from pacs_core.upper_layer import (
    Aborted,
    AcceptedContext,
    AssociateAC,
    AssociateRQ,
    AsynchronousOperations,
    ContextResult,
    ContextResultCode,
    DataReceived,
    Limits,
    ProposedContext,
    Released,
    Role,
    UpperLayer,
    UserInformation,
)

pytestmark = pytest.mark.anyio

ECHO, FIND = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT = "1.2.840.10008.1.2"
REQUEST = AssociateRQ(
    "ARCHIVE",
    "MODALITY",
    (ProposedContext(1, ECHO, (IMPLICIT,)), ProposedContext(5, FIND, (IMPLICIT,))),
    UserInformation(maximum_length=16384, implementation_class_uid="1.2.3.4"),
)
RESPONSE = AssociateAC(
    "ARCHIVE",
    "MODALITY",
    tuple(
        ContextResult(each.id, ContextResultCode.ACCEPTANCE, IMPLICIT)
        for each in REQUEST.presentation_contexts
    ),
    UserInformation(maximum_length=16384, implementation_class_uid="1.2.3.5"),
)
CONTEXTS = {1: AcceptedContext(1, ECHO, IMPLICIT, scu=True, scp=False)}
"""What the engine is told; its peer believes that context 5 was accepted, too."""
C_ECHO = Command(field=CommandField.C_ECHO_RQ, message_id=7, affected_sop_class_uid=ECHO)


class Requestor:
    """The peer: says what a test wants, and takes apart what it hears."""

    def __init__(self, stream):
        self.stream = stream
        self.machine = UpperLayer(Role.REQUESTOR, Limits())
        self.assembler = MessageAssembler()
        self.heard = []

    async def flush(self):
        await asyncio.get_running_loop().sock_sendall(
            self.stream, b"".join(self.machine.buffers_to_send())
        )

    async def say(self, command, context_id=1):
        for fragment in encode_message(context_id, command, None, 16384):
            self.machine.send_data(fragment)
        await self.flush()

    async def hear(self, kind):
        """Return the next event or command of a kind."""
        with anyio.fail_after(60):
            while True:
                for position, what in enumerate(self.heard):
                    if isinstance(what, kind):
                        return self.heard.pop(position)
                await self._read()

    async def _read(self):
        data = await asyncio.get_running_loop().sock_recv(self.stream, 1 << 16)
        for event in self.machine.receive_data(data) if data else self.machine.receive_eof():
            if isinstance(event, DataReceived):
                for pdv in event.pdvs:
                    self.heard += self.assembler.feed(pdv)
            else:
                self.heard.append(event)


async def answer(operation):
    return Response(0x0000)


@asynccontextmanager
async def established(serve=answer, *, invoked=1, performed=1, **timeouts):
    """Give an engine that runs, and its peer."""
    near, far = socket.socketpair()
    far.setblocking(False)
    _, transport = await asyncio.get_running_loop().create_connection(Transport, sock=near)
    channel = Channel(transport, Role.ACCEPTOR, Limits(), Timeouts(**timeouts))
    peer = Requestor(far)
    peer.machine.associate(REQUEST)
    peer.machine.confirm_connection()
    channel.machine.confirm_connection()
    channel.machine.receive_data(b"".join(peer.machine.buffers_to_send()))
    channel.machine.accept(RESPONSE)
    peer.machine.receive_data(b"".join(channel.machine.buffers_to_send()))
    info = AssociationInfo("A1", Origin("DIMSE"), REQUEST, CONTEXTS, maximum_length=16384)
    window = AsynchronousOperations(invoked, performed)
    engine = Engine(channel, info, window, serve, ByteBudget(1 << 20))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(engine.run)
        try:
            yield engine, peer
        finally:
            far.close()
            with anyio.fail_after(60):
                await engine.ended.wait()


async def test_a_request_is_performed_and_answered_in_its_context():
    async with established() as (_, peer):
        await peer.say(C_ECHO)
        response = await peer.hear(CommandReceived)
        assert response.context_id == 1
        assert response.command.field is CommandField.C_ECHO_RSP
        assert response.command.message_id_being_responded_to == 7
        assert response.command.status == 0x0000


async def test_a_provider_that_raises_answers_processing_failure_and_the_next_is_served(caplog):
    """0110H (PS3.7 C.5.12): the error is the provider's, not the association's."""
    calls = []

    async def fail_once(operation):
        calls.append(operation.command.message_id)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        return Response(0x0000)

    async with established(fail_once) as (engine, peer):
        await peer.say(C_ECHO)
        assert (await peer.hear(CommandReceived)).command.status == 0x0110
        await peer.say(C_ECHO)
        assert (await peer.hear(CommandReceived)).command.status == 0x0000
        assert not engine.end_reason


async def test_a_release_is_agreed_to():
    """PS3.8 §7.2."""
    async with established() as (engine, peer):
        peer.machine.release()
        await peer.flush()
        await peer.hear(Released)
    assert engine.end_reason == "released by the peer"


async def test_a_lost_connection_ends_what_is_performed():
    """A provider that works for somebody who has gone is cancelled."""
    begun, cancelled = anyio.Event(), anyio.Event()

    async def never(operation):
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with established(never) as (engine, peer):
        await peer.say(C_ECHO)
        await begun.wait()
        peer.stream.close()
        with anyio.fail_after(60):
            await cancelled.wait()
    assert engine.end_reason == "the transport connection was lost"


async def test_a_message_in_a_context_that_was_not_accepted_aborts():
    """PS3.8 §7.6: nothing may come in a context that was not agreed on."""
    async with established() as (engine, peer):
        await peer.say(C_ECHO, context_id=5)
        aborted = await peer.hear(Aborted)
        assert (aborted.by_peer, aborted.source) == (True, 2)
    assert "presentation context 5" in engine.end_reason


async def test_who_says_nothing_for_too_long_is_aborted():
    async with established(idle=0.05) as (engine, peer):
        assert (await peer.hear(Aborted)).by_peer
    assert engine.end_reason == "aborted by this node: the peer said nothing for too long"


async def test_who_owes_an_answer_is_given_the_time_for_answers():
    """Not the time for silence between messages, which is another setting."""
    async with established(idle=60, dimse=0.05) as (engine, peer):
        invocation = await engine.invoke(1, C_ECHO)
        with pytest.raises(AssociationError, match="said nothing"):
            await invocation.response()
        await peer.hear(CommandReceived)


async def test_a_cancellation_reaches_its_operation_only():
    """C-CANCEL names the message (PS3.7 §9.3.2.3)."""
    seen = {}

    async def wait(operation):
        number = operation.command.message_id
        with anyio.move_on_after(20 if number == 2 else 0.3):
            while not operation.cancelled:  # noqa: ASYNC110 - as providers do
                await anyio.sleep(0.01)
        seen[number] = operation.cancelled
        return Response(0xFE00 if operation.cancelled else 0x0000)

    async with established(wait, performed=2) as (_, peer):
        for number in (1, 2):
            await peer.say(
                Command(
                    field=CommandField.C_ECHO_RQ, message_id=number, affected_sop_class_uid=ECHO
                )
            )
        await peer.say(Command(field=CommandField.C_CANCEL_RQ, message_id_being_responded_to=2))
        await peer.hear(CommandReceived)
        await peer.hear(CommandReceived)
    assert seen == {1: False, 2: True}


async def test_what_waits_for_an_answer_is_told_of_the_end():
    async with established() as (engine, peer):
        invocation = await engine.invoke(1, C_ECHO)
        await peer.hear(CommandReceived)
        peer.machine.abort()
        await peer.flush()
        with pytest.raises(AssociationError, match="aborted by the peer"):
            await invocation.response()
        with pytest.raises(AssociationError, match="aborted by the peer"):
            await engine.invoke(1, C_ECHO)
