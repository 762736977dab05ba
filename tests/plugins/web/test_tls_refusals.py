"""HTTPS that is refused: each reason is in log and audit trail, and the server goes on."""

import json
import os
import socket
import ssl

import httpx
import pytest
import trustme

from pacs_core.testing.peer_programs import PeerPrograms
from tests.tls.conftest import Authority
from tests.tls.handmade import authority_key, self_signed
from tests.tls.openssl_client import check_offers, offer

from .conftest import PATIENCE, run_web, wait_for


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def client(authority):
    return authority.issue("browser.hospital.example")


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return PeerPrograms(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module")
def web(bulletin, authority, tmp_path_factory):
    """A server that wants certificates, and has little time."""
    own = authority.issue("127.0.0.1", name="server").own
    settings = {"tls": {"ca": str(authority.file), **own}, "timeouts": {"head": 2.0}}
    with run_web(tmp_path_factory.mktemp("web"), settings) as running:
        yield running
        assert running.node.stop() == 0
        assert "Traceback" not in running.log


def refusals(web):
    files = sorted((web.node.data_directory / "audit").glob("*.jsonl"))
    events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [each["details"]["reason"] for each in events if each["event"] == "web.refused"]


def await_refusal(web, said):
    """Wait for a refusal in the audit trail, which is in the log as well."""
    reason = wait_for(lambda: next((r for r in refusals(web) if said in r), ""), said)
    assert f"refused: {reason}" in web.log


def present(web, authority, certificate=None, key=None):
    """Ask with a certificate; return the status, or 0 if there is none."""
    context = ssl.create_default_context(cafile=authority.file)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    try:
        with httpx.Client(verify=context, timeout=PATIENCE) as asking:
            return asking.get(f"https://127.0.0.1:{web.port}/health/live").status_code
    except httpx.TransportError:
        return 0


def test_a_certificate_that_is_good_and_none(web, authority, client):
    assert present(web, authority, client.certificate, client.key) == 200
    assert present(web, authority) == 0
    await_refusal(web, "TLS: it showed no certificate")


@pytest.mark.parametrize(
    ("issue", "said"),
    [
        (lambda ours, theirs: ours.issue_expired("a.example"), "certificate has expired"),
        (lambda ours, theirs: ours.issue_future("a.example"), "certificate is not yet valid"),
        (lambda ours, theirs: theirs.issue("a.example"), "unable to get local issuer"),
    ],
    ids=["expired", "not-yet-valid", "unknown-ca"],
)
def test_certificates_that_are_not_accepted(web, authority, stranger, issue, said):
    pem = issue(authority, stranger)
    assert present(web, authority, pem.certificate, pem.key) == 0
    await_refusal(web, said)


def test_certificates_made_by_hand(web, authority, client, tmp_path):
    assert present(web, authority, *self_signed(tmp_path)) == 0
    await_refusal(web, "self-signed certificate")
    many = [f"host-{number:05}.hospital.example" for number in range(10_000)]
    assert present(web, authority, *self_signed(tmp_path, names=many)) == 0
    await_refusal(web, "too long")
    signed = self_signed(
        tmp_path, common_name="a\0\x1b[31m\nforged", sign_with=authority_key(authority)
    )
    assert present(web, authority, *signed) == 200
    assert not {"\0", "\x1b"} & set(web.log)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "TLS: it speaks HTTP"),
        (b"\x01\0\0\0\0\x10" + bytes(16), "TLS: "),
        (b"\x16\x03\x01\x02\x00" + os.urandom(512), "TLS: "),
        (b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(16380), "TLS: its certificates, or an"),
        (b"\x16\x03\x01", "TLS: the handshake did not end"),
    ],
    ids=["http", "dicom", "garbage", "huge", "slow"],
)
def test_what_is_no_handshake(web, authority, client, sent, said):
    before = len([reason for reason in refusals(web) if said in reason])
    with socket.create_connection(("127.0.0.1", web.port), PATIENCE) as connection:
        connection.sendall(sent)
        wait_for(lambda: len([r for r in refusals(web) if said in r]) > before, said)
    await_refusal(web, said)
    assert present(web, authority, client.certificate, client.key) == 200


def test_a_downgrade(web, programs, client):
    assert offer(programs, web.port, "-tls1_2", "-fallback_scsv", pem=client) is None
    await_refusal(web, "downgrade")


def test_renegotiation(web, programs, authority, client):
    """RFC 9325 §3.5: it is not begun; nothing is refused that could be recorded."""
    own = ("-cert", client.certificate, "-key", client.key)
    where = ("s_client", "-connect", f"127.0.0.1:{web.port}", "-tls1_2", *own)
    with programs.start("openssl", *where, stdin=True) as process:
        said = ""
        while "Verify return code" not in said:  # the handshake has ended
            said = process.stdout.readline()
        output = process.communicate("R\n", timeout=PATIENCE)[0]
    assert "no renegotiation" in output
    assert present(web, authority, client.certificate, client.key) == 200


@pytest.mark.parametrize(("profile", "kind"), [("bcp195", "RSA"), ("bcp195-modified", "ECDSA")])
def test_the_profiles(bulletin, authority, programs, tmp_path, profile, kind):
    """PS3.15 B.12, B.13."""
    key_type = trustme.KeyType[kind]
    own = authority.issue("127.0.0.1", name=f"server-{kind}", key_type=key_type).own
    settings = {"tls": {"peers": "ignored", "profile": profile, **own}}
    with run_web(tmp_path / "node", settings) as web:
        check_offers(programs, web.port, profile, kind)
        await_refusal(web, "no version above TLS 1.1")
        await_refusal(web, "no permitted cipher suite")
