"""Certificates as Python's ssl describes them, and those of this side.

Python reads a certificate for nobody but a peer. So what this side has is read by a handshake with
itself, in memory: with the time not checked, and the certificate its own authority, whatever it is
becomes known. The same shows that certificate and key go together.
"""

import _ssl
import re
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from pacs_core.contracts import Certificate, Secret, TlsConfigError, TlsInfo
from pacs_core.tls.contexts import load_authorities, load_certificate
from pacs_core.tls.errors import explain

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
_SHORT: Final = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
}
_PEM: Final = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\\n?", re.DOTALL)
_PATIENCE: Final = 10
_MOST_NAMES: Final = 100


def certificate_of(described: Mapping[str, Any], der: bytes | None = None) -> Certificate:
    """Return a certificate as :meth:`ssl.SSLSocket.getpeercert` describes it.

    Parameters
    ----------
    described : mapping
    der : bytes, optional
        For the fingerprint.
    """
    subject = [pair for part in described.get("subject", ()) for pair in part]
    names = described.get("subjectAltName", ())
    return Certificate(
        subject=_text(subject),
        issuer=_text(pair for part in described.get("issuer", ()) for pair in part),
        common_name=next((value for name, value in subject if name == "commonName"), ""),
        names=tuple(f"{kind}:{value}" for kind, value in names[:_MOST_NAMES]),
        serial_number=described.get("serialNumber", ""),
        not_before=_time(described["notBefore"]),
        not_after=_time(described["notAfter"]),
        fingerprint=sha256(der).hexdigest() if der else "",
    )


def describe_connection(secured: ssl.SSLObject | ssl.SSLSocket) -> TlsInfo:
    """Return what is known of a connection whose handshake has ended."""
    described, cipher = secured.getpeercert(), secured.cipher()
    certificate = None
    if described:
        certificate = certificate_of(described, secured.getpeercert(binary_form=True))
    return TlsInfo(secured.version() or "", cipher[0] if cipher else "", certificate)


def _text(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{_SHORT.get(name, name)}={value}" for name, value in pairs)


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def describe_remaining(certificate: Certificate, now: datetime) -> str:
    """Return for how long a certificate is valid, in words."""
    left: timedelta = certificate.not_after - now
    if certificate.not_before > now:
        return f"is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC"
    if left < timedelta():
        return f"has expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC"
    days = "1 day" if left.days == 1 else f"{left.days} days"
    return f"expires in {days}, on {certificate.not_after:%Y-%m-%d}"


def own_certificate(
    path: Path, key: Secret | None, passphrase: Secret | None, *, of_server: bool
) -> Certificate:
    """Return the certificate that this side shows.

    Parameters
    ----------
    path : Path
    key, passphrase : Secret or None
    of_server : bool
        Whether it is for accepting connections, and not for making them: certificates may be for
        one purpose only.

    Raises
    ------
    TlsConfigError
        It cannot be used.
    """
    server, client = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    for context in (server, client):
        load_certificate(context, path, key, passphrase)
    reader = client if of_server else server
    reader.verify_mode = ssl.CERT_REQUIRED
    reader.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    try:
        reader.load_verify_locations(path)
        return _shake_hands(server, client, of_server=of_server)
    except ssl.SSLError as error:
        raise TlsConfigError(f"{path}: it cannot be used: {explain(error)}") from error


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, *, of_server: bool) -> Certificate:
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(one, other), server.wrap_bio(other, one, server_side=True)
    reading = ends[0 if of_server else 1]
    for _ in range(_PATIENCE):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
        with suppress(ValueError):  # the handshake is not done
            if described := reading.getpeercert():
                return certificate_of(described, reading.getpeercert(binary_form=True))
    raise ssl.SSLError("the handshake does not end")


def trusted_certificates(path: Path) -> list[Certificate]:
    """Return what a file lets this side trust: CAs, and peers by themselves.

    Raises
    ------
    TlsConfigError
        It cannot be used.
    """
    load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)
    return [_read(pem) for pem in _PEM.findall(path.read_text(errors="replace"))]


def _read(pem: str) -> Certificate:
    # `SSLContext.get_ca_certs` leaves out what is no CA's. This is how Python itself tests the
    # names of hosts; it takes the name of a file.
    with NamedTemporaryFile("w", encoding="ascii", errors="replace") as file:
        file.write(pem)
        file.flush()
        described = _ssl._test_decode_cert(file.name)  # type: ignore[attr-defined]
        return certificate_of(described)
