"""Verification of digital signatures: the MAC, the signer, the timestamp (PS3.3 C.12.1.1.3).

How it works: three questions are answered one after the other. Is the MAC the one that was signed,
over what the dataset has now? Who has signed, and do we trust him? When was that, and who says so?
A MAC may also be such that nothing can be told: of compressed Pixel Data that are not compressed
any more, or of private attributes whose VR an implicit encoding has lost. That is not tampering,
and is said in other words; it is no valid signature either.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from itertools import pairwise
from typing import Final

from attrs import define, field, frozen
from cryptography import x509
from pacs_tools.api import DicomFile

from pacs_core.dataset import (
    BulkData,
    DataElement,
    encoding_of,
    keyword_of,
    short_name_of,
)
from pacs_signatures.algorithms import ALGORITHMS, MacAlgorithm, is_signature_of
from pacs_signatures.byte_stream import ByteStream, has_unknown_vr, is_signable, select
from pacs_signatures.der import der_value
from pacs_signatures.model import (
    CERTIFICATE,
    CERTIFICATE_TYPE,
    SIGNATURE,
    TIMESTAMP,
    TIMESTAMP_TYPE,
    DigitalSignature,
    MacParameters,
    find_signatures,
)
from pacs_signatures.profile import Profile
from pacs_signatures.profile_tags import missing_tags
from pacs_signatures.revocation import RevocationLists
from pacs_signatures.timestamps import TYPE, TimestampError, verify_timestamp
from pacs_signatures.trust import (
    DistrustError,
    TrustStore,
    find_lapse,
    name_of,
    now,
    read_certificate,
)


class Status(Enum):
    """What is to be said of a signature."""

    VALID = "valid"
    INVALID = "invalid"
    UNDECIDED = "undecided"
    """It cannot be told in the form in which the dataset is here."""
    UNTRUSTED = "untrusted"
    """The MAC is right, but nobody who is trusted vouches for the signer."""


@frozen
class Policy:
    """What is asked of signatures.

    Attributes
    ----------
    trusted : TrustStore or None
        Authorities of signers; None to trust everybody.
    timestamp_authorities : TrustStore or None
        Those of timestamps; None to look at no timestamp.
    intermediates : tuple of Certificate
    revocations : RevocationLists or None
        Those of the authorities of signers; None to look at none.
    """

    trusted: TrustStore | None
    timestamp_authorities: TrustStore | None = None
    intermediates: Sequence[x509.Certificate] = ()
    revocations: RevocationLists | None = None


@frozen
class Verification:
    """What was found out about a signature.

    Attributes
    ----------
    signature : DigitalSignature
    status : Status
    reason : str
        Why it is not valid.
    signer : str
        Subject of its certificate.
    timestamp : datetime or None
        When an authority has seen it.
    is_weak : bool
        Its MAC Algorithm is one with which nothing should be signed any more.
    unsigned : tuple of int
        Tags beside it that are not in its MAC.
    """

    signature: DigitalSignature
    status: Status
    reason: str = ""
    signer: str = ""
    timestamp: datetime | None = None
    is_weak: bool = False
    unsigned: tuple[int, ...] = ()

    def satisfies(self, profile: Profile) -> bool:
        """Tell whether it is valid, and has in its MAC what a profile wants."""
        if self.status is not Status.VALID:
            return False
        signed = frozenset(self.signature.parameters[0].tags)
        is_top = not self.signature.place or profile is Profile.BASE
        return is_top and not missing_tags(profile, self.signature.within, signed)


class _InvalidError(Exception):
    status = Status.INVALID


class _UndecidedError(_InvalidError):
    status = Status.UNDECIDED


class _UntrustedError(_InvalidError):
    status = Status.UNTRUSTED


def verify_file(file: DicomFile, policy: Policy) -> Iterator[Verification]:
    """Iterate over the signatures of a file, verified."""
    for signature in find_signatures(file.elements):
        yield _Verifier(file, policy, signature).run()


@define
class _Verifier:
    file: DicomFile
    policy: Policy
    signature: DigitalSignature
    signer: str = ""
    timestamp: datetime | None = None
    algorithm: MacAlgorithm | None = field(default=None)

    def run(self) -> Verification:
        status, reason = Status.VALID, ""
        try:
            self._verify()
        except _InvalidError as error:
            status, reason = error.status, str(error)
        signed = {tag for each in self.signature.parameters for tag in each.tags}
        outside = (each.tag for each in self.signature.within if is_signable(each))
        return Verification(
            self.signature,
            status,
            reason,
            self.signer,
            self.timestamp,
            self.algorithm is not None and self.algorithm.is_weak,
            tuple(tag for tag in outside if tag not in signed),
        )

    def _verify(self) -> None:
        signature = self.signature
        certificate = self._read_certificate()
        self.signer = name_of(certificate)
        parameters = self._read_parameters()
        self._check_tags(parameters)
        algorithm = ALGORITHMS[parameters.algorithm]
        digest = algorithm.new()
        stream = ByteStream(self.file, parameters.transfer_syntax_uid, digest)
        stream.add(select(signature.within, parameters.tags))
        stream.add(signature.signed_attributes)
        encrypted = signature.value(SIGNATURE)
        try:
            key = certificate.public_key()
            is_right = is_signature_of(key, algorithm, digest.digest(), encrypted)
        except ValueError as error:
            raise _InvalidError(f"its certificate has no key to verify with: {error}") from error
        if not is_right:
            raise _InvalidError("what it signs is not as it was when it was signed")
        self._check_when(certificate)
        self._check_timestamp(encrypted, certificate)
        if self.policy.trusted is not None:
            when = self.timestamp or now()
            others = self.policy.intermediates
            try:
                chain = self.policy.trusted.find_chain(certificate, others, when)
            except DistrustError as error:
                raise _UntrustedError(str(error)) from error
            if self.policy.revocations is not None and (
                fault := self.policy.revocations.find_fault(chain, when)
            ):
                raise _UntrustedError(fault)

    def _read_certificate(self) -> x509.Certificate:
        kind = self.signature.text(CERTIFICATE_TYPE)
        if kind != "X509_1993_SIG":
            raise _InvalidError(f"its Certificate Type is {kind!r}, not X509_1993_SIG")
        try:
            return read_certificate(self.signature.value(CERTIFICATE))
        except ValueError as error:
            raise _InvalidError(f"it has no certificate: {error}") from error

    def _read_parameters(self) -> MacParameters:
        if len(self.signature.parameters) != 1:
            many = "several" if self.signature.parameters else "no"
            raise _InvalidError(f"there are {many} MAC Parameters with its MAC ID Number")
        parameters = self.signature.parameters[0]
        self.algorithm = ALGORITHMS.get(parameters.algorithm)
        if self.algorithm is None:
            raise _InvalidError(f"there is no MAC Algorithm {parameters.algorithm!r}")
        try:
            self.algorithm.new()
        except ValueError as error:
            raise _UndecidedError(f"this platform has no {parameters.algorithm}") from error
        try:
            encoding = encoding_of(parameters.transfer_syntax_uid)
        except (ValueError, LookupError) as error:
            raise _InvalidError(f"its MAC Calculation Transfer Syntax: {error}") from error
        if not encoding.explicit:
            raise _InvalidError("its MAC Calculation Transfer Syntax has no VRs")
        return parameters

    def _check_tags(self, parameters: MacParameters) -> None:
        tags, elements = parameters.tags, self.signature.within.elements
        if not tags:
            raise _InvalidError("it says of no Data Elements that they are signed")
        if any(first >= second for first, second in pairwise(tags)):
            raise _InvalidError("Data Elements Signed are not in their order")
        if missing := [tag for tag in tags if tag not in elements]:
            raise _InvalidError(f"what it signs is not there any more: {_names(missing)}")
        for element in (elements[tag] for tag in tags):
            if not is_signable(element):
                self._refuse(element)
            self._check_pixels(element, parameters.transfer_syntax_uid)

    def _refuse(self, element: DataElement) -> None:
        name = keyword_of(element.tag)
        if not has_unknown_vr(element):
            raise _InvalidError(f"{name} may not be signed (PS3.3 C.12.1.1.3.1.1)")
        if encoding_of(self.file.meta.transfer_syntax_uid).explicit:
            raise _InvalidError(f"{name} is, or has in it, what is of VR UN")
        raise _UndecidedError(f"the VR of {name}, or of what it has in it, is lost")

    def _check_pixels(self, element: DataElement, mac_syntax: str) -> None:
        """Hold compressed Pixel Data against what they were when they were signed."""
        syntax = self.file.meta.transfer_syntax_uid
        is_compressed = isinstance(element.value, BulkData) and element.value.length is None
        if element.tag != _PIXEL_DATA or mac_syntax == syntax:
            return
        if is_compressed or encoding_of(mac_syntax).encapsulated:
            signed, found = (short_name_of(uid) or uid for uid in (mac_syntax, syntax))
            raise _UndecidedError(
                f"Pixel Data are {found}, and were signed as {signed}: convert the file first"
            )

    def _check_when(self, certificate: x509.Certificate) -> None:
        """Hold the time of the signature, as the signer says it, against his certificate."""
        first, last = _read_datetime(self.signature.when)
        # A certificate has whole seconds only.
        if find_lapse(certificate, last + timedelta(seconds=1)) and find_lapse(certificate, first):
            raise _InvalidError(
                f"{find_lapse(certificate, first)}, and it was made {self.signature.when}"
            )

    def _check_timestamp(self, encrypted: bytes, certificate: x509.Certificate) -> None:
        kind, authorities = self.signature.text(TIMESTAMP_TYPE), self.policy.timestamp_authorities
        token = self.signature.value(TIMESTAMP)
        if not (kind or token) or authorities is None:
            return
        if kind != TYPE:
            raise _InvalidError(f"its Certified Timestamp Type is {kind!r}, not {TYPE}")
        is_der = not hasattr(certificate.public_key(), "recover_data_from_signature")
        try:
            signed = der_value(encrypted) if is_der else encrypted
            self.timestamp = verify_timestamp(token, signed, authorities)
        except TimestampError as error:
            raise _InvalidError(f"its Certified Timestamp: {error}") from error


_PIXEL_DATA: Final = 0x7FE0_0010
_NAMED: Final = 5


def _names(tags: Sequence[int]) -> str:
    names = ", ".join(map(keyword_of, tags[:_NAMED]))
    return names + (f" and {len(tags) - _NAMED} more" if len(tags) > _NAMED else "")


_DATETIME: Final = re.compile(r"(\d{14})(?:\.\d{1,6})?([+-]\d{4})?", re.ASCII)
_FARTHEST: Final = timedelta(hours=14)
"""Of a time zone from UTC."""


def _read_datetime(text: str) -> tuple[datetime, datetime]:
    """Return the first and last time that a value of VR DT may mean (PS3.5 §6.2)."""
    match = _DATETIME.fullmatch(text)
    if match is None:
        raise _InvalidError(f"its DateTime is {text!r}")
    try:
        when = datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise _InvalidError(f"its DateTime is {text!r}") from error
    if match[2] is None:
        return when - _FARTHEST, when + _FARTHEST
    offset = timedelta(hours=int(match[2][:3]), minutes=int(match[2][0] + match[2][3:]))
    if abs(offset) > _FARTHEST:
        raise _InvalidError(f"its DateTime is {text!r}")
    when = when.replace(tzinfo=timezone(offset))
    return when, when
