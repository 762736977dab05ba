"""MAC Algorithms (PS3.3 C.12.1.1.3.1), and keys that encrypt what they make (PS3.15 C.1)."""

import hashlib
from typing import TYPE_CHECKING, Final, Protocol

from attrs import frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from pacs_signatures.der import der_value

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

# Theory of operation
#
# A MAC is a plain digest here, which is then signed. An RSA signature by PKCS #1 v1.5 holds the
# digest and the name of its algorithm (DigestInfo, RFC 8017 §9.2): it is taken out with the public
# key and compared byte for byte, so that digests which the cryptographic library has no signature
# for any more, RIPEMD-160 and MD5, can still be verified, as PS3.15 C.1 asks of all validators.
# DSA and ECDSA sign the digest alone: whatever has its length stands for its algorithm.


class Hash(Protocol):
    """A digest that is fed."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Add bytes."""

    def digest(self) -> bytes:
        """Return the digest of what was added."""


@frozen
class MacAlgorithm:
    """A MAC Algorithm (0400,0015).

    Attributes
    ----------
    term : str
        Its defined term.
    name : str
        As `hashlib` knows it.
    digest_info : bytes
        What precedes the digest in a signature by RSA.
    stand_in : HashAlgorithm
        With the same length of digest.
    is_weak : bool
        Collisions can be made, or are feared: it is verified, but not signed with.
    """

    term: str
    name: str
    digest_info: bytes
    stand_in: hashes.HashAlgorithm
    is_weak: bool = False

    def new(self) -> Hash:
        """Return a digest without any bytes; ValueError where the platform does not have it."""
        return hashlib.new(self.name, usedforsecurity=not self.is_weak)


_SHA2_OID: Final = "0609608648016503040"
_TABLE: Final = (
    ("SHA256", f"3031300d{_SHA2_OID}20105000420", hashes.SHA256(), False),
    ("SHA384", f"3041300d{_SHA2_OID}20205000430", hashes.SHA384(), False),
    ("SHA512", f"3051300d{_SHA2_OID}20305000440", hashes.SHA512(), False),
    ("SHA1", "3021300906052b0e03021a05000414", hashes.SHA1(), True),  # noqa: S303
    ("RIPEMD160", "3021300906052b2403020105000414", hashes.SHA1(), True),  # noqa: S303
    ("MD5", "3020300c06082a864886f70d020505000410", hashes.MD5(), True),  # noqa: S303
)
"""Defined terms, DigestInfo (RFC 8017 §9.2, note 1), and what else there is to know."""

ALGORITHMS: Final = {
    term: MacAlgorithm(term, term.lower(), bytes.fromhex(info), stand_in, is_weak)
    for term, info, stand_in, is_weak in _TABLE
}
"""By defined term."""

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def sign_digest(key: SigningKey, algorithm: MacAlgorithm, digest: bytes) -> bytes:
    """Return the value of Signature (0400,0120): by PKCS #1 v1.5, or an ECDSA-Sig-Value in DER."""
    prehashed = Prehashed(algorithm.stand_in)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, PKCS1v15(), prehashed)
    return key.sign(digest, ec.ECDSA(prehashed))


def is_signature_of(
    key: "PublicKeyTypes", algorithm: MacAlgorithm, digest: bytes, signature: bytes
) -> bool:
    """Tell whether a digest was signed with the private key that belongs to a public one.

    Raises
    ------
    ValueError
        The key is of no kind that a digest is signed with.
    """
    prehashed = Prehashed(algorithm.stand_in)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            size = (key.key_size + 7) // 8
            found = key.recover_data_from_signature(signature[:size], PKCS1v15(), None)
            return len(signature) - size in {0, 1} and found == algorithm.digest_info + digest
        trimmed = der_value(signature)
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(trimmed, digest, ec.ECDSA(prehashed))
        elif isinstance(key, dsa.DSAPublicKey):
            key.verify(trimmed, digest, prehashed)
        else:
            raise ValueError(f"a key of {type(key).__name__} signs no digest")  # noqa: TRY004
    except InvalidSignature:
        return False
    return True
