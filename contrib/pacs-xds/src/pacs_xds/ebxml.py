"""Metadata of documents as ebRIM 3.0 (ITI TF-3 §4.2): what is registered, and what is found."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from attrs import field, frozen

from pacs_xds.soap.xml import LCM, RIM, Element, clean, element, find, find_all

APPROVED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
HAS_MEMBER: Final = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
REPLACES: Final = "urn:ihe:iti:2007:AssociationType:RPLC"
DEPRECATED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
UPDATES_STATUS: Final = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"

_OBJECT: Final = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject"
STABLE_DOCUMENT: Final = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
SUBMISSION_SET: Final = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"

_LONG_NAME: Final = 256
_FREE_TEXT: Final = 1024
"""Characters that values of Slots, codes and identifiers, and that names may have (ebRIM 3.0)."""

CODES: Final[Mapping[str, str]] = {
    "class": "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a",
    "confidentiality": "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f",
    "event": "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4",
    "format": "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d",
    "facility": "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
    "practice_setting": "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead",
    "type": "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983",
}
"""Classification schemes of a document's codes (ITI TF-3 Table 4.2.5.1-2)."""
DOCUMENT_AUTHOR: Final = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
DOCUMENT_PATIENT: Final = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
DOCUMENT_UID: Final = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
SUBMISSION_AUTHOR: Final = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
SUBMISSION_CONTENT_TYPE: Final = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
SUBMISSION_PATIENT: Final = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SUBMISSION_SOURCE: Final = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
SUBMISSION_UID: Final = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"


@frozen
class Code:
    """A coded value.

    Attributes
    ----------
    value, scheme, meaning : str
    """

    value: str
    scheme: str
    meaning: str


@frozen
class Document:
    """A document to register.

    Attributes
    ----------
    entry_uuid : str
        ``urn:uuid:``, of its entry.
    unique_id : str
    patient_id, source_patient_id : str
        As CX: ``4711^^^&1.2.3&ISO``.
    source_patient_info : tuple of str
        Segments of PID, without those that are empty.
    created : datetime
    service_start : str
        YYYYMMDD[hhmmss]; empty if it is not known.
    codes : mapping of str to tuple of Code
        By the names of :data:`CODES`.
    language, title, institution : str
    references : tuple of str
        As CXi, of referenceIdList.
    size : int
    hash : str
        SHA-1, hexadecimal (ITI TF-3 §4.2.3.2.10).
    """

    entry_uuid: str
    unique_id: str
    patient_id: str
    source_patient_id: str
    source_patient_info: tuple[str, ...]
    created: datetime
    service_start: str
    codes: Mapping[str, tuple[Code, ...]]
    language: str
    title: str
    institution: str
    references: tuple[str, ...] = ()
    size: int = 0
    hash: str = ""


@frozen
class Submission:
    """A submission set.

    Attributes
    ----------
    unique_id : str
    source_id : str
        OID of who submits.
    time : datetime
    content_type : Code
    patient_id : str
        As CX.
    title, institution : str
    replaces : str
        UUID of the entry that is replaced; empty for none.
    """

    unique_id: str
    source_id: str
    time: datetime
    content_type: Code
    patient_id: str
    title: str = ""
    institution: str = ""
    replaces: str = ""


@frozen
class DocumentEntry:
    """A document that a registry knows.

    Attributes
    ----------
    entry_uuid, unique_id, repository_id, patient_id : str
    status, mime_type, title, created : str
    format : str
        Code of its format.
    size : int or None
    hash : str
    home : str
        Home community ID.
    events : tuple of str
        Values of its event codes, such as modalities.
    """

    entry_uuid: str
    unique_id: str
    repository_id: str
    patient_id: str
    status: str
    mime_type: str
    title: str
    created: str
    format: str
    size: int | None
    hash: str
    home: str
    events: tuple[str, ...] = field(default=())


def digest(content: bytes) -> str:
    """Return the hash of a document (ITI TF-3 §4.2.3.2.10 says SHA-1; nothing rests on it here)."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def make_submission(submission: Submission, document: Document, document_id: str) -> Element:
    """Return the SubmitObjectsRequest of one document.

    Parameters
    ----------
    submission : Submission
    document : Document
    document_id : str
        What its entry is called within the message: the UUID of the entry.
    """
    member = _association("membership", HAS_MEMBER, "SubmissionSet", document_id)
    member.append(_slot("SubmissionSetStatus", "Original"))
    objects = [_document(document, document_id), *_package(submission), member]
    if submission.replaces:
        objects.append(_association("replacement", REPLACES, document_id, submission.replaces))
    return element(LCM, "SubmitObjectsRequest", element(RIM, "RegistryObjectList", *objects))


def make_deprecation(submission: Submission, entry_uuid: str) -> Element:
    """Return the SubmitObjectsRequest by which a registry deprecates an entry (ITI TF-2 3.57)."""
    change = _association("status", UPDATES_STATUS, "SubmissionSet", entry_uuid)
    change.append(_slot("OriginalStatus", APPROVED))
    change.append(_slot("NewStatus", DEPRECATED))
    objects = element(RIM, "RegistryObjectList", *_package(submission), change)
    return element(LCM, "SubmitObjectsRequest", objects)


def _document(document: Document, document_id: str) -> Element:
    made = element(RIM, "ExtrinsicObject", id=document_id, mimeType="application/dicom")
    made.set("objectType", STABLE_DOCUMENT)
    slots = {
        "creationTime": (timestamp(document.created),),
        "hash": (document.hash,) if document.hash else (),
        "languageCode": (document.language,),
        "serviceStartTime": (document.service_start,) if document.service_start else (),
        "size": (str(document.size),) if document.hash else (),
        "sourcePatientId": (document.source_patient_id,),
        # A part of one would say something else than the whole.
        "sourcePatientInfo": _that_fit(document.source_patient_info),
        "urn:ihe:iti:xds:2013:referenceIdList": _that_fit(document.references),
    }
    for name, values in slots.items():
        if values:
            made.append(_slot(name, *values))
    made.append(_name(document.title))
    if document.institution:
        made.append(_author(document_id, DOCUMENT_AUTHOR, document.institution, "author"))
    for name, scheme in CODES.items():
        for number, code in enumerate(document.codes.get(name, ())):
            made.append(_coded(document_id, scheme, code, f"{name}-{number}"))
    identifiers = (
        (DOCUMENT_PATIENT, document.patient_id, "XDSDocumentEntry.patientId"),
        (DOCUMENT_UID, document.unique_id, "XDSDocumentEntry.uniqueId"),
    )
    for number, each in enumerate(identifiers):
        made.append(_identifier(document_id, *each, f"document-{number}"))
    return made


def _package(submission: Submission) -> tuple[Element, Element]:
    """Return a submission set, and what says that it is one."""
    made = element(RIM, "RegistryPackage", id="SubmissionSet")
    made.set("objectType", f"{_OBJECT}:RegistryPackage")
    made.append(_slot("submissionTime", timestamp(submission.time)))
    if submission.title:
        made.append(_name(submission.title))
    if submission.institution:
        author = _author("SubmissionSet", SUBMISSION_AUTHOR, submission.institution, "submitter")
        made.append(author)
    made.append(
        _coded("SubmissionSet", SUBMISSION_CONTENT_TYPE, submission.content_type, "content-type")
    )
    identifiers = (
        (SUBMISSION_PATIENT, submission.patient_id, "XDSSubmissionSet.patientId"),
        (SUBMISSION_UID, submission.unique_id, "XDSSubmissionSet.uniqueId"),
        (SUBMISSION_SOURCE, submission.source_id, "XDSSubmissionSet.sourceId"),
    )
    for number, each in enumerate(identifiers):
        made.append(_identifier("SubmissionSet", *each, f"set-{number}"))
    node = element(RIM, "Classification", id="SubmissionSet-class")
    node.set("classifiedObject", "SubmissionSet")
    node.set("classificationNode", SUBMISSION_SET)
    node.set("objectType", f"{_OBJECT}:Classification")
    return made, node


def _association(name: str, kind: str, source: str, target: str) -> Element:
    made = element(RIM, "Association", id=name, associationType=kind)
    made.set("sourceObject", source)
    made.set("targetObject", target)
    made.set("objectType", f"{_OBJECT}:Association")
    return made


def _coded(owner: str, scheme: str, code: Code, name: str) -> Element:
    made = _classification(owner, scheme, code.value, f"{name}-code")
    made.append(_slot("codingScheme", code.scheme))
    made.append(_name(code.meaning))
    return made


def _author(owner: str, scheme: str, institution: str, name: str) -> Element:
    made = _classification(owner, scheme, "", name)
    made.append(_slot("authorInstitution", institution))
    return made


def _classification(owner: str, scheme: str, value: str, name: str) -> Element:
    made = element(RIM, "Classification", id=name, classificationScheme=scheme)
    made.set("classifiedObject", owner)
    made.set("nodeRepresentation", clean(value)[:_LONG_NAME])
    made.set("objectType", f"{_OBJECT}:Classification")
    return made


def _identifier(owner: str, scheme: str, value: str, name: str, xml_id: str) -> Element:
    made = element(RIM, "ExternalIdentifier", id=xml_id, identificationScheme=scheme)
    made.set("registryObject", owner)
    made.set("value", clean(value)[:_LONG_NAME])
    made.set("objectType", f"{_OBJECT}:ExternalIdentifier")
    made.append(_name(name))
    return made


def _slot(name: str, *values: str) -> Element:
    cut = (element(RIM, "Value", clean(each)[:_LONG_NAME]) for each in values)
    return element(RIM, "Slot", element(RIM, "ValueList", *cut), name=name)


def _that_fit(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(each for each in values if len(each) <= _LONG_NAME)


def _name(text: str) -> Element:
    return element(RIM, "Name", element(RIM, "LocalizedString", value=clean(text)[:_FREE_TEXT]))


def timestamp(moment: datetime) -> str:
    """Return a DTM of HL7, in UTC (ITI TF-3 Table 4.2.3.1.7-2)."""
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")


def read_entries(root: Element) -> Iterator[DocumentEntry]:
    """Iterate over the documents in an answer of a registry; what has no unique ID is none."""
    for found in find_all(root, RIM, "ExtrinsicObject"):
        slots = {each.get("name"): _values(each) for each in found if each.tag == f"{{{RIM}}}Slot"}
        identifiers = {
            each.get("identificationScheme"): each.get("value") or ""
            for each in found
            if each.tag == f"{{{RIM}}}ExternalIdentifier"
        }
        codes = [
            (each.get("classificationScheme"), each.get("nodeRepresentation") or "")
            for each in found
            if each.tag == f"{{{RIM}}}Classification"
        ]
        if not identifiers.get(DOCUMENT_UID):
            continue
        size = _first(slots.get("size", ()))
        yield DocumentEntry(
            found.get("id") or "",
            identifiers[DOCUMENT_UID],
            _first(slots.get("repositoryUniqueId", ())),
            identifiers.get(DOCUMENT_PATIENT, ""),
            found.get("status") or "",
            found.get("mimeType") or "",
            _title(found),
            _first(slots.get("creationTime", ())),
            _first(value for scheme, value in codes if scheme == CODES["format"]),
            int(size) if size.isdecimal() and len(size) < 16 else None,
            _first(slots.get("hash", ())).lower(),
            found.get("home") or "",
            tuple(value for scheme, value in codes if scheme == CODES["event"]),
        )


def _values(slot: Element) -> tuple[str, ...]:
    return tuple((each.text or "").strip() for each in find_all(slot, RIM, "Value"))


def _first(values: Iterable[str]) -> str:
    return next(iter(values), "")


def _title(found: Element) -> str:
    name = find(found, RIM, "Name")
    texts = () if name is None else find_all(name, RIM, "LocalizedString")
    return _first(each.get("value") or "" for each in texts)
