"""What the sender of a node promises, with pynetdicom as the peer."""

import anyio
import pytest

from pacs_core.contracts import (
    AuditFailedError,
    AuditKind,
    Level,
    Outcome,
    Peer,
    Query,
    StoredInstance,
)
from pacs_core.dimse import StatusCategory
from pacs_core.sending import batches

from .conftest import CT, EXPLICIT, MR

pytestmark = [
    pytest.mark.anyio,
    # pynetdicom, which is the peer here, leaves its socket unclosed when it is aborted.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

STUDY = Query(Level.STUDY)
UIDS = [f"1.2.1.{number}" for number in range(11)]


async def all_of(sending):
    async with sending as results:
        return [sent async for sent in results]


def events_of(node, kind):
    return [event for event in node.audit.events if event.kind is kind]


async def test_each_instance_has_a_result_in_order(node, peer, storage_peer):
    results = await all_of(node.sender.send(node.archive.instances(STUDY), peer))
    assert [sent.instance.identity.sop_instance_uid for sent in results] == UIDS
    assert storage_peer.received == UIDS
    assert all(sent.arrived and not sent.reason for sent in results)
    first = results[0]
    assert (first.status, first.sop_instance_uid) == (0x0000, UIDS[0])
    assert first.transfer_syntax_uid == EXPLICIT
    assert first.size == first.instance.size - first.instance.dataset_offset
    assert storage_peer.ended == ["released"]
    assert len(storage_peer.accepted) == 1
    assert storage_peer.accepted[0].requestor.ae_title == "SENDER"


async def test_what_was_sent_is_recorded_by_study_and_sop_class(node, peer, storage_peer):
    """PS3.15 A.5.3.7, DICOM Instances Transferred."""
    storage_peer.statuses = {UIDS[3]: 0xA700}
    await all_of(node.sender.send(node.archive.instances(STUDY), peer))
    [event] = events_of(node, AuditKind.INSTANCES_SENT)
    assert event.outcome is Outcome.WARNING
    assert (event.details["sent"], event.details["failed"]) == (10, 1)
    assert "A700" in event.details["reason"]
    [study] = event.objects
    assert (study.id, study.sop_classes) == ("1.2", {CT: 9, MR: 1})
    source, destination = event.active_participants
    assert (source.user_id, source.is_requestor) == ("SENDER", True)
    assert (destination.user_id, destination.host) == ("VIEWER", "127.0.0.1")


async def test_warnings_and_failures_of_the_peer_are_told_apart(node, peer, storage_peer):
    storage_peer.statuses = {UIDS[0]: 0xB000, UIDS[1]: 0xC123}
    results = await all_of(node.sender.send(node.archive.instances(STUDY), peer))
    assert [sent.category for sent in results[:3]] == [
        StatusCategory.WARNING,
        StatusCategory.FAILURE,
        StatusCategory.SUCCESS,
    ]
    assert [sent.arrived for sent in results[:3]] == [True, False, True]
    assert "C123" in results[1].reason
    assert not results[1].peer_failed


async def test_many_portions_go_on_one_association(node, peer, storage_peer, monkeypatch):
    monkeypatch.setattr(batches, "PORTION", 2)
    forms = {(CT, EXPLICIT), (MR, EXPLICIT)}
    results = await all_of(node.sender.send(node.archive.instances(STUDY), peer, forms=forms))
    assert len(results) == 11
    assert storage_peer.received == UIDS
    assert len(storage_peer.accepted) == 1


async def test_what_was_not_expected_takes_another_association(
    node, peer, storage_peer, monkeypatch
):
    monkeypatch.setattr(batches, "PORTION", 2)
    results = await all_of(node.sender.send(node.archive.instances(STUDY), peer))
    assert all(sent.arrived for sent in results)
    assert len(storage_peer.accepted) == 2
    assert len(events_of(node, AuditKind.INSTANCES_SENT)) == 2


async def test_plain_lists_can_be_sent(node, peer, storage_peer):
    instances = [each async for each in node.archive.instances(STUDY)]
    results = await all_of(node.sender.send(instances[:3], peer))
    assert [sent.instance for sent in results] == instances[:3]


async def test_nothing_to_send_makes_no_association(node, peer, storage_peer):
    assert await all_of(node.sender.send([], peer)) == []
    assert storage_peer.accepted == []
    assert node.audit.events == []


async def test_leaving_early_releases_in_order(node, peer, storage_peer):
    closed = []

    async def instances():
        try:
            async for each in node.archive.instances(STUDY):
                yield each
        finally:
            closed.append(True)

    async with node.sender.send(instances(), peer) as results:
        async for _ in results:
            break
    assert storage_peer.received == UIDS[:1]
    await anyio.to_thread.run_sync(storage_peer.closed.acquire)
    assert storage_peer.ended == ["released"]
    assert closed == [True]
    [event] = events_of(node, AuditKind.INSTANCES_SENT)
    assert event.details["sent"] == 1


async def test_a_caller_that_is_cancelled_gets_the_answer_that_is_due_and_releases(
    node, peer, storage_peer
):
    storage_peer.wait_at = UIDS[1]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(all_of, node.sender.send(node.archive.instances(STUDY), peer))
        await anyio.to_thread.run_sync(storage_peer.waiting.wait)
        tasks.cancel_scope.cancel()
        storage_peer.go.set()
    await anyio.to_thread.run_sync(storage_peer.closed.acquire)
    assert storage_peer.received == UIDS[:2]
    assert storage_peer.ended == ["released"]
    assert events_of(node, AuditKind.ASSOCIATION_RELEASED)


async def test_a_peer_that_never_answers_does_not_hold_a_caller_that_is_cancelled(
    node, peer, storage_peer
):
    storage_peer.wait_at = UIDS[0]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(all_of, node.sender.send(node.archive.instances(STUDY), peer))
        await anyio.to_thread.run_sync(storage_peer.waiting.wait)
        tasks.cancel_scope.cancel()
    assert events_of(node, AuditKind.ASSOCIATION_ABORTED)
    storage_peer.go.set()


async def test_results_may_be_taken_under_scopes_of_the_caller(node, peer, storage_peer):
    async with node.sender.send(node.archive.instances(STUDY), peer) as results:
        taken = []
        for _ in range(11):
            with anyio.fail_after(60):
                taken.append(await anext(results))
    assert len(taken) == 11


async def test_an_unreachable_peer_fails_all_and_says_that_it_is_the_peer(node):
    nobody = Peer("NOBODY", "127.0.0.1", 1)
    results = await all_of(node.sender.send(node.archive.instances(STUDY), nobody))
    assert len(results) == 11
    assert all(sent.peer_failed and not sent.arrived for sent in results)
    assert "NOBODY" in results[0].reason
    [refused] = events_of(node, AuditKind.ASSOCIATION_REFUSED)
    assert refused.details["direction"] == "outgoing"
    [sent] = events_of(node, AuditKind.INSTANCES_SENT)
    assert (sent.outcome, sent.details["failed"]) == (Outcome.FAILURE, 11)


async def test_after_an_abort_the_rest_fails(node, peer, storage_peer):
    storage_peer.abort_at = UIDS[4]
    results = await all_of(node.sender.send(node.archive.instances(STUDY), peer))
    assert [sent.arrived for sent in results] == [True] * 4 + [False] * 7
    assert all(sent.peer_failed for sent in results[4:])
    assert len(storage_peer.accepted) == 1


async def test_an_object_that_is_gone_fails_alone(node, peer, storage_peer):
    instances = [each async for each in node.archive.instances(STUDY)]
    gone = StoredInstance(instances[0].identity, EXPLICIT, "gone", 100, 10)
    node.archive._held.pop(gone.identity.path)
    results = await all_of(node.sender.send([gone, instances[1]], peer))
    assert [sent.arrived for sent in results] == [False, True]
    assert not results[0].peer_failed


async def test_what_the_iteration_raises_reaches_the_caller(node, peer):
    async def instances():
        yield (await anext(node.archive.instances(STUDY)))
        raise OSError("the index is gone")

    with pytest.raises(OSError, match="the index is gone"):
        await all_of(node.sender.send(instances(), peer))


async def test_nothing_is_sent_that_cannot_be_audited(node, peer, storage_peer):
    node.audit.failing = True
    with pytest.raises(AuditFailedError):
        await all_of(node.sender.send(node.archive.instances(STUDY), peer))
    assert storage_peer.received == []
