"""Certificates that change, expire, or cannot be used: what a running node and `pacs tls` say."""

import json
import shutil
import signal
import subprocess
import sys
import time

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from pacs_core.association import Proposal, connect
from pacs_core.config import to_toml
from pacs_core.contracts import ClientTls, Peer, Secret
from pacs_core.testing.node import node_process, write_config
from tests.tls.handmade import self_signed

PATIENCE = 60.0
ARCHIVE = ("store-filesystem", "index-sqlite", "audit-json", "audit-atna", "sop-verification")
VERIFICATION = "1.2.840.10008.1.1"


@pytest.fixture
def files(tmp_path, of_node):
    """The node's certificate and key in files that a test may replace."""
    folder = tmp_path / "files"
    folder.mkdir()
    shutil.copy(of_node.certificate, folder / "node.crt")
    shutil.copy(of_node.key, folder / "node.key")
    return folder


@pytest.fixture
def tables(files, authority):
    tls = {"port": 0, "certificate": str(files / "node.crt"), "ca": str(authority.file)}
    tls["key"] = {"file": str(files / "node.key")}
    return {"log": {"level": "info"}, "network": {"timeouts": {"shutdown": 1.0}, "tls": tls}}


def peer_of(node, authority, of_modality):
    key = of_modality.own["key"]["file"]
    tls = ClientTls(ca=authority.file, certificate=of_modality.certificate, key=Secret(file=key))
    return Peer("PACS", "127.0.0.1", node.tls_port, tls=tls)


def events(node, kind):
    found = sorted((node.data_directory / "audit").glob("*.jsonl"))
    lines = [json.loads(line) for file in found for line in file.read_text().splitlines()]
    return [event["details"] for event in lines if event["event"] == kind]


def await_log(node, text, count=1):
    deadline = time.monotonic() + PATIENCE
    while (logged := node.log.read_text()).count(text) < count:
        assert time.monotonic() < deadline, logged
        time.sleep(0.1)


def serial(peer):
    async def ask():
        async with connect(peer, [Proposal(VERIFICATION)]) as association:
            assert (await association.c_echo()).status == 0x0000
            return association.info.tls.certificate.serial_number

    return anyio.run(ask)


def replace(files, pem, *, only=("crt", "key")):
    for suffix in only:
        source = pem.certificate if suffix == "crt" else pem.key
        shutil.copy(source, files / "new")
        (files / "new").rename(files / f"node.{suffix}")


def test_files_that_change_are_read_again_and_associations_go_on(
    tmp_path, tables, files, authority, of_modality
):
    renewed = authority.issue("127.0.0.1", name="renewed")

    async def main(node):
        peer = peer_of(node, authority, of_modality)
        async with connect(peer, [Proposal(VERIFICATION)]) as running:
            first = running.info.tls.certificate.serial_number
            # A certificate without its key: what there was stays.
            replace(files, renewed, only=("crt",))
            await anyio.to_thread.run_sync(await_log, node, "goes on with the certificates")
            assert await anyio.to_thread.run_sync(serial, peer) == first
            replace(files, renewed, only=("key",))
            await anyio.to_thread.run_sync(await_log, node, "its certificates were read again")
            assert await anyio.to_thread.run_sync(serial, peer) != first
            assert (await running.c_echo()).status == 0x0000  # it began before

    with node_process(tmp_path / "node", tables) as node:
        anyio.run(main, node)
        assert node.stop() == 0
        failed, changed = events(node, "certificate-changed")
        assert failed["table"] == changed["table"] == "network.tls"
        assert "key values mismatch" in failed["reason"]
        assert "reason" not in changed


def test_settings_of_tls_change_on_sighup_and_bad_ones_are_refused(
    tmp_path, tables, authority, of_modality
):
    folder = tmp_path / "node"
    with node_process(folder, tables) as node:
        peer = peer_of(node, authority, of_modality)
        first = serial(peer)
        tables["network"]["tls"]["ca"] = str(tmp_path / "nowhere.pem")
        write_config(folder, tables)
        node.process.send_signal(signal.SIGHUP)
        await_log(node, "nowhere.pem: cannot be read: No such file")
        await_log(node, "the node goes on with the configuration that it had")
        assert serial(peer) == first
        other = authority.issue("127.0.0.1", name="other")
        tables["network"]["tls"] |= {"ca": str(authority.file), **other.own, "port": 1}
        tables["node"] = {"port": 0, "data_directory": str(folder)}
        write_config(folder, tables)
        node.process.send_signal(signal.SIGHUP)
        await_log(node, "network.tls.certificate, network.tls.key")
        await_log(node, "these settings need a restart: network.tls.port")
        assert serial(peer) != first
        tables["network"]["tls"] |= {"peers": "ignored"}
        write_config(folder, tables)
        node.process.send_signal(signal.SIGHUP)
        await_log(node, "network.tls.peers changed")
        anonymous = Peer("PACS", "127.0.0.1", node.tls_port, tls=ClientTls(ca=authority.file))
        assert serial(anonymous) != first


def test_a_certificate_that_expires_soon_is_warned_of(tmp_path, tables, authority):
    brief = authority.issue_brief("127.0.0.1", days=29)
    tables["network"]["tls"] |= brief.own
    with node_process(tmp_path / "node", tables) as node:
        await_log(node, "network.tls.certificate: ")
        await_log(node, "brief.crt: expires in 29 days, on ")
        assert node.stop() == 0
        (details,) = events(node, "certificate-expiry")
        assert details["where"] == "network.tls.certificate"
        assert "expires in 29 days" in details["reason"]


def test_every_table_is_looked_after_from_thirty_days_before(
    tmp_path, tables, authority, of_node, tls_check
):
    """The CA expired unnoticed that others came with (dcm4chee-arc-light 3806)."""
    brief = authority.issue_brief("127.0.0.1", days=29)
    longer = authority.issue_brief("127.0.0.1", days=31, name="longer")
    tls = {"ca": str(brief.certificate), **longer.own}
    tables["peers"] = {"ct": {"ae_title": "CT", "host": "127.0.0.1", "port": 104, "tls": tls}}
    web = {"port": 0, "tls": {"peers": "ignored", **brief.own}}
    collector = {"collector": "tls://127.0.0.1:1", "tls": {"ca": str(of_node.certificate)}}
    tables["plugin"] = {"web": web, "audit-atna": collector}
    with node_process(tmp_path / "node", tables, plugins=("web", *ARCHIVE)) as node:
        await_log(node, "peers.ct.tls.ca: ")
        await_log(node, "plugin.web.tls.certificate: ")
        assert node.stop() == 0
        found = {each["where"]: each["reason"] for each in events(node, "certificate-expiry")}
        assert set(found) == {"peers.ct.tls.ca", "plugin.web.tls.certificate"}
        assert all("brief.crt: expires in 29 days" in reason for reason in found.values())
    code, output = tls_check(tables)
    assert code == 1
    lines = output.splitlines()
    seen = {line.split()[1].rstrip(":"): line.split()[0] for line in lines if line[0] != " "}
    assert seen == {
        "network.tls.certificate": "ok",
        "network.tls.ca": "ok",
        "peers.ct.tls.certificate": "ok",
        "peers.ct.tls.ca": "PROBLEM",
        "plugin.web.tls.certificate": "PROBLEM",
        "plugin.audit-atna.tls.ca": "ok",
    }
    assert output.count("expires in 31 days") == 1


def test_one_that_has_expired_is_an_error_and_the_node_serves(tmp_path, tables, authority):
    tables["network"]["tls"] |= authority.issue_expired("127.0.0.1").own
    with node_process(tmp_path / "node", tables) as node:
        await_log(node, "expired.crt: has expired on ")
        assert node.port


@pytest.fixture
def tls_check(tmp_path):
    """Return a function that runs `pacs tls check` with tables; returns exit code and output."""

    def tls_check(tables, *, command=("tls", "check")):
        config = tmp_path / "check.toml"
        config.write_text(to_toml(tables))
        run = subprocess.run(
            [sys.executable, "-m", "pacs_core.cli.main", *command, "--config", str(config)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        return run.returncode, run.stdout + run.stderr

    return tls_check


def test_check_shows_every_certificate(tls_check, of_node, of_modality, authority):
    peer = {"ae_title": "CT", "host": "ct1", "tls": of_modality.own}
    network = {"tls": {**of_node.own, "ca": str(authority.file)}}
    code, output = tls_check({"network": network, "peers": {"ct": peer}})
    assert code == 0
    assert "ok      network.tls.certificate: O=trustme" in output
    assert "for IP Address:127.0.0.1, DNS:localhost, issued by O=CA of authority" in output
    assert "ok      network.tls.ca: O=CA of authority" in output
    assert "ok      peers.ct.tls.certificate: " in output
    assert "CN=ct1 for DNS:ct1.hospital.example" in output


def test_check_finds_what_is_wrong(tls_check, tmp_path, authority, stranger, of_node):
    def network(pem, **more):
        return {"network": {"tls": {**pem.own, "ca": str(authority.file), **more}}}

    code, output = tls_check(network(authority.issue_brief("127.0.0.1", days=3)))
    assert code == 1
    assert "PROBLEM network.tls.certificate: " in output
    assert "expires in 3 days" in output
    code, output = tls_check(network(authority.issue_expired("127.0.0.1")))
    assert (code, "has expired on" in output) == (1, True)
    code, output = tls_check(network(authority.issue_future("127.0.0.1")))
    assert (code, "is not valid before" in output) == (1, True)
    wrong = {"key": {"file": str(stranger.issue("x.example").key)}}
    code, output = tls_check(network(of_node, **wrong))
    assert (code, "key values mismatch" in output) == (1, True)
    code, output = tls_check(network(of_node, ca=str(tmp_path / "nowhere")))
    assert (code, "nowhere: cannot be read" in output) == (1, True)
    code, output = tls_check({})
    assert (code, "no table of the configuration names" in output) == (0, True)


def test_a_node_does_not_start_with_files_that_cannot_be_used(tls_check, of_node, tmp_path):
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    tls = {**of_node.own, "ca": str(nothing)}
    peer = {"ae_title": "CT", "host": "ct1", "tls": {"ca": str(tmp_path / "nowhere.pem")}}
    given = {"network": {"tls": tls}, "peers": {"ct": peer}}
    code, output = tls_check(given, command=("config", "check"))
    assert code == 2
    assert f"network.tls: {nothing}: no certificates in PEM" in output
    assert "peers.ct.tls: " in output
    assert "nowhere.pem: cannot be read" in output


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("node.der", "node.key", "node.der is DER or PKCS #12, not PEM"),
        ("node.p12", "node.key", "node.p12 is DER or PKCS #12, not PEM"),
        ("node.crt", "node.p12", "node.p12 is DER or PKCS #12, not PEM"),
        ("node.key", "node.key", "node.key has no certificate in PEM"),
        ("node.crt", "node.crt", "node.crt has no private key in PEM"),
        ("short.crt", "short.key", "the key is too short: RSA needs 2048 bits"),
    ],
)
def test_files_that_others_take(tls_check, of_node, tmp_path, certificate, key, said):
    """PKCS #12 and short keys are usual (fo-dicom 1688, dcm4che 1458): say what to do."""
    shutil.copy(of_node.certificate, tmp_path / "node.crt")
    shutil.copy(of_node.key, tmp_path / "node.key")
    read = x509.load_pem_x509_certificate(of_node.certificate.read_bytes())
    private = serialization.load_pem_private_key(of_node.key.read_bytes(), None)
    (tmp_path / "node.der").write_bytes(read.public_bytes(serialization.Encoding.DER))
    encryption = serialization.NoEncryption()
    bundle = pkcs12.serialize_key_and_certificates(b"node", private, read, None, encryption)
    (tmp_path / "node.p12").write_bytes(bundle)
    short = self_signed(tmp_path, key=rsa.generate_private_key(65537, 1024))
    for path, suffix in zip(short, ("crt", "key"), strict=True):
        path.rename(tmp_path / f"short.{suffix}")
    own = {"certificate": str(tmp_path / certificate), "key": {"file": str(tmp_path / key)}}
    code, output = tls_check({"network": {"tls": {"peers": "ignored", **own}}})
    assert (code, said in output) == (1, True), output


def test_what_does_not_go_together_is_said(tls_check, of_node):
    tls = {"certificate": str(of_node.certificate), "profile": "bcp195", "ciphers": "NULL"}
    code, output = tls_check({"network": {"tls": tls}}, command=("config", "check"))
    assert code == 2
    assert "ciphers are those of the profile" in output
    tls = {"certificate": str(of_node.certificate)}
    code, output = tls_check({"network": {"tls": tls}}, command=("config", "check"))
    assert 'peers = "required": name with ca who vouches for them, or say "ignored"' in output


def test_a_key_from_the_environment(tmp_path, tables, of_node, of_modality, authority, monkeypatch):
    monkeypatch.setenv("NODE_KEY", of_node.key.read_text())
    tables["network"]["tls"]["key"] = {"env": "NODE_KEY"}
    with node_process(tmp_path / "node", tables) as node:
        assert serial(peer_of(node, authority, of_modality))


def test_a_key_with_a_passphrase(tmp_path, of_node, tls_check):
    key = serialization.load_pem_private_key(of_node.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked.write_bytes(
        key.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"open sesame"))
    )
    (tmp_path / "phrase").write_text("open sesame\n")
    tls = {"certificate": str(of_node.certificate), "key": {"file": str(locked)}}
    tls |= {"peers": "ignored", "port": 0}
    code, output = tls_check({"network": {"tls": tls}})
    assert (code, "it has a passphrase" in output) == (1, True)
    tls["passphrase"] = {"file": str(tmp_path / "phrase")}
    code, output = tls_check({"network": {"tls": tls}})
    assert code == 0, output
