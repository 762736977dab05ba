"""Revocation lists and OCSP responses of authorities: which certificates are not to be trusted.

How it works: for each certificate of a chain but the last, which a site trusts by itself, there
must be a list that its issuer has signed (RFC 5280 §5, §6.3), that is about such certificates, and
that was not out of date at the time in question; or an OCSP response (RFC 6960) that says of the
certificate that it is good. It is revoked if any of them says so of a time before that in question.
So what was signed before stays valid where a timestamp proves it, also when the list is younger;
without a timestamp the time in question is now.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar

from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import ocsp

from pacs_signatures.ocsp import find_answers, holds_until, is_good
from pacs_signatures.trust import name_of

T = TypeVar("T", bound=x509.ExtensionType)

_PEM: Final = re.compile(
    rb"-----BEGIN (?:X509 CRL|OCSP RESPONSE)-----(.*?)-----END (?:X509 CRL|OCSP RESPONSE)-----",
    re.DOTALL,
)
_UNDERSTOOD: Final = (
    x509.AuthorityKeyIdentifier,
    x509.CRLNumber,
    x509.FreshestCRL,
    x509.IssuerAlternativeName,
    x509.IssuingDistributionPoint,
)
"""Extensions of a list which, critical or not, do not change what it says (RFC 5280 §5.2)."""


@frozen
class RevocationLists:
    """Lists, and OCSP responses, that were named to be looked at.

    Attributes
    ----------
    lists : tuple of CertificateRevocationList
    responses : tuple of OCSPResponse
    """

    lists: tuple[x509.CertificateRevocationList, ...] = field(repr=False)
    responses: tuple[ocsp.OCSPResponse, ...] = field(default=(), repr=False)

    def find_fault(self, chain: Sequence[x509.Certificate], when: datetime) -> str:
        """Return why a chain of certificates was not to be trusted at a time; empty if it was.

        Parameters
        ----------
        chain : sequence of Certificate
            That of the signer first, that of who is trusted last.
        when : datetime
        """
        faults = (self._find_fault(each, issuer, when) for each, issuer in pairwise(chain))
        return next(filter(None, faults), "")

    def _find_fault(
        self, certificate: x509.Certificate, issuer: x509.Certificate, when: datetime
    ) -> str:
        usable = [each for each in self.lists if _is_about(each, certificate, issuer)]
        for each in usable:
            if since := _revoked_since(each, certificate, when):
                return f"{name_of(certificate)} was revoked on {since}"
        answers = [
            answer
            for each in self.responses
            for answer in find_answers(each, certificate, issuer)
        ]  # fmt: skip
        for answer in answers:
            if (revoked := answer.revocation_time_utc) and revoked <= when:
                return f"{name_of(certificate)} was revoked on {revoked}"
        # What has lapsed need not be listed any longer (RFC 5280 §3.3).
        lapse = certificate.not_valid_after_utc
        telling = [each for each in usable if each.last_update_utc <= lapse]
        good = [each for each in answers if is_good(each) and each.this_update_utc <= lapse]
        if not telling and not good:
            return (
                f"there is no revocation list of {name_of(issuer)} for {name_of(certificate)}, "
                "nor an OCSP response that it is good"
            )
        if any(_is_current(each, when) for each in telling):
            return ""
        if any(when <= holds_until(each) for each in good):
            return ""
        if not telling:
            last = max(map(holds_until, good))
            return f"the OCSP response for {name_of(certificate)} holds until {last}"
        last = max(each.next_update_utc for each in telling if each.next_update_utc)
        return f"the revocation list of {name_of(issuer)} was to be renewed until {last}"


def _is_about(
    found: x509.CertificateRevocationList, certificate: x509.Certificate, issuer: x509.Certificate
) -> bool:
    """Tell whether a list is by the issuer of a certificate, and has all such that are revoked."""
    if found.issuer != certificate.issuer:
        return False
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        return False
    try:
        extensions = list(found.extensions)
        is_signed = found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    if not is_signed or any(
        each.critical and not isinstance(each.value, _UNDERSTOOD) for each in extensions
    ):
        return False
    point = _extension(found, x509.IssuingDistributionPoint)
    if point is None:
        return True
    constraints = _extension(certificate, x509.BasicConstraints)
    is_authority = constraints is not None and constraints.ca
    is_left_out = point.only_contains_user_certs if is_authority else point.only_contains_ca_certs
    return not (
        is_left_out
        or point.indirect_crl
        or point.only_some_reasons
        or point.only_contains_attribute_certs
    )


def _revoked_since(
    found: x509.CertificateRevocationList, certificate: x509.Certificate, when: datetime
) -> datetime | None:
    entry = found.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is None:
        return None
    # A key may have been in other hands before anybody noticed (RFC 5280 §5.3.2).
    known = _extension(entry, x509.InvalidityDate)
    since = min(entry.revocation_date_utc, known.invalidity_date_utc) if known else (
        entry.revocation_date_utc
    )  # fmt: skip
    return since if since <= when else None


def _is_current(found: x509.CertificateRevocationList, when: datetime) -> bool:
    return found.next_update_utc is None or when <= found.next_update_utc


def _extension(
    thing: x509.Certificate | x509.CertificateRevocationList | x509.RevokedCertificate,
    kind: type[T],
) -> T | None:
    try:
        return thing.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def load_lists(paths: Iterable[Path]) -> RevocationLists:
    """Read revocation lists and OCSP responses, in PEM or DER, from files, or files of folders.

    Raises
    ------
    OSError, ValueError
        A file cannot be read, or is none.
    """
    lists: list[x509.CertificateRevocationList] = []
    responses: list[ocsp.OCSPResponse] = []
    for path in _files(paths):
        status = path.stat()
        for each in _load(path, status.st_mtime_ns, status.st_size):
            if isinstance(each, x509.CertificateRevocationList):
                lists.append(each)
            else:
                responses.append(each)
    return RevocationLists(tuple(lists), tuple(responses))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(filter(Path.is_file, path.iterdir())) if path.is_dir() else [path]


@lru_cache(maxsize=64)
def _load(
    path: Path, _time: int, _size: int
) -> tuple[x509.CertificateRevocationList | ocsp.OCSPResponse, ...]:
    """Read a file, again only when it is another one by then: lists are renewed often."""
    data = path.read_bytes()
    try:
        parts = _PEM.findall(data)
        if not parts:
            return (_load_der(data),)
        return tuple(_load_der(b64decode(text)) for text in parts)
    except ValueError as error:
        raise ValueError(f"{path} is no revocation list or OCSP response: {error}") from error


def _load_der(data: bytes) -> x509.CertificateRevocationList | ocsp.OCSPResponse:
    try:
        return x509.load_der_x509_crl(data)
    except ValueError as error:
        try:
            return ocsp.load_der_ocsp_response(data)
        except ValueError:
            raise error from None
