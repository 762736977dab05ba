"""Reports in ORU messages, as documents of the study that they are about.

How it works: each OBR with its OBX segments is a report. A PDF in it (OBX-2 ``ED``, base64) becomes
an Encapsulated PDF (PS3.3 A.45.1), its text a Basic Text SR (PS3.3 A.35.1), in a series of its own.
Patient and study are those that the archive has; a report that names a study of somebody else is
refused. UIDs are made of what the report says, so that it is the same document when it comes again.
"""

import binascii
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    EntityPath,
    Level,
    Node,
    Origin,
    Query,
    SingleValue,
    correct_patient,
    patient_of,
)
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, Attributes, encode_dataset, tag_of, texts
from pacs_hl7.interface import ConflictKind
from pacs_hl7.messages import Fault, Message, MessageError
from pacs_hl7.reconciling import ConflictError

if TYPE_CHECKING:
    from pydicom import Dataset

ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
BASIC_TEXT_SR: Final = "1.2.840.10008.5.1.4.1.1.88.11"

_FROM_STUDY: Final = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip
_OF_THE_ORDER: Final = (("IPC", 1), ("OBR", 18), ("ORC", 3), ("OBR", 3), ("ORC", 2), ("OBR", 2))
"""Where the accession number may be."""
_TITLE: Final = ("18748-4", "LN", "Diagnostic imaging study")
_FINDINGS: Final = ("59776-5", "LN", "Procedure findings")
_FINAL: Final = frozenset("FC")
_GONE: Final = frozenset("XD")
"""Observation result statuses (HL7 table 0085) of what is to be deleted or was not made."""

Code = tuple[str, str, str]


@frozen
class Section:
    """Text under a heading."""

    heading: Code
    text: str


@define
class Report:
    """What an OBR segment, and the OBX segments that follow it, say.

    Attributes
    ----------
    occurrence : int
        Of the OBR segment.
    """

    occurrence: int
    sections: list[Section] = field(factory=list)
    documents: list[bytes] = field(factory=list)


def read_reports(message: Message) -> Iterator[Report]:
    """Iterate over the reports of a message.

    Raises
    ------
    MessageError
        There is none, or an observation cannot be read.
    """
    report: Report | None = None
    numbers = {"OBR": 0, "OBX": 0}
    for name in message.segments:
        if name not in numbers:
            continue
        numbers[name] += 1
        if name == "OBR":
            if report is not None:
                yield report
            report = Report(numbers["OBR"])
        elif report is None:
            raise MessageError("there is an OBX before any OBR", Fault.SEGMENT_SEQUENCE)
        else:
            _read_observation(message, numbers["OBX"], report)
    if report is None:
        raise MessageError("the report has no OBR", Fault.SEGMENT_SEQUENCE)
    yield report


def _read_observation(message: Message, occurrence: int, report: Report) -> None:
    def get(number: int, component: int = 1, repetition: int = 1) -> str:
        return message.get(
            "OBX", number, component=component, occurrence=occurrence, repetition=repetition
        )

    kind = get(2)
    if get(11) in _GONE:
        return
    if kind == "ED":
        report.documents.append(_decode(get(5, 5), get(5, 4)))
        return
    repetitions = message.repetitions("OBX", 5, occurrence)
    if kind in ("CE", "CWE", "CNE"):
        lines = [get(5, 2, each) or get(5, 1, each) for each in repetitions]
    else:
        lines = [get(5, 1, each) for each in repetitions]
    if kind == "RP":
        lines = [f"Reference: {line}" for line in lines if line]
    text = "\r\n".join(lines)
    heading = _code(get(3, 1), get(3, 2), get(3, 3)) or _FINDINGS
    if report.sections and report.sections[-1].heading == heading:
        # Many senders write each line into an OBX of its own.
        report.sections[-1] = Section(heading, f"{report.sections[-1].text}\r\n{text}")
    elif text:
        report.sections.append(Section(heading, text))


def _decode(data: str, encoding: str) -> bytes:
    if encoding.upper() != "BASE64":
        text = f"a document in OBX-5 has the encoding {encoding[:20]!r}; base64 is taken"
        raise MessageError(text, Fault.DATA_TYPE)
    try:
        document = b64decode("".join(data.split()), validate=True)
    except binascii.Error as error:
        raise MessageError(f"a document in OBX-5: {error}", Fault.DATA_TYPE) from error
    if not document.startswith(b"%PDF-"):
        raise MessageError("a document in OBX-5 is no PDF", Fault.DATA_TYPE)
    return document


def _code(value: str, meaning: str, scheme: str) -> Code | None:
    """Return a coded entry of HL7 as one of DICOM; a scheme of the site's own begins with 99."""
    if not value or len(value) > 16:
        return None
    known = scheme if scheme in ("LN", "DCM", "SCT", "SRT") else f"99{scheme or 'L'}"[:16]
    return value, known, (meaning or value)[:64]


@define(eq=False)
class Reporting:
    """Stores reports.

    Parameters
    ----------
    node : Node
    origin : Origin
    """

    node: Node
    origin: Origin

    async def store(self, message: Message, patients: Sequence[EntityPath], report: Report) -> str:
        """Store the documents of a report, and return what was done.

        Parameters
        ----------
        message : Message
        patients : sequence of EntityPath
            Who it is about, by each identifier.
        report : Report

        Raises
        ------
        ConflictError
            The study is not here, or is somebody else's.
        IngestError
        """
        if not (report.sections or report.documents):
            return ""
        study = await self._find_study(message, report)
        await self._check_patient(study, patients)
        made = [_pdf(message, report, study, each) for each in report.documents]
        if report.sections:
            made.append(_text(message, report, study))
        for number, dataset in enumerate(made, 1):
            dataset.InstanceNumber = number
            await self._ingest(dataset)
        uid = "".join(texts(study, tag_of("StudyInstanceUID")))
        return f"report: {len(made)} in study {uid}"

    async def _find_study(self, message: Message, report: Report) -> Attributes:
        wanted = frozenset(map(tag_of, _FROM_STUDY))
        conditions = [
            SingleValue(tag_of("AccessionNumber"), number)
            for segment, place in _OF_THE_ORDER
            if (number := message.get(segment, place, occurrence=report.occurrence))
        ]
        if uid := message.get("IPC", 3) or message.get("ZDS", 1):
            conditions.insert(0, SingleValue(tag_of("StudyInstanceUID"), uid))
        for condition in conditions:
            query = Query(Level.STUDY, (condition,), wanted)
            async with closing(self.node.archive.search(query)) as found:
                studies = [study async for study in found]
            if len(studies) == 1:
                return studies[0]
            if studies:
                text = f"{len(studies)} studies have the number {condition.value}"
                raise ConflictError(ConflictKind.UNKNOWN_STUDY, text, Fault.UNKNOWN_KEY)
        names = ", ".join(dict.fromkeys(each.value for each in conditions)) or "no number at all"
        text = f"the study of the report is not here: {names}"
        raise ConflictError(ConflictKind.UNKNOWN_STUDY, text, Fault.UNKNOWN_KEY)

    async def _check_patient(self, study: Attributes, patients: Sequence[EntityPath]) -> None:
        whose = patient_of(study)
        for patient in patients:
            known: Attributes = {
                tag_of("PatientID"): (patient.patient_id,),
                tag_of("IssuerOfPatientID"): (patient.issuer_of_patient_id,),
            }
            if whose == patient_of(await correct_patient(known, self.node.archive)):
                return
        text = f"the study of the report is of {whose}, not of {patients[0]}"
        raise ConflictError(ConflictKind.UNKNOWN_STUDY, text, Fault.UNKNOWN_KEY)

    async def _ingest(self, dataset: "Dataset") -> None:
        encoded = encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN)

        async def chunks() -> "AsyncIterator[bytes]":
            yield encoded

        await self.node.archive.on_behalf_of(self.origin).ingest(
            chunks(),
            transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=str(dataset.SOPInstanceUID),
            origin=self.origin,
        )


def _document(
    message: Message, report: Report, study: Attributes, sop_class: str, content: bytes
) -> "Dataset":
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    get = message.get
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _FROM_STUDY:
        setattr(dataset, keyword, "\\".join(texts(study, tag_of(keyword))))
    if not dataset.IssuerOfPatientID:
        del dataset.IssuerOfPatientID
    order = get("OBR", 3, occurrence=report.occurrence) or message.control_id
    made_of = ["hl7 report", message.sender, order, str(dataset.StudyInstanceUID), sop_class]
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[*made_of, sha256(content).hexdigest()])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=made_of)
    dataset.SeriesNumber = 1
    dataset.Manufacturer = ""
    dataset.SeriesDescription = "Report"
    said = get("OBR", 22, occurrence=report.occurrence) or get("MSH", 7)
    moment = (
        said[:14] if said[:8].isdigit() and len(said) >= 8 else f"{datetime.now():%Y%m%d%H%M%S}"
    )
    dataset.ContentDate, dataset.ContentTime = moment[:8], moment[8:].ljust(6, "0")
    return dataset


def _pdf(message: Message, report: Report, study: Attributes, document: bytes) -> "Dataset":
    dataset = _document(message, report, study, ENCAPSULATED_PDF, document)
    dataset.Modality, dataset.ConversionType = "DOC", "WSD"
    dataset.AcquisitionDateTime, dataset.BurnedInAnnotation = "", "YES"
    title = _title(message, report)
    dataset.DocumentTitle = title[2]
    dataset.ConceptNameCodeSequence = [_coded(title)]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(document)
    dataset.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return dataset


def _text(message: Message, report: Report, study: Attributes) -> "Dataset":
    from pydicom import Dataset

    content = repr(report.sections).encode()
    dataset = _document(message, report, study, BASIC_TEXT_SR, content)
    is_final = message.get("OBR", 25, occurrence=report.occurrence) in _FINAL
    dataset.Modality = "SR"
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.PerformedProcedureCodeSequence = []
    dataset.CompletionFlag = "COMPLETE" if is_final else "PARTIAL"
    dataset.PreliminaryFlag = "FINAL" if is_final else "PRELIMINARY"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = [_coded(_title(message, report))]
    dataset.ContentSequence = []
    for section in report.sections:
        item = Dataset()
        item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
        item.ConceptNameCodeSequence = [_coded(section.heading)]
        item.TextValue = section.text
        dataset.ContentSequence.append(item)
    return dataset


def _title(message: Message, report: Report) -> Code:
    value, meaning, scheme = (
        message.get("OBR", 4, component=component, occurrence=report.occurrence)
        for component in (1, 2, 3)
    )
    return _code(value, meaning, scheme) or _TITLE


def _coded(code: Code) -> "Dataset":
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item
