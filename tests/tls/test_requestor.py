"""Secured associations of our own: what is refused, and what the commands do and say."""

import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import anyio
import pytest
from attrs import evolve
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from pacs_core.association import AssociationError, ConnectError, Proposal, connect
from pacs_core.config import to_toml
from pacs_core.contracts import ClientTls, Timeouts
from pacs_core.testing.raw_peer import raw_server

from .conftest import move

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


def _serve_nothing(listening, answer):
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            answer(connection)


@contextmanager
def _server(answer):
    """Give each connection to a function; return the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve_nothing, args=(listening, answer))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _show(pem, authority):
    """Return an answer: a handshake with a certificate, that wants none of its client's CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem.certificate, pem.key)
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.file)

    def answer(connection):
        secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with secured:
            try:
                secured.do_handshake()
                secured.recv(1)
            except ssl.SSLError:
                # A socket that is closed with something unread is reset, and our alert is lost.
                secured.settimeout(20)
                while authority is not None and socket.socket.recv(secured, 1 << 16):
                    pass

    return answer


A_ABORT = b"\x07\0\0\0\0\x04\0\0\x02\x01"
REFUSALS = {
    "wrong-host": lambda a, b: _show(a.issue("other.hospital.example"), None),
    "expired": lambda a, b: _show(a.issue_expired("127.0.0.1"), None),
    "not-yet-valid": lambda a, b: _show(a.issue_future("127.0.0.1"), None),
    "unknown-ca": lambda a, b: _show(b.issue("127.0.0.1", name="scp"), None),
    "refused-by-peer": lambda a, b: _show(a.issue("127.0.0.1", name="scp"), b),
    "no-tls": lambda a, b: lambda connection: connection.sendall(A_ABORT),
    "timeout": lambda a, b: lambda connection: connection.recv(1 << 16) and connection.recv(1),
}
"""What a destination does by which it is refused, given its CA and another."""


def test_what_a_node_refuses_to_send_to_is_logged_and_audited(
    secure_node, of_modality, authority, stranger, image
):
    network = {"timeouts": {"artim": 1.0, "shutdown": 1.0}}
    trusted = {"ca": str(authority.file), **of_modality.own}
    with ExitStack() as stack:
        remote = {
            code: {
                "ae_title": code.upper(),
                "host": "127.0.0.1",
                "port": stack.enter_context(_server(refusal(authority, stranger))),
                "tls": trusted,
            }
            for code, refusal in REFUSALS.items()
        }
        with secure_node(remote=remote, network=network) as node:
            sender = AE("SENDER")
            sender.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
            plain = sender.associate("127.0.0.1", node.node.port)
            assert plain.send_c_store(image).Status == 0x0000
            plain.release()
            for code in REFUSALS:
                assert move(node, of_modality, image, code.upper())[1] == 0
                node.await_refusal(code)
