"""Several instances on their way at once: outstanding requests (PS3.7 D.3.3.3), associations."""

import socket
from contextlib import contextmanager
from itertools import count
from threading import Condition, Thread

import anyio
import pytest
from attrs import evolve

from pacs_core.contracts import AuditKind, Level, Peer, Query
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.raw_peer import RELEASE_RP, RELEASE_RQ, RawPeer
from pacs_core.upper_layer import (
    AssociateAC,
    AsynchronousOperations,
    ContextResult,
    UserInformation,
    decode,
    encode,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

STUDY = Query(Level.STUDY)
UIDS = [f"1.2.1.{number}" for number in range(11)]


def accept(raw: RawPeer, window: AsynchronousOperations | None = None) -> dict[str, int]:
    """Accept whatever is proposed; return the contexts by SOP class."""
    request = decode(raw.read_pdu())
    accept.proposed = request.user_information.asynchronous_operations
    contexts = request.presentation_contexts
    results = tuple(ContextResult(c.id, 0, c.transfer_syntaxes[0]) for c in contexts)
    user = UserInformation(16384, "1.2.3.4", asynchronous_operations=window)
    raw.send(encode(AssociateAC("", "", results, user)))
    return {context.abstract_syntax: context.id for context in contexts}


def answer(raw: RawPeer, contexts: dict[str, int], request: Command, status: int = 0) -> None:
    command = Command(
        field=CommandField.C_STORE_RSP,
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=request.affected_sop_class_uid,
        affected_sop_instance_uid=request.affected_sop_instance_uid,
        status=status,
    )
    raw.message(contexts[request.affected_sop_class_uid], command)


@contextmanager
def serving(script):
    """Run a script for each connection, in a thread of its own; raise what one of them raised."""
    threads, failures = [], []

    def run(connection):
        with connection:
            connection.settimeout(60)
            try:
                script(RawPeer(connection))
            except BaseException as error:
                failures.append(error)

    def listen():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(Thread(target=run, args=(connection,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listening = Thread(target=listen)
        listening.start()
        try:
            yield Peer("SERVER", "127.0.0.1", listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listening.join()
            for thread in threads:
                thread.join()
    if failures:
        raise failures[0]


async def all_of(sending):
    with anyio.fail_after(60):
        async with sending as results:
            return [(s.instance.identity.sop_instance_uid, s.status) async for s in results]


async def test_as_many_requests_are_outstanding_as_the_peer_agrees_to(node):
    """In order, whatever the order of the responses."""

    def script(raw):
        contexts = accept(raw, AsynchronousOperations(3, 1))
        for size in (3, 3, 3, 2):
            # None of them is answered before the last has arrived.
            requests = [raw.response()[0] for _ in range(size)]
            for request in reversed(requests):
                answer(raw, contexts, request, 0xA700 if request.message_id == 2 else 0)
        assert raw.read_pdu() == RELEASE_RQ
        raw.send(RELEASE_RP)

    with serving(script) as peer:
        sending = node.sender.send(node.archive.instances(STUDY), evolve(peer, outstanding=5))
        results = await all_of(sending)
    assert accept.proposed == AsynchronousOperations(5, 1)
    assert results == [(uid, 0xA700 if uid == UIDS[1] else 0) for uid in UIDS]


async def test_what_is_outstanding_when_sending_stops_is_counted(node):
    """PS3.4 C.4.2.1.6: what was cancelled is neither completed nor failed, all else is."""

    def script(raw):
        contexts = accept(raw, AsynchronousOperations(8, 1))
        requests = [raw.response()[0] for _ in range(3)]
        for request in requests:
            answer(raw, contexts, request)
        assert raw.read_pdu() == RELEASE_RQ
        raw.send(RELEASE_RP)

    asked = count(1)
    with serving(script) as peer:
        peer = evolve(peer, outstanding=8)
        instances = node.archive.instances(STUDY)
        results = await all_of(node.sender.send(instances, peer, stop=lambda: next(asked) > 3))
    assert results == [(uid, 0) for uid in UIDS[:3]]


async def test_what_is_outstanding_when_the_association_ends_has_failed(node):
    def script(raw):
        contexts = accept(raw, AsynchronousOperations(4, 1))
        requests = [raw.response()[0] for _ in range(4)]
        answer(raw, contexts, requests[0])
        raw.reset()

    with serving(script) as peer:
        sending = node.sender.send(node.archive.instances(STUDY), evolve(peer, outstanding=4))
        results = await all_of(sending)
    assert results == [(UIDS[0], 0), *((uid, 0x0110) for uid in UIDS[1:])]


async def test_several_associations_share_what_is_sent(node):
    """As soon as another is open it is used; each instance goes to one of them, once."""
    changed, used, received = Condition(), set(), []

    def script(raw):
        contexts = accept(raw)
        while True:
            try:
                request, _ = raw.response()
            except AssertionError:
                raw.send(RELEASE_RP)  # it was no P-DATA-TF
                return
            with changed:
                received.append(request.affected_sop_instance_uid)
                used.add(raw.socket)
                changed.notify_all()
            answer(raw, contexts, request)

    async def until_all_are_used():
        while len(used) < 3:
            async for instance in node.archive.instances(STUDY):
                yield instance

    with serving(script) as peer:
        sending = node.sender.send(until_all_are_used(), evolve(peer, associations=3))
        results = await all_of(sending)
    assert {status for _, status in results} == {0}
    assert sorted(uid for uid, _ in results) == sorted(received)
    events = [e for e in node.audit.events if e.kind is AuditKind.INSTANCES_SENT]
    assert sum(event.details["sent"] for event in events) == len(results)


async def test_a_peer_that_knows_nothing_of_it_gets_one_after_the_other(node, peer, storage_peer):
    results = await all_of(
        node.sender.send(node.archive.instances(STUDY), evolve(peer, outstanding=4))
    )
    assert results == [(uid, 0) for uid in UIDS]
    assert storage_peer.received == UIDS
