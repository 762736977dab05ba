"""The table ``[plugin.xds]``."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from attrs import field, frozen
from attrs.validators import ge, gt, matches_re
from pacs_core.contracts import RELOADABLE, ClientTls

_URL: Final = matches_re(r"https?://[^\s]+")
_OID_TEXT: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_OID: Final = matches_re(f"({_OID_TEXT.pattern})?")
_SNOMED: Final = "2.16.840.1.113883.6.96"
_LOINC: Final = "2.16.840.1.113883.6.1"


@frozen
class XdsPeer:
    """A registry, a repository, or an Imaging Document Source; each has a table like this one.

    Attributes
    ----------
    url : str
        Of its web service.
    unique_id : str
        Of a repository, its repositoryUniqueId; of a source, its Retrieve Location UID.
    tls : ClientTls or None
        How the connection is secured, as of ``[peers.NAME.tls]``; without it, an ``https`` URL is
        verified by the system's CAs.
    timeout : float
        Seconds without a byte, either way.
    """

    url: str = field(validator=_URL)
    unique_id: str = field(default="", validator=_OID)
    tls: ClientTls | None = None
    timeout: float = field(default=60.0, validator=gt(0))


@frozen
class XdsCodes:
    """Codes of what is registered, as the affinity domain has them: value, scheme, meaning.

    Attributes
    ----------
    document_class : tuple of str
        classCode, the kind of document at large.
    document_type : tuple of str
        typeCode, the precise kind.
    content_type : tuple of str
        contentTypeCode of the submission.
    practice_setting : tuple of str
    facility : tuple of str
        healthcareFacilityTypeCode.
    confidentiality : tuple of str
    """

    document_class: tuple[str, str, str] = ("18748-4", _LOINC, "Diagnostic imaging study")
    document_type: tuple[str, str, str] = ("18748-4", _LOINC, "Diagnostic imaging study")
    content_type: tuple[str, str, str] = ("18748-4", _LOINC, "Diagnostic imaging study")
    practice_setting: tuple[str, str, str] = ("394914008", _SNOMED, "Radiology")
    facility: tuple[str, str, str] = ("22232009", _SNOMED, "Hospital")
    confidentiality: tuple[str, str, str] = ("N", "2.16.840.1.113883.5.25", "Normal")


@frozen
class XdsConfig:
    """What is shared with whom (IHE XDS-I.b), and where documents of others are.

    Attributes
    ----------
    location_uid : str
        Retrieve Location UID of this node, an OID: by it others ask for its images.
    source_id : str
        OID of this node as who submits; by default `location_uid`.
    domains : mapping of str to str
        OID of the assigning authority by Issuer of Patient ID; that of an empty issuer is of images
        which have none.
    repository : XdsPeer or None
        Where manifests are registered; without it none are.
    register : ``"complete"`` or ``"demand"``
        Whether studies are registered when they are complete, or only when somebody asks for it.
        What is registered follows its study either way.
    registry : XdsPeer or None
        Where documents are looked for.
    repositories : mapping of str to XdsPeer
        Further repositories, from which documents are retrieved.
    updates : XdsPeer or None
        Where entries are deprecated whose studies are gone, or another patient's (ITI-57, often the
        registry under another URL); without it these are only listed.
    sources : mapping of str to XdsPeer
        Imaging Document Sources, from which images are retrieved.
    web_url : str
        URL of this node's DICOMweb as others see it, for Retrieve URL (0008,1190); empty for none.
    archive_manifests : bool
        Whether manifests are stored in the archive as well, in their studies.
    codes : XdsCodes
    language : str
        languageCode (RFC 5646).
    institution : str
        authorInstitution; empty for none.
    saml : Path or None
        File with a SAML 2.0 assertion that goes along with each request, as it is.
    path : str
        Where the Imaging Document Source is on this node's web server.
    max_request : int
        Bytes of a request to it.
    max_documents : int
        Documents that a request may ask for.
    max_document, max_response : int
        Bytes of each document that is retrieved, and of all in one response.
    batch : int
        Instances that a source is asked for at once; some take few.
    attempts : int
        How often it is tried to register a study, before that is given up.
    first_pause, longest_pause : float
        Seconds between two attempts.
    """

    location_uid: str = field(default="", validator=_OID)
    source_id: str = field(default="", validator=_OID, metadata=RELOADABLE)
    domains: Mapping[str, str] = field(factory=dict, metadata=RELOADABLE)
    repository: XdsPeer | None = field(default=None, metadata=RELOADABLE)
    register: Literal["complete", "demand"] = "demand"
    registry: XdsPeer | None = field(default=None, metadata=RELOADABLE)
    repositories: Mapping[str, XdsPeer] = field(factory=dict, metadata=RELOADABLE)
    updates: XdsPeer | None = field(default=None, metadata=RELOADABLE)
    sources: Mapping[str, XdsPeer] = field(factory=dict, metadata=RELOADABLE)
    web_url: str = field(default="", validator=matches_re(r"(https?://[^\s]+[^/\s])?"))
    archive_manifests: bool = False
    codes: XdsCodes = field(factory=XdsCodes)
    language: str = "en-US"
    institution: str = ""
    saml: Path | None = None
    path: str = field(default="/xds", validator=matches_re(r"(/[A-Za-z0-9._-]+)+"))
    max_request: int = field(default=4 << 20, validator=ge(4096))
    max_documents: int = field(default=20_000, validator=ge(1))
    max_document: int = field(default=4 << 30, validator=ge(4096))
    max_response: int = field(default=64 << 30, validator=ge(4096))
    batch: int = field(default=100, validator=ge(1))
    attempts: int = field(default=3000, validator=ge(1))
    first_pause: float = field(default=10.0, validator=gt(0))
    longest_pause: float = field(default=300.0, validator=gt(0))

    def problems(self) -> Iterator[str]:
        """Iterate over what is wrong beyond types."""
        if self.repository is not None and not self.location_uid:
            yield "location_uid: what is registered needs one: an OID by which to ask for images"
        if self.repository is not None and not self.domains:
            yield "domains: what is registered needs the OID of who assigns Patient IDs"
        if self.register == "complete" and self.repository is None:
            yield 'register: "complete" needs [plugin.xds.repository]'
        for issuer, oid in self.domains.items():
            if not _OID_TEXT.fullmatch(oid):
                yield f"domains.{issuer}: {oid!r} is no OID"
        for name, peer in {**self.repositories, **self.sources}.items():
            if not peer.unique_id:
                yield f"{name}.unique_id: say which OID it is asked for by"
        if self.saml is not None and not self.saml.is_file():
            yield f"saml: there is no file {self.saml}"

    @property
    def submitter(self) -> str:
        """OID of who submits."""
        return self.source_id or self.location_uid

    def repository_of(self, unique_id: str) -> XdsPeer | None:
        """Return the repository with this repositoryUniqueId, or None."""
        known = [*self.repositories.values(), *((self.repository,) if self.repository else ())]
        return next((each for each in known if each.unique_id == unique_id), None)

    def source_of(self, location_uid: str) -> XdsPeer | None:
        """Return the source with this Retrieve Location UID, or None."""
        return next((e for e in self.sources.values() if e.unique_id == location_uid), None)
