"""TLS contexts from settings: versions, suites, certificates."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from pacs_core.contracts import (
    ClientTls,
    PeerCertificates,
    Secret,
    ServerTls,
    TlsConfigError,
    TlsSettings,
)
from pacs_core.tls.errors import reason_of
from pacs_core.tls.profiles import cipher_string

_TOO_WEAK = {
    "EE_KEY_TOO_SMALL": "the key is too short: RSA needs 2048 bits, ECC 224 (PS3.15 B.13)",
    "CA_KEY_TOO_SMALL": "the key of a CA is too short: RSA needs 2048 bits, ECC 224 (PS3.15 B.13)",
    "CA_MD_TOO_WEAK": "it is signed with SHA-1 or weaker: SHA-256 is needed (PS3.15 B.13)",
}
_VERIFY = {
    PeerCertificates.REQUIRED: ssl.CERT_REQUIRED,
    PeerCertificates.OPTIONAL: ssl.CERT_OPTIONAL,
    PeerCertificates.IGNORED: ssl.CERT_NONE,
}


def server_context(settings: ServerTls) -> ssl.SSLContext:
    """Return a context to accept connections with.

    Raises
    ------
    TlsConfigError
        A file cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, settings)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    load_certificate(context, settings.certificate, settings.key, settings.passphrase)
    context.verify_mode = _VERIFY[settings.peers]
    if settings.peers is not PeerCertificates.IGNORED and settings.ca is not None:
        load_authorities(context, settings.ca)
    return context


def client_context(settings: ClientTls) -> ssl.SSLContext:
    """Return a context to connect with.

    Raises
    ------
    TlsConfigError
        A file cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, settings)
    context.check_hostname = settings.check_hostname
    if settings.certificate is not None:
        load_certificate(context, settings.certificate, settings.key, settings.passphrase)
    if settings.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        load_authorities(context, settings.ca)
    return context


def _context(protocol: int, settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # Associations are few and long. Without tickets every handshake checks the certificates.
    context.options |= ssl.OP_NO_TICKET
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    # Whoever is named in `ca` is trusted, be it a root, an intermediate CA, or the peer itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.set_ciphers(cipher_string(settings.profile, settings.ciphers))
    except ssl.SSLError as error:
        raise TlsConfigError(
            f"ciphers: OpenSSL knows none of {settings.ciphers!r}: see `openssl ciphers -s -tls1_2`"
        ) from error
    return context


def load_certificate(
    context: ssl.SSLContext, certificate: Path, key: Secret | None, passphrase: Secret | None
) -> None:
    """Let a context show a certificate.

    Raises
    ------
    TlsConfigError
        A file cannot be used.
    """

    def password() -> str:
        if passphrase is None:  # else OpenSSL would ask on the terminal
            raise TlsConfigError(f"{_key_name(key, certificate)}: it has a passphrase; name it")
        return passphrase.reveal()

    _check_readable(certificate)
    try:
        with _key_file(key) as path:
            context.load_cert_chain(certificate, path, password)
    except LookupError as error:  # of a secret
        raise TlsConfigError(str(error)) from error
    except ssl.SSLError as error:
        names = f"{certificate}, {_key_name(key, certificate)}"
        trouble = (
            _TOO_WEAK.get(error.reason or "")
            or _why_no_pem(certificate, b"-----BEGIN CERTIFICATE-----")
            or _why_no_pem(Path(key.file) if key and key.file else None, b"PRIVATE KEY-----")
            or f"no certificate with its key in PEM: {reason_of(error)}"
        )
        raise TlsConfigError(f"{names}: {trouble}") from error
    except OSError as error:
        where = error.filename or _key_name(key, certificate)
        raise TlsConfigError(f"{where}: cannot be read: {error.strerror}") from error


def _why_no_pem(path: Path | None, mark: bytes) -> str:
    """Return why OpenSSL found nothing in a file; empty if it is not the file."""
    text = path.read_bytes() if path is not None else mark
    if text[:1] == b"\x30":  # SEQUENCE, with which all of ASN.1 begins
        how = "convert it with openssl x509, pkey or pkcs12 -nodes"
        return f"{path} is DER or PKCS #12, not PEM: {how}"
    what = mark.strip(b"-").removeprefix(b"BEGIN ").decode().lower()
    return "" if mark in text else f"{path} has no {what} in PEM"


def _key_name(key: Secret | None, certificate: Path) -> str:
    if key is None:
        return str(certificate)
    return key.file or f"the environment variable {key.env}"


@contextmanager
def _key_file(key: Secret | None) -> Iterator[str | None]:
    """Give the path of a key; one from the environment is a file for that long."""
    if key is None or key.file:
        if key is not None:
            _check_readable(Path(key.file))
        yield key.file if key else None
        return
    with NamedTemporaryFile(mode="w", encoding="utf-8") as file:  # mode 0600
        file.write(key.reveal())
        file.flush()
        yield file.name


def load_authorities(context: ssl.SSLContext, path: Path) -> None:
    """Let a context trust the CAs in a file.

    Raises
    ------
    TlsConfigError
        It cannot be used.
    """
    _check_readable(path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise TlsConfigError(f"{path}: no certificates in PEM: {reason_of(error)}") from error


def _check_readable(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise TlsConfigError(f"{path}: cannot be read: {error.strerror}") from error
