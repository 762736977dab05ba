"""Secured associations of our own: what is refused, and what the commands do and say."""

import subprocess
import sys
import time

import anyio
import pytest
from attrs import evolve
from pydicom import dcmread

from pacs_core.association import AssociationError, ConnectError, Proposal, connect
from pacs_core.config import to_toml
from pacs_core.contracts import ClientTls, Timeouts
from pacs_core.testing.raw_peer import raw_server

VERIFICATION = "1.2.840.10008.1.1"


def refused(node, peer):
    with pytest.raises(AssociationError) as caught:
        node.echo(peer)
    return str(caught.value)


@pytest.mark.parametrize(
    ("issue", "said"),
    [
        (lambda a: a.issue("other.hospital.example"), "IP address mismatch"),
        (lambda a: a.issue_expired("127.0.0.1"), "certificate has expired"),
        (lambda a: a.issue_future("127.0.0.1"), "certificate is not yet valid"),
    ],
    ids=["wrong-host", "expired", "not-yet-valid"],
)
def test_the_peers_certificate_is_not_as_it_should_be(
    secure_node, authority, of_modality, issue, said
):
    with secure_node(goes_on=False, **issue(authority).own) as node:
        assert said in refused(node, node.peer(of_modality))


def test_the_host_need_not_be_named_if_that_is_said(secure_node, authority, of_modality):
    elsewhere = authority.issue("other.hospital.example")
    with secure_node(goes_on=False, **elsewhere.own) as node:
        info = node.echo(node.peer(of_modality, check_hostname=False))
        assert info.tls.certificate.names == ("DNS:other.hospital.example",)


def test_the_peers_own_certificate_can_be_trusted_by_itself(secure_node, of_node, of_modality):
    with secure_node() as node:
        node.echo(node.peer(of_modality, ca=of_node.certificate))


def test_system_authorities_do_not_vouch_for_it(secure_node, of_modality):
    with secure_node() as node:
        told = refused(node, node.peer(of_modality, ca=None))
        assert "its certificate is not accepted: self-signed certificate in certificate" in told


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (lambda peer: time.sleep(2), "no TLS handshake within 0.5 s; does it speak TLS"),
        (lambda peer: peer.socket.recv(1), "it closed the connection"),
        (
            lambda peer: peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "what it sends is no TLS",
        ),
    ],
    ids=["mute", "closes", "http"],
)
def test_peers_that_do_not_speak_tls(script, said):
    async def main(peer):
        async with connect(peer, [Proposal(VERIFICATION)], timeouts=Timeouts(artim=0.5)):
            pass

    with raw_server(script) as peer, pytest.raises(ConnectError) as caught:
        anyio.run(main, evolve(peer, tls=ClientTls()))
    assert said in str(caught.value)


def test_files_that_are_not_there(secure_node, of_modality, tmp_path):
    with secure_node() as node:
        told = refused(node, node.peer(of_modality, ca=tmp_path / "nowhere.pem"))
        assert "nowhere.pem: cannot be read: No such file" in told


@pytest.fixture
def pacs(tmp_path, authority, of_modality):
    """Return a function that runs a command; `safe` has a certificate, `anonymous` has none."""

    def pacs(port, *arguments, code=0):
        peer = {"host": "127.0.0.1", "port": port}
        trusted = {"ca": str(authority.file)}
        peers = {
            "safe": {**peer, "ae_title": "PACS", "tls": trusted | of_modality.own},
            "anonymous": {**peer, "ae_title": "ANONYMOUS", "tls": trusted},
        }
        config = tmp_path / "client.toml"
        config.write_text(to_toml({"peers": peers}))
        command = [sys.executable, "-m", "pacs_core.cli.main", *arguments, "--config", config]
        run = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)
        assert run.returncode == code, run.stderr
        return run.stdout + run.stderr

    return pacs


@pytest.mark.timeout(240)  # seven processes
def test_the_commands_go_by_the_peers_table(secure_node, pacs, file, image, tmp_path):
    study = f"StudyInstanceUID={image.StudyInstanceUID}"
    with secure_node() as node:
        pacs(node.port, "echo", "safe")
        assert "it requires a certificate of ours" in pacs(node.port, "echo", "anonymous", code=1)
        pacs(node.port, "store", "safe", file)
        assert "P1" in pacs(node.port, "find", "safe", "-k", study, "-k", "PatientID")
        pacs(node.port, "get", "safe", "-k", study, "--output", tmp_path / "got")
        (got,) = [path for path in (tmp_path / "got").rglob("*") if path.is_file()]
        assert dcmread(got).PixelData == image.PixelData
        # Of the node's peers none has this AE title, which it says over the secured association.
        assert "NOBODY" in pacs(node.port, "move", "safe", "--to", "NOBODY", "-k", study, code=1)
