"""Files of keys (RFC 8410): those of OpenSSL are read, what is written is read by others."""

import base64
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given, strategies as st
from pacs_audit_json.key_pem import read_pem, write_pem
from pacs_audit_json.signing import load_key

SEED = bytes(range(32))
OTHERS = [
    ec.generate_private_key(ec.SECP256R1()),
    ed448.Ed448PrivateKey.generate(),
    rsa.generate_private_key(65537, 1024),
    x25519.X25519PrivateKey.generate(),
]
# RFC 8410 §10.3: version 1, with an attribute and the public key.
EXAMPLE = b"""\
-----BEGIN PRIVATE KEY-----
MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB
Z9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PRIVATE KEY-----
"""


def der_pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    return b"-----BEGIN PRIVATE KEY-----\n" + text + b"\n-----END PRIVATE KEY-----\n"


@given(st.binary(min_size=32, max_size=32))
def test_others_write_and_read_the_same(seed: bytes) -> None:
    theirs = Ed25519PrivateKey.from_private_bytes(seed)
    pem = theirs.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert write_pem(seed) == pem
    assert read_pem(pem) == seed


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_key_of_openssl_signs_what_others_verify(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True)
    key = load_key(path)
    checkpoint = key.sign(7, "digest", 1)
    public = load_pem_private_key(path.read_bytes(), None).public_key()
    assert isinstance(public, Ed25519PublicKey)
    assert base64.b64encode(public.public_bytes_raw()).decode() == key.public
    public.verify(base64.b64decode(checkpoint.signature), checkpoint.message)
    assert checkpoint.is_genuine()


@pytest.mark.parametrize(
    "pem", [EXAMPLE, EXAMPLE.replace(b"\n", b"\r\n"), b"Bag Attributes: none\n" + EXAMPLE + b"\n\n"]
)
def test_attributes_and_the_public_key_do_no_harm(pem: bytes) -> None:
    assert read_pem(pem).hex() == "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"


@pytest.mark.parametrize("other", OTHERS, ids=lambda key: type(key).__name__)
def test_keys_of_another_kind(other: Ed25519PrivateKey) -> None:
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="another kind"):
        read_pem(pem)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no PEM file"),
        (b"\xff\x00", "no PEM file"),
        (write_pem(SEED)[:60], "no PEM file"),
        (write_pem(SEED).replace(b"MC4", b"M*4"), "no PEM file"),
        (der_pem(b""), "another kind"),
        (der_pem(bytes.fromhex("302e020100300506032b657004220420") + SEED[:-1]), "another kind"),
        (der_pem(bytes.fromhex("302e020100300506032b657004220420") + SEED + b"\0"), "not complete"),
        (
            Ed25519PrivateKey.from_private_bytes(SEED).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
            ),
            "needs a password",
        ),
    ],
)
def test_what_is_no_key(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_pem(content)


@given(st.binary(max_size=80), st.integers(0, 48))
def test_no_bytes_are_read_wrongly(junk: bytes, place: int) -> None:
    """Whatever is read, the other library reads the same of it, or refuses what follows it."""
    whole = bytes.fromhex("302e020100300506032b657004220420") + SEED
    pem = der_pem(whole[:place] + junk + whole[place + len(junk) :])
    try:
        seed = read_pem(pem)
        theirs = load_pem_private_key(pem, None)
    except ValueError:
        return
    assert isinstance(theirs, Ed25519PrivateKey)
    assert theirs.private_bytes_raw() == seed


def test_a_node_signs_without_what_knows_all_keys(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pacs_audit_json.signing import load_key;"
        f"assert load_key(Path({str(tmp_path / 'k')!r})).sign(1, 'd', 1).is_genuine();"
        "print('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
