"""How associations of our requestor end: by release, by the user's exceptions, by cancellation."""

from contextlib import suppress
from threading import Event

import anyio
import pytest

from pacs_core.association import (
    AssociationOptions,
    Proposal,
    connect,
)
from pacs_core.upper_layer import (
    AsynchronousOperations,
)

from .requestor import ACCEPTED, ECHO, SHORT, echo

pytestmark = pytest.mark.anyio


# --- release


def _ends(end):
    """Accept, answer one echo, and then do something else than to release."""

    def script(raw, w) -> None:
        raw.accept(ACCEPTED)
        raw.response()
        raw.send(w.echo_response())
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
    "no answer": lambda raw, w: raw.until_closed(),
    "closes": lambda raw, w: raw.read_pdu(),
    "resets": lambda raw, w: (raw.read_pdu(), raw.reset()),
    "abort": lambda raw, w: (raw.read_pdu(), raw.send(w.abort(0, 0)), raw.until_closed()),
    "garbage": lambda raw, w: (raw.read_pdu(), raw.send(bytes(20)), raw.until_closed()),
    "half an answer": lambda raw, w: (
        raw.read_pdu(),
        raw.send(w.RELEASE_RP[:5]),
        raw.until_closed(),
    ),
    "collision": _collides,
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_end_without_agreement_is_no_error(server, wire, name):
    """All that was asked has been answered; that the peer cannot say goodbye costs nobody."""
    peer = server(lambda raw: _ends(ENDINGS[name])(raw, wire))
    with anyio.fail_after(20):
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
async def test_block_that_does_not_end_aborts(server, wire, give_up, eventually):
    """PS3.8 §9.3.8: source 0, the service user."""
    heard = []

    def script(raw) -> None:
        raw.accept(ACCEPTED)
        heard.extend(raw.until_closed())

    with anyio.CancelScope() as scope, suppress(OwnError):
        async with connect(server(script), ECHO, timeouts=SHORT):
            if give_up == "raise":
                raise OwnError
            scope.cancel()
            await anyio.sleep_forever()
    await anyio.to_thread.run_sync(eventually, lambda: heard)
    assert heard == [wire.abort(0, 0)]


async def test_cancelled_request_leaves_the_association_usable(server, wire):
    """Its answer may still come, to nobody; the next request waits for its place."""

    def script(raw) -> None:
        raw.accept(ACCEPTED)
        first, _ = raw.response()
        waiting.wait(5)
        raw.send(wire.echo_response(message_id_being_responded_to=first.message_id))
        second, _ = raw.response()
        raw.send(wire.echo_response(message_id_being_responded_to=second.message_id))
        raw.read_pdu()
        raw.send(wire.RELEASE_RP)

    waiting = Event()
    with anyio.fail_after(20):
        async with connect(server(script), ECHO) as association:
            with anyio.move_on_after(0.05):
                await association.c_echo()
            waiting.set()
            assert (await association.c_echo()).status == 0x0000


@pytest.mark.parametrize("window", [1, 8])
async def test_cancelled_before_it_is_sent(pacs_node, window):
    options = AssociationOptions(operations=AsynchronousOperations(window, window))
    async with connect(pacs_node().peer, ECHO, options=options) as association:
        for _ in range(20):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await association.c_echo()
        with anyio.fail_after(20):
            assert (await association.c_echo()).status == 0x0000


async def test_request_that_cannot_be_encoded_leaves_the_association_usable(pacs_node):
    """The mistake is the caller's; its place in the window is free again."""
    async with connect(pacs_node().peer, ECHO) as association:
        for _ in range(3):
            with pytest.raises(ValueError, match="UID"):
                await association.c_store("1.2", "x" * 80, b"", context_id=1)
        with anyio.fail_after(20):
            assert (await association.c_echo()).status == 0x0000


async def test_dataset_that_fails_aborts(pacs_node, wire):
    """Half a message cannot be taken back."""

    async def broken():
        yield wire.instance("1.2.3")
        raise OwnError("disk")

    proposals = [Proposal(wire.CT, (wire.EXPLICIT,))]
    with anyio.fail_after(20), pytest.raises(OwnError):
        async with connect(pacs_node().peer, proposals) as association:
            await association.c_store(wire.CT, "1.2.3", broken())


async def test_one_cancelled_sender_does_not_harm_another(pacs_node, wire):
    """While one dataset is on its way, another request gives up waiting for its turn."""
    proposals = [Proposal(wire.CT, (wire.EXPLICIT,)), *ECHO]
    options = AssociationOptions(operations=AsynchronousOperations(4, 4))
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

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store)
                await started.wait()
                with anyio.move_on_after(0.05):
                    await association.c_echo()
                resume.set()
            assert statuses == [0x0000]
            assert (await association.c_echo()).status == 0x0000
