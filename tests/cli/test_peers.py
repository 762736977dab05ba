"""Peers as they are typed."""

import pytest

from pacs_core.cli.errors import UsageError
from pacs_core.cli.peers import parse_peer
from pacs_core.contracts import Peer

KNOWN = {"ward": Peer("WARD", "ward.example", 104, "ward")}


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("PACS@127.0.0.1:11112", Peer("PACS", "127.0.0.1", 11112)),
        ("A B@host.example:1", Peer("A B", "host.example", 1)),
        ("PACS@[::1]:104", Peer("PACS", "::1", 104)),
        ("PACS@[fe80::1%eth0]:65535", Peer("PACS", "fe80::1%eth0", 65535)),
        ("A@B@host:104", Peer("A@B", "host", 104)),
        ("ward", KNOWN["ward"]),
    ],
)
def test_peers(text: str, peer: Peer) -> None:
    assert parse_peer(text, KNOWN) == peer


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PACS@::1:104", "brackets"),
        ("PACS@host", "AET@HOST:PORT"),
        ("PACS@:104", "AET@HOST:PORT"),
        ("PACS@[]:104", "AET@HOST:PORT"),
        ("PACS@host:0", "1 to 65535"),
        ("PACS@host:65536", "1 to 65535"),
        ("PACS@host:x", "1 to 65535"),
        ("PACS@host:²", "1 to 65535"),
        ("@host:104", "AE title"),
        ("SEVENTEEN-LETTERS@host:104", "AE title"),
        ("wart", "did you mean ward"),
        ("elsewhere", "configured are ward"),
    ],
)
def test_what_is_no_peer(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_peer(text, KNOWN)
