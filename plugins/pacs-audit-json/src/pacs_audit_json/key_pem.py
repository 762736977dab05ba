"""Ed25519 keys in PEM files: PKCS #8, as ``openssl genpkey -algorithm ed25519`` makes them.

A private key of this kind is 32 bytes behind 16 that are always the same (RFC 8410 §7), so that it
is read without a library that knows all keys there are and takes ten times the memory of the one
that signs.
"""

import base64
import re
from typing import Final

_BEGINNING: Final = bytes.fromhex("302e020100300506032b657004220420")
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----([^-]*)-----END \1-----")
# OneAsymmetricKey (RFC 5958 §2) of version 0 or 1; attributes and the public key may follow.
_KEY: Final = re.compile(
    rb"\x30(?P<length>[\x00-\x7f]|\x81[\x80-\xff])(?P<value>\x02\x01[\x00\x01]"
    rb"\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20(?P<seed>.{32}).*)",
    re.DOTALL,
)


def write_pem(seed: bytes) -> bytes:
    """Return the file of a private key (RFC 7468 §10)."""
    text = base64.b64encode(_BEGINNING + seed)
    return b"-----BEGIN PRIVATE KEY-----\n" + text + b"\n-----END PRIVATE KEY-----\n"


def read_pem(content: bytes) -> bytes:
    """Return the private key in a file: 32 bytes, which RFC 8032 §5.1.5 makes all else of.

    Raises
    ------
    ValueError
        There is none, it needs a password, or it is of another kind.
    """
    found = _PEM.search(content)
    if found is None:
        raise ValueError("it is no PEM file with a private key")
    label, text = found.groups()
    if label == b"ENCRYPTED PRIVATE KEY":
        raise ValueError("its key needs a password")
    try:
        der = base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError as error:
        raise ValueError(f"it is no PEM file: {error}") from error
    key = _KEY.fullmatch(der) if label == b"PRIVATE KEY" else None
    if key is None:
        raise ValueError("it holds another kind of key")
    if key["length"][-1] != len(key["value"]):
        raise ValueError("its key is not complete")
    return key["seed"]
