"""Certificates for a first archive: a CA of its own, and what the node shows."""

import ipaddress
import os
import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pacs_core.cli.errors import CommandError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, GeneralName

_CA_DAYS: Final = 3650
_NODE_DAYS: Final = 825
"""What programs accept of a certificate that no public CA has issued."""


def make_certificates(folder: Path, host: str) -> None:
    """Write ``ca.crt``, ``ca.key``, ``node.crt`` and ``node.key`` into a new folder.

    Keys are ECC keys of 256 bits, signatures ECDSA with SHA-256 (PS3.15 B.12, RFC 9325 §4.5).

    Raises
    ------
    CommandError
        The library for it is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise CommandError("certificates need cryptography: pip install cryptography") from error
    folder.mkdir(mode=0o700, parents=True)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _certificate("pacs-core CA", ca_key, _CA_DAYS)
    certificate = _certificate(host, key, _NODE_DAYS, _names(host), (ca, ca_key))
    for name, private in (("ca", ca_key), ("node", key)):
        _write_key(folder / f"{name}.key", private)
    for name, public in (("ca", ca), ("node", certificate)):
        _write_certificate(folder / f"{name}.crt", public)


def _names(host: str) -> "list[GeneralName]":
    """Return the names by which peers on this machine and on others call the node."""
    from cryptography import x509

    found: list[GeneralName] = []
    for name in dict.fromkeys([host, socket.gethostname(), "localhost", "127.0.0.1"]):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _certificate(
    subject: str,
    key: "EllipticCurvePrivateKey",
    days: int,
    names: "Iterable[GeneralName]" = (),
    issuer: "tuple[Certificate, EllipticCurvePrivateKey] | None" = None,
) -> "Certificate":
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject[:64])])
    now = datetime.now(UTC)
    public = key.public_key()
    signing = issuer[1] if issuer else key
    is_ca = issuer is None
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0].subject if issuer else name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks of peers differ
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_ca, 0 if is_ca else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(identifier, critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signing, SHA256())


def _write_key(path: Path, key: "EllipticCurvePrivateKey") -> None:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _write_certificate(path: Path, certificate: "Certificate") -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    path.write_bytes(certificate.public_bytes(Encoding.PEM))
