"""Secured associations that the node accepts, and what it refuses: it says which, and goes on."""

import socket
import subprocess
import sys

import pytest
from attrs import evolve

from pacs_core.association import AssociationError
from pacs_core.testing.node import node_process, write_config


def refused(node, peer):
    with pytest.raises(AssociationError) as caught:
        node.echo(peer)
    return str(caught.value)


def test_both_ends_know_each_other(secure_node, of_modality):
    with secure_node() as node:
        info = node.echo(node.peer(of_modality))
        assert info.tls.version == "TLSv1.3"
        assert info.tls.cipher_suite == "TLS_AES_256_GCM_SHA384"
        assert info.tls.certificate.names == ("IP Address:127.0.0.1", "DNS:localhost")
        (details,) = node.await_details("association-accepted")
        assert details["tls"] == "TLSv1.3"
        assert details["cipher_suite"] == "TLS_AES_256_GCM_SHA384"
        assert "CN=ct1" in details["certificate"]
        assert len(details["certificate_fingerprint"]) == 64
        assert "secured by TLSv1.3 TLS_AES_256_GCM_SHA384 by " in node.caplog.text


def test_the_plain_port_beside_it(secure_node, of_modality):
    with secure_node() as node:
        plain = evolve(node.peer(port=node.node.port), tls=None)
        assert node.echo(plain).tls is None


def test_instead_of_the_plain_port(secure_node, of_modality):
    with secure_node(plain=False) as node:
        assert node.node.port == 0
        node.echo(node.peer(of_modality))


def test_a_missing_certificate(secure_node):
    with secure_node() as node:
        told = refused(node, node.peer())
        assert "it requires a certificate of ours, and there is none" in told
        assert node.await_refusal("no-certificate") == "TLS: it showed no certificate"


def test_an_expired_certificate(secure_node, authority):
    with secure_node() as node:
        told = refused(node, node.peer(authority.issue_expired("ct1.hospital.example")))
        assert "our certificate has expired" in told
        assert "certificate has expired" in node.await_refusal("expired")


def test_a_certificate_that_is_not_valid_yet(secure_node, authority):
    with secure_node() as node:
        refused(node, node.peer(authority.issue_future("ct1.hospital.example")))
        assert "certificate is not yet valid" in node.await_refusal("not-yet-valid")


def test_a_certificate_of_a_stranger(secure_node, stranger):
    with secure_node() as node:
        told = refused(node, node.peer(stranger.issue("ct1.hospital.example")))
        assert "it does not trust who issued our certificate" in told
        assert "its certificate is not accepted" in node.await_refusal("unknown-ca")


def test_the_nodes_certificate_is_not_trusted(secure_node, of_modality, stranger):
    with secure_node() as node:
        told = refused(node, node.peer(of_modality, ca=stranger.file))
        assert "its certificate is not accepted" in told
        reason = node.await_refusal("refused-by-peer")
        assert "it does not trust who issued our certificate (alert)" in reason


def test_several_authorities_in_one_file(secure_node, authority, stranger, of_modality, tmp_path):
    """Each hospital that sends has its own (dcm4chee-arc-light 4764)."""
    several = tmp_path / "several.pem"
    several.write_bytes(authority.file.read_bytes() + stranger.file.read_bytes())
    with secure_node(ca=str(several)) as node:
        node.echo(node.peer(stranger.issue("ct1.other.example")))
        node.echo(node.peer(of_modality))


def test_plain_dicom_on_the_tls_port(secure_node):
    with secure_node() as node:
        refused(node, evolve(node.peer(), tls=None))
        reason = node.await_refusal("no-tls")
        assert reason == "TLS: it speaks plain DICOM (a PDU of type 01H), not TLS"


def test_tls_on_the_plain_port(secure_node, of_modality):
    with secure_node() as node:
        told = refused(node, node.peer(of_modality, port=node.node.port))
        assert "it speaks plain DICOM (a PDU of type 07H), not TLS" in told
        (refusal,) = node.await_details("association-refused")
        assert "as if of TLS, which is not spoken on this port" in refusal["reason"]
        assert refusal["reason"] in node.caplog.text


def test_certificates_are_optional(secure_node, of_modality, stranger):
    with secure_node(peers="optional") as node:
        node.echo(node.peer())
        node.echo(node.peer(of_modality))
        first, second = node.await_details("association-accepted", 2)
        assert "certificate" not in first
        assert "CN=ct1" in second["certificate"]
        refused(node, node.peer(stranger.issue("ct1.hospital.example")))
        node.await_refusal("unknown-ca")


def test_certificates_are_ignored(secure_node, stranger):
    with secure_node(peers="ignored") as node:
        node.echo(node.peer(stranger.issue("ct1.hospital.example")))
        (details,) = node.await_details("association-accepted")
        assert "certificate" not in details


def test_a_peer_that_only_looks_is_no_news(secure_node):
    """A monitor that connects and closes is not worth an entry, as on the plain port."""
    with secure_node() as node:
        socket.create_connection(("127.0.0.1", node.port)).close()


def test_workers_share_the_port_and_both_are_announced(
    tmp_path, authority, of_node, of_modality, secure_node
):
    table = {"port": 0, "ca": str(authority.file), **of_node.own}
    tables = {"node": {"workers": 2}, "network": {"tls": table}}
    with secure_node() as other, node_process(tmp_path / "workers", tables) as node:
        assert node.port
        assert node.tls_port not in (0, node.port)
        for _ in range(6):
            other.echo(other.peer(of_modality, port=node.tls_port))
        assert node.stop() == 0
        assert node.log.read_text().count("secured by TLSv1.3") == 6


@pytest.mark.parametrize("plain", [True, False])
def test_status_says_where_the_node_listens(tmp_path, authority, of_node, plain):
    table = {"port": 0, "plain": plain, "ca": str(authority.file), **of_node.own}
    config = write_config(tmp_path, {"network": {"tls": table}})
    with node_process(tmp_path, {"network": {"tls": table}}) as node:
        urls = [f"dicom://PACS@127.0.0.1:{node.port}"] if plain else []
        urls.append(f"dicom-tls://PACS@127.0.0.1:{node.tls_port}")
        program = [sys.executable, "-m", "pacs_core.cli.main", "status", "--config", config]
        status = subprocess.run(program, capture_output=True, text=True, check=True)
        assert status.stdout.startswith(f"{' '.join(urls)} (pacs-core ")
