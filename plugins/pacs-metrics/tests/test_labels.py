"""Labels have few values, whatever comes over the wire."""

from types import SimpleNamespace

from hypothesis import given, settings, strategies as st
from pacs_metrics.labels import OTHER, PeerNames, status_of

from pacs_core.contracts import NodeSettings, Origin, Peer
from pacs_core.dimse import Status, StatusCategory

PEERS = {"ct": Peer("CT1", "192.0.2.1", 104), "viewer": Peer("VIEW", "192.0.2.2", 104)}
NAMES = PeerNames(SimpleNamespace(settings=NodeSettings(peers=PEERS)))
KNOWN = {f"{status:04X}" for status in Status} | {each.value for each in StatusCategory} | {"none"}


def association(calling, called, *, is_requestor):
    origin = Origin("DIMSE", calling_ae_title=calling, called_ae_title=called)
    return SimpleNamespace(origin=origin, is_requestor=is_requestor)


@settings(max_examples=30)
@given(st.none() | st.integers(0, 0xFFFF))
def test_a_status_is_one_of_the_standard_or_its_category(code):
    assert status_of(code) in KNOWN


def test_statuses_keep_what_they_mean():
    # PS3.7 Annex C: 0000H success, A700H out of resources; C123H only by its range, a failure
    assert [status_of(code) for code in (0, 0xA700, 0xC123, 0xB00A, None)] == [
        "0000",
        "A700",
        "failure",
        "warning",
        "none",
    ]


@settings(max_examples=30)
@given(st.text(max_size=16), st.booleans())
def test_a_peer_is_a_configured_one_or_other(title, is_requestor):
    found = NAMES.name_of(association(title, title, is_requestor=is_requestor))
    assert found in {*PEERS, OTHER}
    assert (found == OTHER) == (title not in ("CT1", "VIEW"))


def test_the_peer_is_who_asks_or_is_asked():
    assert NAMES.name_of(association("CT1", "PACS", is_requestor=False)) == "ct"
    assert NAMES.name_of(association("PACS", "VIEW", is_requestor=True)) == "viewer"


def test_peers_follow_the_configuration():
    node = SimpleNamespace(settings=NodeSettings())
    names, ct = PeerNames(node), association("CT1", "PACS", is_requestor=False)
    assert names.name_of(ct) == OTHER
    node.settings = NodeSettings(peers=PEERS)
    assert names.name_of(ct) == "ct"
