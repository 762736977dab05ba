"""Who is let in: the limit of associations, and AE titles by configuration."""

import pytest

from pacs_core.upper_layer import encode

# PS3.8 Table 9-21.
LOCAL_LIMIT_EXCEEDED = (2, 3, 2)
CALLED_NOT_RECOGNIZED = (1, 1, 7)
CALLING_NOT_RECOGNIZED = (1, 1, 3)


@pytest.fixture(scope="module")
def tables():
    return {
        "network": {
            "max_associations": 3,
            "check_called_ae_title": True,
            "calling_ae_titles": ["RAW", "CT 1"],
        },
        "node": {"ae_title": "ARCHIVE"},
    }


# Leading and trailing spaces are not significant (PS3.8 §9.3.2); case is.
TITLES = {
    ("PACS", "RAW"): CALLED_NOT_RECOGNIZED,
    ("archive", "RAW"): CALLED_NOT_RECOGNIZED,
    ("ARCHIVE1", "RAW"): CALLED_NOT_RECOGNIZED,
    ("ARCHIVE", "OTHER"): CALLING_NOT_RECOGNIZED,
    ("ARCHIVE", "raw"): CALLING_NOT_RECOGNIZED,
    ("ARCHIVE", "RA"): CALLING_NOT_RECOGNIZED,
    ("OTHER", "OTHER"): CALLED_NOT_RECOGNIZED,
}


@pytest.mark.parametrize("titles", TITLES, ids="/".join)
def test_ae_title_is_not_recognized(wire, dial, recorded, titles):
    called, calling = titles
    peer = dial().send(encode(wire.request(called=called, calling=calling)))
    assert peer.read_pdu() == wire.reject(*TITLES[titles])
    recorded(peer, "association-refused", "AE title")


@pytest.mark.parametrize("calling", [b"RAW", b"  RAW  ", b"CT 1"])
def test_ae_title_is_recognized(wire, dial, calling):
    peer = dial().send(wire.handmade(wire.context(1), called=b" ARCHIVE", calling=calling))
    assert peer.read_pdu()[0] == 0x02
    peer.release()


def test_limit_of_associations(wire, dial, recorded):
    """One more is rejected for now; as soon as one ends there is room again."""
    request = wire.request(called="ARCHIVE")
    peers = [dial(request) for _ in range(3)]
    surplus = dial().send(encode(request))
    assert surplus.read_pdu() == wire.reject(*LOCAL_LIMIT_EXCEEDED)
    recorded(surplus, "association-refused", "3 associations are open already")
    for peer in peers:
        assert peer.message(wire.ECHO, wire.echo()).response()[0].status == 0x0000
    peers[0].send(wire.RELEASE_RQ)
    assert peers[0].read_pdu() == wire.RELEASE_RP  # and the connection stays open
    dial(request).release()


def test_aborted_association_gives_its_place_back(wire, dial, eventually):
    request = wire.request(called="ARCHIVE")
    peers = [dial(request) for _ in range(3)]
    peers[1].send(wire.abort(0, 0))
    assert peers[1].read_pdu() is None
    dial(request).release()


def test_connections_that_say_nothing_take_no_place(wire, dial):
    """Only associations count; a port scanner does not lock modalities out."""
    for _ in range(20):
        dial()
    dial(wire.request(called="ARCHIVE")).release()
