"""Hellos and certificates that nobody means well by: each is refused, and the node goes on."""

import os
import re
import socket
import ssl
import struct
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from pacs_core.association import AssociationError
from tests.tls.handmade import authority_key, self_signed

ARTIM = {"timeouts": {"artim": 1.0, "shutdown": 1.0}}


def dial(node):
    connection = socket.create_connection(("127.0.0.1", node.port), 20)
    connection.settimeout(20)
    return connection


def await_close(connection):
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass


def hello(body):
    """Return a ClientHello with any content, in records of at most 16 KiB (RFC 8446 §5.1)."""
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    pieces = [message[at : at + 16384] for at in range(0, len(message), 16384)]
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(each)) + each for each in pieces)


GARBAGE = {
    "random after a header": lambda: b"\x16\x03\x01\x02\x00" + os.urandom(512),
    "empty hello": lambda: hello(b""),
    "hello that lies about its length": lambda: hello(b"\x03\x03" + b"\xff" * 40),
    "application data first": lambda: b"\x16\x03\x03\x00\x05hello",
    "an alert": lambda: b"\x15\x03\x03\x00\x02\x02\x28",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_hellos_of_garbage(secure_node, garbage):
    with secure_node(network={"timeouts": {"artim": 5.0, "shutdown": 1.0}}) as node:
        with dial(node) as connection:
            connection.sendall(garbage())
            await_close(connection)
        (details,) = node.await_details("association-refused")
        assert details["tls"] in ("protocol", "version", "timeout", "no-tls", "refused-by-peer")
        node.await_refusal(details["tls"])


@pytest.mark.parametrize("first", [b"\x80\x2e\x01\x00\x02", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100])
def test_what_is_no_tls(secure_node, first):
    with secure_node() as node:
        with dial(node) as connection:
            connection.sendall(first)
            await_close(connection)
        assert "what it sends is no TLS: it begins with" in node.await_refusal("no-tls")


def test_a_hello_without_end(secure_node):
    """OpenSSL takes no more of a message than it may need; nobody reads what comes after it."""
    record = b"\x16\x03\x01\x40\x00"

    def send_without_end(connection):
        connection.sendall(record + b"\x01\xff\xff\xff" + b"\0" * 16380)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            connection.sendall(record + b"\0" * 16384)

    with secure_node() as node:
        with dial(node) as connection, pytest.raises(ConnectionError):
            send_without_end(connection)
        assert node.await_refusal("protocol").startswith("TLS: ")


def test_a_handshake_that_dribbles_does_not_outlast_artim_nor_holds_up_others(
    secure_node, of_modality
):
    """The accept loops of others stood still meanwhile (fo-dicom 1766, dcm4che 939)."""
    with secure_node(network=ARTIM) as node:
        slow = [dial(node) for _ in range(5)]
        for each in slow:
            each.sendall(b"\x16\x03\x01\x02\x00\x01")
        for _ in range(3):
            node.echo(node.peer(of_modality))
        began = time.monotonic()
        try:
            for each in slow:
                for _ in range(200):
                    each.sendall(b"\0")
                    time.sleep(0.05)
                    if time.monotonic() - began > 10:
                        break
        except OSError:
            pass
        for each in slow:
            await_close(each)
            each.close()
        assert node.await_refusal("timeout") == "no TLS handshake in time (ARTIM)"
        assert len(node.await_details("association-refused", 5)) == 5


def test_half_open_handshakes_make_way_for_others(secure_node, of_modality):
    with secure_node(network={"max_half_open": 4, "max_half_open_per_host": 4}) as node:
        idle = [dial(node) for _ in range(12)]
        for each in idle:
            each.sendall(b"\x16\x03\x01")
        node.echo(node.peer(of_modality))
        for each in idle:
            each.close()


def test_renegotiation_is_refused(secure_node, programs, of_modality):
    """A client may ask for it as often as it likes (RFC 9325 §3.5): each costs no handshake."""
    with secure_node() as node:
        own = ("-cert", of_modality.certificate, "-key", of_modality.key)
        where = ("s_client", "-connect", f"127.0.0.1:{node.port}", "-tls1_2", *own)
        with programs.start("openssl", *where, stdin=True) as process:
            process.stdin.write("R\n")
            process.stdin.flush()
            time.sleep(0.5)
            output = process.communicate("Q\n", timeout=20)[0]
        assert "RENEGOTIATING" in output
        assert "no renegotiation" in output
        assert "it wants to renegotiate" in node.await_refusal("renegotiation")


def test_a_downgrade_is_noticed(secure_node, programs, of_modality):
    """A client that falls back says so (RFC 7507), and learns that it need not have."""
    with secure_node() as node:
        own = ("-cert", of_modality.certificate, "-key", of_modality.key)
        where = ("s_client", "-connect", f"127.0.0.1:{node.port}", "-tls1_2", "-fallback_scsv")
        programs.run("openssl", *where, *own, code=None)
        assert "downgrade" in node.await_refusal("version")


def present(node, certificate, key, *, cipher="DEFAULT"):
    """Connect with a certificate, and try to use the connection."""
    context = ssl.create_default_context(cafile=node.authority.file)
    context.set_ciphers(cipher)
    context.load_cert_chain(certificate, key)
    with dial(node) as connection:
        try:
            with context.wrap_socket(connection, server_hostname="127.0.0.1") as secured:
                secured.sendall(b"\x01\x00")
                await_close(secured)
        except (ssl.SSLError, ConnectionError):
            pass


def test_a_self_signed_certificate(secure_node, tmp_path):
    with secure_node() as node:
        present(node, *self_signed(tmp_path))
        assert "self-signed certificate" in node.await_refusal("self-signed")


def test_a_certificate_with_ten_thousand_names(secure_node, tmp_path):
    names = [f"host-{number:05}.hospital.example" for number in range(10_000)]
    with secure_node() as node:
        present(node, *self_signed(tmp_path, names=names))
        assert "too long" in node.await_refusal("protocol")


def test_a_key_that_is_too_short(secure_node, tmp_path, authority):
    """As the certificate that dcm4che came with (dcm4che 1458): PS3.15 B.13 wants 2048 bits."""
    key = rsa.generate_private_key(65537, 1024)
    files = self_signed(tmp_path, key=key, sign_with=authority_key(authority))
    with secure_node() as node:
        present(node, *files, cipher="DEFAULT:@SECLEVEL=0")
        assert "key too weak" in node.await_refusal("too-weak")


def test_a_certificate_for_servers_only(secure_node, tmp_path, authority):
    server_only = ExtendedKeyUsageOID.SERVER_AUTH
    files = self_signed(tmp_path, purpose=server_only, sign_with=authority_key(authority))
    with secure_node() as node:
        present(node, *files)
        assert "certificate purpose" in node.await_refusal("wrong-purpose")


NAMES = ("ct1\0.evil.example", "ct1\n2026 INFO forged entry", "\x1b[31mred")


@pytest.mark.parametrize("name", NAMES, ids=["nul", "newline", "escape"])
def test_control_characters_in_a_name_forge_nothing(secure_node, tmp_path, authority, name):
    """A CA that is trusted has signed it: it is shown as it is, escaped."""
    files = self_signed(tmp_path, common_name=name, sign_with=authority_key(authority))
    with secure_node() as node:
        pem = type(node.authority.issue("x.example"))(*files)
        info_of_server = node.echo(node.peer(pem))
        assert info_of_server.tls
        (details,) = node.await_details("association-accepted")
        assert details["certificate"] == f"CN={name}"
        audit = "".join(p.read_text() for p in (node.node.data_directory / "audit").glob("*"))
        assert not re.search(r"[\x00\x1b]", audit)
        logged = [r.getMessage() for r in node.caplog.records if "secured by" in r.getMessage()]
        assert repr(f"CN={name}") in logged[0]


def test_a_name_that_ends_in_nul_is_not_the_host(secure_node, tmp_path, authority):
    """As in CVE-2009-2408: what a C program takes for ``localhost`` is another name."""
    files = self_signed(
        tmp_path,
        names=["localhost"],
        common_name="127.0.0.1\0.evil.example",
        sign_with=authority_key(authority),
    )
    own = {"certificate": str(files[0]), "key": {"file": str(files[1])}}
    with (
        secure_node(goes_on=False, **own) as node,
        pytest.raises(AssociationError, match="IP address mismatch"),
    ):
        node.echo(node.peer(authority.issue("ct1.hospital.example")))


def test_records_of_garbage_in_an_association(secure_node, of_modality):
    """What is changed on its way is noticed, and ends this association only."""
    with secure_node() as node:
        context = ssl.create_default_context(cafile=node.authority.file)
        context.load_cert_chain(of_modality.certificate, of_modality.key)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with dial(node) as connection:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))
            connection.sendall(outgoing.read() + b"\x17\x03\x03\x00\x20" + os.urandom(32))
            await_close(connection)
        assert "decryption failed" in node.await_refusal("protocol")
