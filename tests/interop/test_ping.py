"""``pacs ping`` of DCMTK's storescp, of a node, and of what is no peer."""

import json
import socket

import pytest

from pacs_core.cli.main import main
from pacs_core.testing.node import node_thread
from pacs_core.testing.peer_programs import PeerPrograms, find_free_port

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, IMPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70"


def ping(capsys, *arguments):
    code = main(["ping", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_what_storescp_accepts_is_told(tmp_path, capsys):
    port = find_free_port()
    with PeerPrograms(tmp_path).serve("storescp", port, "--accept-all"):
        code, out, err = ping(capsys, f"X@127.0.0.1:{port}", "--json")
        found = json.loads(out)
        assert (code, err) == (0, "")
        assert {EXPLICIT, IMPLICIT, JPEG} <= {*found["accepted"][CT]}
        assert "C-ECHO: 0000H" in found["steps"][3]
        code, out, _ = ping(capsys, f"X@127.0.0.1:{port}", "-c", "CTImageStorage")
        assert code == 0
        assert "1 of 1 SOP classes are accepted" in out
        assert "JPEG Lossless" in out.splitlines()[-1]


def test_a_node_accepts_what_its_statement_says(tmp_path, capsys):
    tables = {"network": {"check_called_ae_title": True}}
    plugins = ("sop-verification", "sop-storage", "store-filesystem", "index-sqlite")
    with node_thread(tmp_path, tables, plugins=plugins) as node:
        _, out, _ = ping(capsys, f"PACS@127.0.0.1:{node.port}", "--json")
        code, _, err = ping(capsys, f"OTHER@127.0.0.1:{node.port}")
    accepted = json.loads(out)["accepted"]
    assert CT in accepted
    assert "1.2.840.10008.5.1.4.1.2.2.1" not in accepted  # no Query/Retrieve without its plugin
    assert code == 1
    assert "called AE title" in err


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        ("X@host.invalid:104", "has no address"),
        ("X", "AET@HOST:PORT"),
        ("X@127.0.0.1:1", "refused"),
    ],
)
def test_a_peer_that_is_not_there_is_named(capsys, peer, said):
    code, out, err = ping(capsys, peer)
    assert code in {1, 2}
    assert out in {"", "127.0.0.1 is 127.0.0.1\n"}
    assert said in err


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_asked(capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        code, _, err = ping(capsys, f"X@127.0.0.1:{port}", "--timeout", "0.5")
    assert code == 1
    assert f"127.0.0.1:{port}" in err
