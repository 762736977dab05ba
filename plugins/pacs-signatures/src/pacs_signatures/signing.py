"""Digital signatures that are made, and files with them (PS3.3 C.12.1.1.3).

How it works: the item of the signature is made first, as most of it is in its own MAC. Then the MAC
is computed over the file as it lies there, signed, and the two sequences of the Digital Signatures
Macro are put into the dataset with a further item each. No other byte of the file changes, so that
signatures that are there already stay valid.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain, count
from typing import Final
from uuid import uuid4

from attrs import evolve, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from pacs_tools.api import (
    AttributePath,
    DicomFile,
    deflate,
    encode_element,
    replace_element,
    rewrite_dataset,
)

from pacs_core.api.file_commands import CommandError
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    DataElement,
    Edit,
    ElementSet,
    encoding_of,
    keyword_of,
    tag_of,
)
from pacs_signatures.algorithms import MacAlgorithm, SigningKey, sign_digest
from pacs_signatures.byte_stream import (
    DIGITAL_SIGNATURES,
    MAC_PARAMETERS,
    ByteStream,
    is_signable,
    select,
)
from pacs_signatures.model import (
    ALGORITHM,
    CERTIFICATE,
    CERTIFICATE_TYPE,
    MAC_ID,
    PURPOSE,
    SIGNATURE,
    SIGNATURE_UID,
    SIGNED,
    TIMESTAMP,
    TIMESTAMP_TYPE,
    TRANSFER_SYNTAX,
    WHEN,
    encode_tags,
)
from pacs_signatures.profile import PURPOSE_MEANINGS, Profile
from pacs_signatures.profile_tags import tags_to_sign
from pacs_signatures.timestamps import TYPE, request_timestamp
from pacs_signatures.trust import TrustStore, encode_certificate


@frozen
class Timestamping:
    """Where timestamps come from, and whose are taken."""

    url: str
    trusted: TrustStore


@frozen
class Signer:
    """Who signs, and how.

    Attributes
    ----------
    key : private key
        Of RSA or ECDSA.
    certificate : Certificate
    algorithm : MacAlgorithm
    profile : Profile
    purpose : int
        Of Digital Signature Purpose (PS3.16 CID 7007); 0 for none.
    tags : frozenset of int
        Attributes to sign besides those of the profile, or instead of all others with that of C.1.
    timestamping : Timestamping or None
    """

    key: SigningKey
    certificate: x509.Certificate
    algorithm: MacAlgorithm
    profile: Profile = Profile.BASE
    purpose: int = 0
    tags: frozenset[int] = frozenset()
    timestamping: Timestamping | None = None

    def sign(
        self, file: DicomFile, item: AttributePath | None, when: datetime
    ) -> Iterator[bytes | memoryview]:
        """Return the pieces of the file with a signature more; what cannot be signed fails at once.

        Parameters
        ----------
        file : DicomFile
        item : AttributePath or None
            Of Digital Signatures Sequence in the items that are to be signed, instead of the
            dataset.
        when : datetime
            With its time zone.

        Raises
        ------
        CommandError
            There is nothing to sign, or it cannot be.
        TimestampError
            There is no timestamp to be had.
        """
        places = list(item.find(file.elements)) if item else [(DIGITAL_SIGNATURES,)]
        if not places:
            raise CommandError("there is no such item")
        elements = file.elements
        for place in places:
            elements = replace_element(elements, place, lambda w, _: self._add_to(file, w, when))
        changed = {place[0] for place in places if len(place) > 1}
        changed |= set() if item else {MAC_PARAMETERS, DIGITAL_SIGNATURES}
        edits: dict[int, Edit] = {
            tag: encode_element(file, elements.elements[tag]) for tag in changed
        }
        pieces = rewrite_dataset(file, edits)
        if encoding_of(file.meta.transfer_syntax_uid).deflated:
            pieces = deflate(pieces)
        return chain([file.head], pieces)

    def _add_to(self, file: DicomFile, within: ElementSet, when: datetime) -> ElementSet:
        tags = self._choose(within)
        parameters = within.elements.get(MAC_PARAMETERS)
        signatures = within.elements.get(DIGITAL_SIGNATURES)
        taken = {
            value
            for sequence in (parameters, signatures)
            for each in (sequence.items if sequence else ())
            for value in each.texts(MAC_ID)
        }
        number = next(each for each in count() if str(each) not in taken)
        if number > _LAST_NUMBER:
            raise CommandError("there is no MAC ID Number left")
        # Compressed Pixel Data have no other form than the one in which they are here.
        syntax = file.meta.transfer_syntax_uid
        syntax = syntax if encoding_of(syntax).encapsulated else EXPLICIT_VR_LITTLE_ENDIAN
        mac = _make_item(
            (MAC_ID, "US", number.to_bytes(2, "little")),
            (TRANSFER_SYNTAX, "UI", syntax.encode()),
            (ALGORITHM, "CS", self.algorithm.term.encode()),
            (SIGNED, "AT", encode_tags(tags)),
        )
        item = self._make_signature(file, within, number, (syntax, tags), when)
        return evolve(
            within,
            elements={
                **within.elements,
                MAC_PARAMETERS: _append(MAC_PARAMETERS, parameters, mac),
                DIGITAL_SIGNATURES: _append(DIGITAL_SIGNATURES, signatures, item),
            },
        )

    def _choose(self, within: ElementSet) -> tuple[int, ...]:
        for tag in self.tags:
            element = within.elements.get(tag)
            if element is None:
                raise CommandError(f"{keyword_of(tag)}: there is no such attribute to sign")
            if not is_signable(element):
                raise CommandError(f"{keyword_of(tag)} may not be signed (PS3.3 C.12.1.1.3.1.1)")
        only = self.tags and self.profile is Profile.BASE
        tags = self.tags if only else self.tags | tags_to_sign(self.profile, within)
        if not tags:
            raise CommandError("there is nothing to sign")
        return tuple(sorted(tags))

    def _make_signature(
        self,
        file: DicomFile,
        within: ElementSet,
        number: int,
        parameters: tuple[str, tuple[int, ...]],
        when: datetime,
    ) -> ElementSet:
        syntax, tags = parameters
        item = _make_item(
            (MAC_ID, "US", number.to_bytes(2, "little")),
            (SIGNATURE_UID, "UI", f"2.25.{uuid4().int}".encode()),
            (WHEN, "DT", when.strftime("%Y%m%d%H%M%S.%f%z").encode()),
            (CERTIFICATE_TYPE, "CS", b"X509_1993_SIG"),
        )
        if self.purpose:
            code = _make_item(
                (tag_of("CodeValue"), "SH", str(self.purpose).encode()),
                (tag_of("CodingSchemeDesignator"), "SH", b"ASTM-sigpurpose"),
                (tag_of("CodeMeaning"), "LO", PURPOSE_MEANINGS[self.purpose].encode()),
            )
            item = _put(item, DataElement(PURPOSE, "SQ", (code,)))
        digest = self.algorithm.new()
        stream = ByteStream(file, syntax, digest)
        stream.add(select(within, tags))
        stream.add(item)
        signature = sign_digest(self.key, self.algorithm, digest.digest())
        item = _put(item, _make_element(CERTIFICATE, "OB", encode_certificate(self.certificate)))
        item = _put(item, _make_element(SIGNATURE, "OB", signature))
        if self.timestamping is not None:
            token = request_timestamp(self.timestamping.url, signature, self.timestamping.trusted)
            item = _put(item, _make_element(TIMESTAMP_TYPE, "CS", TYPE.encode()))
            item = _put(item, _make_element(TIMESTAMP, "OB", token))
        return item


_LAST_NUMBER: Final = 0xFFFF


def is_pair(key: SigningKey, certificate: x509.Certificate) -> bool:
    """Tell whether a private key belongs to a certificate."""
    return key.public_key() == certificate.public_key()


def is_rsa(key: SigningKey) -> bool:
    """Tell whether a key is one as the profiles of PS3.15 Annex C ask for."""
    return isinstance(key, rsa.RSAPrivateKey)


def _append(tag: int, sequence: DataElement | None, item: ElementSet) -> DataElement:
    return DataElement(tag, "SQ", (*(sequence.items if sequence else ()), item))


def _put(item: ElementSet, element: DataElement) -> ElementSet:
    return evolve(item, elements={**item.elements, element.tag: element})


def _make_item(*elements: tuple[int, str, bytes]) -> ElementSet:
    return ElementSet({tag: _make_element(tag, vr, value) for tag, vr, value in elements})


def _make_element(tag: int, vr: str, value: bytes) -> DataElement:
    padding = b"\0" if vr in {"UI", "OB"} else b" "
    return DataElement(tag, vr, value + padding * (len(value) & 1))
