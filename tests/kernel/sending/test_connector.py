"""Associations in the name of the node: audited, observed, bounded."""

import anyio
import pytest
from attrs import define, field

from pacs_core.association import NetworkSettings, NodeConnector
from pacs_core.contracts import (
    AssociationObserver,
    AssociationRefusedError,
    AuditKind,
    ConnectError,
    NoConnector,
    Peer,
    PeerTimeoutError,
    Proposal,
    Timeouts,
)
from pacs_core.testing.operations import MemoryAuditTrail, memory_node

pytestmark = [
    pytest.mark.anyio,
    # pynetdicom, which is the peer here, leaves its socket unclosed when it is aborted.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

VERIFICATION = "1.2.840.10008.1.1"
PROPOSALS = [Proposal(VERIFICATION)]


@define
class Notes(AssociationObserver):
    notes: list = field(factory=list)

    async def accepted(self, association):
        self.notes.append((association.id, association.is_requestor))

    async def ended(self, association, reason):
        self.notes.append((association.id, reason))
        raise ZeroDivisionError


async def test_an_association_is_audited_like_one_that_a_peer_requested(node, peer, storage_peer):
    async with node.connect(peer, PROPOSALS) as association:
        assert (await association.c_echo()).status == 0x0000
        assert association.info.is_requestor
    accepted, released = node.audit.events
    assert accepted.kind is AuditKind.ASSOCIATION_ACCEPTED
    assert released.kind is AuditKind.ASSOCIATION_RELEASED
    assert accepted.details == {"direction": "outgoing", "contexts": 1}
    origin = accepted.origin
    assert (origin.calling_ae_title, origin.called_ae_title) == ("SENDER", "VIEWER")
    assert (origin.port, origin.association) == (peer.port, association.info.id)
    assert storage_peer.accepted[0].requestor.ae_title == "SENDER"


async def test_a_block_that_raises_aborts(node, peer):
    with pytest.raises(ZeroDivisionError):
        async with node.connect(peer, PROPOSALS):
            raise ZeroDivisionError
    assert [event.kind for event in node.audit.events] == [
        AuditKind.ASSOCIATION_ACCEPTED,
        AuditKind.ASSOCIATION_ABORTED,
    ]


async def test_what_comes_to_nothing_is_audited(node):
    with pytest.raises(ConnectError):
        async with node.connect(Peer("NOBODY", "127.0.0.1", 1), PROPOSALS):
            pass
    [event] = node.audit.events
    assert event.kind is AuditKind.ASSOCIATION_REFUSED
    assert event.origin.called_ae_title == "NOBODY"


async def test_observers_are_told_and_their_errors_harm_nobody(peer):
    notes = Notes()
    connector = NodeConnector("SENDER", NetworkSettings(), MemoryAuditTrail(), observers=(notes,))
    async with connector.connect(peer, PROPOSALS) as association:
        name = association.info.id
    assert notes.notes == [(name, True), (name, "released by this node")]


async def test_more_than_the_bound_wait_for_their_turn(peer, storage_peer):
    settings = NetworkSettings(max_associations_per_peer=2)
    connector = NodeConnector("SENDER", settings, MemoryAuditTrail())
    at_once = most = 0
    two = anyio.Event()

    async def associate():
        nonlocal at_once, most
        async with connector.connect(peer, PROPOSALS) as association:
            at_once += 1
            most = max(most, at_once)
            if at_once == 2:
                two.set()
            await two.wait()
            await association.c_echo()
            at_once -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(7):
            tasks.start_soon(associate)
    assert most == 2
    assert len(storage_peer.accepted) == 7


async def test_a_turn_that_does_not_come_is_an_error_that_names_the_key(peer):
    settings = NetworkSettings(max_associations_per_peer=1, timeouts=Timeouts(idle=0.2))
    connector = NodeConnector("SENDER", settings, MemoryAuditTrail())
    async with connector.connect(peer, PROPOSALS):
        with pytest.raises(PeerTimeoutError, match="max_associations_per_peer"):
            async with connector.connect(peer, PROPOSALS):
                pass


async def test_a_node_without_a_connector_says_so():
    with pytest.raises(LookupError):
        NoConnector().connect(Peer("A", "127.0.0.1", 1), PROPOSALS)


async def test_the_node_of_tests_connects_for_real():
    with pytest.raises((ConnectError, AssociationRefusedError)):
        async with memory_node().connect(Peer("A", "127.0.0.1", 1), PROPOSALS):
            pass
