"""Requests and responses of the transactions: ITI-18, ITI-41, ITI-43, RAD-68, RAD-69.

What is strict: nothing is sent that ITI TF-3 §4.2 does not have so. What is liberal: an answer may
have its elements in any order, documents inline in base64, and codes of errors that nobody knows.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import field, frozen

from pacs_xds.ebxml import (
    APPROVED,
    Document,
    DocumentEntry,
    Submission,
    make_submission,
    read_entries,
)
from pacs_xds.soap.envelope import FaultCode, SoapFault
from pacs_xds.soap.mtom import MalformedPackage, include, included
from pacs_xds.soap.xml import (
    QUERY,
    RIM,
    RS,
    WADO,
    XDSB,
    XDSI,
    Element,
    clean,
    element,
    find,
    find_all,
    text_of,
)

PROVIDE: Final = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
STORED_QUERY: Final = "urn:ihe:iti:2007:RegistryStoredQuery"
RETRIEVE: Final = "urn:ihe:iti:2007:RetrieveDocumentSet"
RETRIEVE_RESPONSE: Final = "urn:ihe:iti:2007:RetrieveDocumentSetResponse"
UPDATE: Final = "urn:ihe:iti:2010:UpdateDocumentSet"
RETRIEVE_IMAGING: Final = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"

FIND_DOCUMENTS: Final = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"

SUCCESS: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL: Final = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
ERROR: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"

MIME_TYPE: Final = "application/dicom"
MOST: Final = 20_000
"""Documents that are asked for at once."""


@frozen
class RegistryError:
    """An error in an answer (ITI TF-3 §4.2.4.2).

    Attributes
    ----------
    code : str
        Such as ``"XDSUnknownPatientId"``.
    context : str
        For people.
    location : str
    is_warning : bool
    """

    code: str
    context: str
    location: str = ""
    is_warning: bool = False


@frozen
class RegistryResponse:
    """How a registry, a repository or a source has answered.

    Attributes
    ----------
    status : str
    errors : tuple of RegistryError
    """

    status: str
    errors: tuple[RegistryError, ...] = ()

    @property
    def reason(self) -> str:
        """What was wrong, in a line."""
        told = "; ".join(f"{each.code}: {each.context}" for each in self.errors)
        return told[:1000] or self.status.rpartition(":")[2]


@frozen
class DocumentKey:
    """What a document is asked for by.

    Attributes
    ----------
    repository_id, unique_id : str
    home : str
        Home community ID; empty for none.
    """

    repository_id: str
    unique_id: str
    home: str = ""


@frozen
class ImagingDocument:
    """An instance that is asked for by RAD-69.

    Attributes
    ----------
    study_instance_uid, series_instance_uid : str
    key : DocumentKey
    anonymize : bool
        Whether it is wanted without who the patient is (PS3.18 2017b §6.4.2.2).
    """

    study_instance_uid: str
    series_instance_uid: str
    key: DocumentKey
    anonymize: bool = False


@frozen
class ImagingRequest:
    """A request of RAD-69.

    Attributes
    ----------
    documents : tuple of ImagingDocument
    transfer_syntaxes : tuple of str
        UIDs, the preferred first.
    """

    documents: tuple[ImagingDocument, ...]
    transfer_syntaxes: tuple[str, ...]


@frozen
class AnsweredDocument:
    """A document in an answer.

    Attributes
    ----------
    key : DocumentKey
    mime_type : str
    content_id : str
        Of the part that has its content; empty if it is inline.
    content : bytes
        What is inline.
    """

    key: DocumentKey
    mime_type: str
    content_id: str = ""
    content: bytes = field(default=b"", repr=False)


def provide_request(submission: Submission, document: Document, content_id: str) -> Element:
    """Return the request to provide and register a document, which another part has."""
    holder = element(XDSB, "Document", include(content_id), id=document.entry_uuid)
    return element(
        XDSB,
        "ProvideAndRegisterDocumentSetRequest",
        make_submission(submission, document, document.entry_uuid),
        holder,
    )


def find_documents_request(patient_id: str, formats: Iterable[str] = ()) -> Element:
    """Return the stored query FindDocuments for documents that are approved (ITI TF-2 3.18).

    Parameters
    ----------
    patient_id : str
        As CX.
    formats : iterable of str
        Codes of formats, ``code^^scheme``; empty for any.
    """
    asked = element(QUERY, "ResponseOption", returnComposedObjects="true", returnType="LeafClass")
    adhoc = element(RIM, "AdhocQuery", id=FIND_DOCUMENTS)
    adhoc.append(_parameter("$XDSDocumentEntryPatientId", _quote(patient_id)))
    adhoc.append(_parameter("$XDSDocumentEntryStatus", f"({_quote(APPROVED)})"))
    if listed := ",".join(map(_quote, formats)):
        adhoc.append(_parameter("$XDSDocumentEntryFormatCode", f"({listed})"))
    return element(QUERY, "AdhocQueryRequest", asked, adhoc)


def _quote(text: str) -> str:
    """Return a string of a stored query: quotation marks are doubled (ITI TF-2 3.18.4.1.2.3.5)."""
    return "'" + clean(text).replace("'", "''") + "'"


def _parameter(name: str, value: str) -> Element:
    listed = element(RIM, "ValueList", element(RIM, "Value", value))
    return element(RIM, "Slot", listed, name=name)


def retrieve_request(keys: Iterable[DocumentKey]) -> Element:
    """Return the request to retrieve documents (ITI TF-2 3.43)."""
    return element(XDSB, "RetrieveDocumentSetRequest", *map(_document_request, keys))


def _document_request(key: DocumentKey) -> Element:
    made = element(XDSB, "DocumentRequest")
    if key.home:
        made.append(element(XDSB, "HomeCommunityId", key.home))
    made.append(element(XDSB, "RepositoryUniqueId", key.repository_id))
    made.append(element(XDSB, "DocumentUniqueId", key.unique_id))
    return made


def imaging_request(wanted: ImagingRequest) -> Element:
    """Return the request to retrieve instances (RAD TF-3 4.69.4.1.2)."""
    made = element(XDSI, "RetrieveImagingDocumentSetRequest")
    studies: dict[str, Element] = {}
    series: dict[tuple[str, str], Element] = {}
    for each in wanted.documents:
        study_uid, uid = each.study_instance_uid, each.series_instance_uid
        if study_uid not in studies:
            studies[study_uid] = element(XDSI, "StudyRequest", studyInstanceUID=study_uid)
            made.append(studies[study_uid])
        if (study_uid, uid) not in series:
            series[study_uid, uid] = element(XDSI, "SeriesRequest", seriesInstanceUID=uid)
            studies[study_uid].append(series[study_uid, uid])
        series[study_uid, uid].append(_document_request(each.key))
    syntaxes = (element(XDSI, "TransferSyntaxUID", each) for each in wanted.transfer_syntaxes)
    made.append(element(XDSI, "TransferSyntaxUIDList", *syntaxes))
    return made


def read_imaging_request(body: Element) -> ImagingRequest:
    """Return what a request of RAD-69 asks for.

    Raises
    ------
    SoapFault
        It is not what RAD TF-3 4.69.4.1.2 has: studies, of these series, of these documents, and a
        list of transfer syntaxes.
    """
    if body.tag != f"{{{XDSI}}}RetrieveImagingDocumentSetRequest":
        raise _sender(f"the body is {body.tag[:200]}, not a RetrieveImagingDocumentSetRequest")
    documents = []
    for study in find_all(body, XDSI, "StudyRequest"):
        for series in find_all(study, XDSI, "SeriesRequest"):
            for each in find_all(series, XDSB, "DocumentRequest"):
                document = ImagingDocument(
                    study.get("studyInstanceUID") or "",
                    series.get("seriesInstanceUID") or "",
                    _key(each),
                    anonymize=text_of(each, WADO, "Anonymize") == "yes",
                )
                if not (document.study_instance_uid and document.series_instance_uid):
                    raise _sender("a StudyRequest or SeriesRequest has no UID")
                if not (document.key.repository_id and document.key.unique_id):
                    raise _sender("a DocumentRequest lacks RepositoryUniqueId or DocumentUniqueId")
                documents.append(document)
    if not documents:
        raise _sender("the request names no documents")
    if len(documents) > MOST:
        raise _sender(f"the request names more than {MOST} documents: ask for them by and by")
    listed = find(body, XDSI, "TransferSyntaxUIDList")
    found = () if listed is None else find_all(listed, XDSI, "TransferSyntaxUID")
    syntaxes = tuple(dict.fromkeys(uid for each in found if (uid := (each.text or "").strip())))
    if not syntaxes:
        raise _sender("the request has no TransferSyntaxUIDList with a transfer syntax")
    return ImagingRequest(tuple(dict.fromkeys(documents)), syntaxes)


def _sender(reason: str) -> SoapFault:
    return SoapFault(FaultCode.SENDER, reason)


def _key(found: Element) -> DocumentKey:
    return DocumentKey(
        text_of(found, XDSB, "RepositoryUniqueId"),
        text_of(found, XDSB, "DocumentUniqueId"),
        text_of(found, XDSB, "HomeCommunityId"),
    )


def retrieve_response(
    status: str,
    documents: Iterable[tuple[DocumentKey, str]],
    errors: Sequence[RegistryError],
) -> Element:
    """Return a RetrieveDocumentSetResponse (ITI TF-2 3.43.5).

    Parameters
    ----------
    status : str
    documents : iterable of (DocumentKey, str)
        With the Content-ID of each.
    errors : sequence of RegistryError
    """
    response = element(RS, "RegistryResponse", status=status)
    if errors:
        response.append(element(RS, "RegistryErrorList", *map(_error, errors)))
    made = element(XDSB, "RetrieveDocumentSetResponse", response)
    for key, content_id in documents:
        holder = element(XDSB, "DocumentResponse", *_document_request(key))
        holder.append(element(XDSB, "mimeType", MIME_TYPE))
        holder.append(element(XDSB, "Document", include(content_id)))
        made.append(holder)
    return made


def _error(error: RegistryError) -> Element:
    made = element(RS, "RegistryError", errorCode=error.code, codeContext=clean(error.context))
    made.set("location", clean(error.location))
    made.set("severity", ERROR)
    return made


def read_response(body: Element) -> RegistryResponse:
    """Return how a body of an answer says that it went.

    Raises
    ------
    SoapFault
        It is none.
    """
    named = {f"{{{RS}}}RegistryResponse", f"{{{QUERY}}}AdhocQueryResponse"}
    found = body if body.tag in named else find(body, RS, "RegistryResponse")
    if found is None or not found.get("status"):
        raise SoapFault(FaultCode.RECEIVER, "the answer has no RegistryResponse with a status")
    errors = tuple(
        RegistryError(
            each.get("errorCode") or "",
            " ".join((each.get("codeContext") or each.text or "").split())[:500],
            each.get("location") or "",
            (each.get("severity") or "").endswith(":Warning"),
        )
        for each in find_all(found, RS, "RegistryError")
    )
    return RegistryResponse(found.get("status"), errors)


def read_found(body: Element) -> list[DocumentEntry]:
    """Return the documents in the answer to a stored query."""
    return list(read_entries(body))


def read_documents(body: Element) -> list[AnsweredDocument]:
    """Return the documents in an answer.

    Raises
    ------
    MalformedPackage
        One has no content that is understood.
    """
    documents = []
    for found in find_all(body, XDSB, "DocumentResponse"):
        holder = find(found, XDSB, "Document")
        key, mime_type = _key(found), text_of(found, XDSB, "mimeType")
        if holder is None:
            raise MalformedPackage(f"the document {key.unique_id[:64]} has no content")
        content_id = included(holder)
        if content_id is not None:
            documents.append(AnsweredDocument(key, mime_type, content_id))
            continue
        try:
            content = base64.b64decode("".join((holder.text or "").split()), validate=True)
        except binascii.Error as error:
            raise MalformedPackage(f"the document {key.unique_id[:64]}: {error}") from error
        documents.append(AnsweredDocument(key, mime_type, content=content))
    return documents
