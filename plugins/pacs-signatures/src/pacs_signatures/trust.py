"""Trust in who has signed: chains of certificates to authorities that a site names (RFC 5280)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from pacs_signatures.der import der_value

_UNKNOWN: Final = "nobody who is trusted vouches for its certificate"


class DistrustError(Exception):
    """Nobody who is trusted vouches for a signer."""


@frozen
class TrustStore:
    """Certificates that are trusted: of authorities, or of signers themselves.

    Attributes
    ----------
    certificates : tuple of Certificate
    """

    certificates: tuple[x509.Certificate, ...] = field(repr=False)

    def find_chain(
        self,
        certificate: x509.Certificate,
        others: Sequence[x509.Certificate],
        when: datetime,
    ) -> Sequence[x509.Certificate]:
        """Return the certificates that lead from a signer to who is trusted, both included.

        Parameters
        ----------
        certificate : Certificate
            The signer's.
        others : sequence of Certificate
            Of authorities in between, not trusted by themselves.
        when : datetime
            The time at which all of them must have been valid.

        Raises
        ------
        DistrustError
            There are none.
        """
        if lapse := find_lapse(certificate, when):
            raise DistrustError(lapse)
        if certificate in self.certificates:
            return [certificate]
        if certificate.version is x509.Version.v1:
            return self._find_chain_of_first_version(certificate, when)
        builder = PolicyBuilder().store(Store(list(self.certificates))).time(when)
        authorities = (
            ExtensionPolicy.permit_all()
            .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _check_authority)
            .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _check_authority_usage)
        )
        signers = ExtensionPolicy.permit_all().may_be_present(
            x509.KeyUsage, Criticality.AGNOSTIC, _check_usage
        )
        verifier = builder.extension_policies(
            ca_policy=authorities, ee_policy=signers
        ).build_client_verifier()
        try:
            return verifier.verify(certificate, list(others)).chain
        except VerificationError as error:
            raise DistrustError(f"{_UNKNOWN} ({error})") from error

    def _find_chain_of_first_version(
        self, certificate: x509.Certificate, when: datetime
    ) -> list[x509.Certificate]:
        """Look for the authority of a certificate without extensions, as those of 1993 are.

        PS3.15 C.1 asks for X.509 (1993); for others the library has no chains.
        """
        for authority in self.certificates:
            try:
                certificate.verify_directly_issued_by(authority)
                constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
            except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
                continue
            if constraints.value.ca:
                if lapse := find_lapse(authority, when):
                    raise DistrustError(lapse)
                return [certificate, authority]
        raise DistrustError(_UNKNOWN)


def find_lapse(certificate: x509.Certificate, when: datetime) -> str:
    """Return that a certificate was not valid at a time; empty if it was."""
    if when < certificate.not_valid_before_utc:
        return f"its certificate is not valid before {certificate.not_valid_before_utc}"
    if when > certificate.not_valid_after_utc:
        return f"its certificate was valid until {certificate.not_valid_after_utc}"
    return ""


def _check_authority(
    policy: Policy, certificate: x509.Certificate, extension: x509.BasicConstraints
) -> None:
    if not extension.ca:
        raise ValueError(f"{name_of(certificate)} is no certification authority")


def _check_authority_usage(
    policy: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None
) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError(f"{name_of(certificate)} may not sign certificates")


def _check_usage(
    policy: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None
) -> None:
    if extension is not None and not (extension.digital_signature or extension.content_commitment):
        raise ValueError("its certificate is not for signatures (Key Usage, RFC 5280 §4.2.1.3)")


def name_of(certificate: x509.Certificate) -> str:
    """Return the subject of a certificate, as RFC 4514 writes it."""
    return certificate.subject.rfc4514_string() or f"serial {certificate.serial_number:x}"


def load_store(path: Path) -> TrustStore:
    """Read certificates in PEM, or one in DER.

    Raises
    ------
    OSError, ValueError
        The file cannot be read, or has none.
    """
    return TrustStore(tuple(load_certificates(path)))


def load_certificates(path: Path) -> list[x509.Certificate]:
    """Read certificates in PEM, or one in DER; see `load_store`."""
    data = path.read_bytes()
    if b"-----BEGIN" in data:
        return x509.load_pem_x509_certificates(data)
    return [x509.load_der_x509_certificate(data)]


def read_certificate(value: bytes) -> x509.Certificate:
    """Read the value of Certificate of Signer (0400,0115); ValueError if it is none."""
    return x509.load_der_x509_certificate(der_value(value))


def encode_certificate(certificate: x509.Certificate) -> bytes:
    """Return the value of Certificate of Signer (0400,0115)."""
    return certificate.public_bytes(Encoding.DER)


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
