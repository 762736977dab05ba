"""Assessments of results as SR documents of their own (IHE RAD AIRA), which refer to the result.

A document says who has assessed what, and how: accepted, modified or rejected. All of a study are
in one series; one that takes the place of an earlier one names it (Predecessor Documents Sequence,
PS3.3 C.17.2). Each finding that was assessed by itself is a container: a segment by an image
reference with its number (PS3.3 C.18.4), a measurement group by its UID. No code of PS3.16 says
these three, so that they are of a scheme of our own.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_OID, uuid4, uuid5

from attrs import frozen

from pacs_ai.models import Assessment, InferenceResult, ResultFinding
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN

if TYPE_CHECKING:
    from pydicom import Dataset

COMPREHENSIVE_SR: Final = "1.2.840.10008.5.1.4.1.1.88.33"
_SCHEME: Final = "99PACS"
_MEANINGS: Final = {
    Assessment.ACCEPTED: ("AI-ACCEPTED", "Result accepted"),
    Assessment.MODIFIED: ("AI-MODIFIED", "Result accepted with modifications"),
    Assessment.REJECTED: ("AI-REJECTED", "Result rejected"),
}
_COPIED: Final = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName", "SpecificCharacterSet",
)  # fmt: skip


@frozen
class Judgement:
    """What somebody thinks of a whole result."""

    assessment: Assessment
    by: str
    comment: str


def assessment_series(study_uid: str) -> str:
    """Return the UID of the series in which the assessments of a study are."""
    return f"2.25.{uuid5(NAMESPACE_OID, f'pacs-ai/assessments/{study_uid}').int}"


def make_assessment(
    header: "Dataset",
    result: InferenceResult,
    whole: Judgement,
    by: str,
    findings: Sequence[ResultFinding] = (),
) -> "Dataset":
    """Return the document.

    Parameters
    ----------
    header : Dataset
        Of the result, as it is archived.
    result : InferenceResult
    whole : Judgement
        What is thought of all of it.
    by : str
        Who assesses it, or a finding, now.
    findings : sequence of ResultFinding
        Of which those are told of that were assessed.
    """
    from pydicom import Dataset

    now = datetime.now().astimezone()
    document = Dataset()
    for keyword in _COPIED:
        setattr(document, keyword, header.get(keyword, ""))
    document.SpecificCharacterSet = "ISO_IR 192"
    document.SOPClassUID = COMPREHENSIVE_SR
    document.SOPInstanceUID = f"2.25.{uuid4().int}"
    document.SeriesInstanceUID = assessment_series(result.study_uid)
    document.Modality, document.Manufacturer = "SR", "pacs-core"
    document.SeriesNumber, document.InstanceNumber = 990, result.number
    document.SeriesDescription = "Assessment of AI results"
    document.ReferencedPerformedProcedureStepSequence = []
    document.PerformedProcedureCodeSequence = []
    document.ContentDate, document.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    document.TimezoneOffsetFromUTC = now.strftime("%z")
    document.CompletionFlag, document.VerificationFlag = "COMPLETE", "UNVERIFIED"
    document.CurrentRequestedProcedureEvidenceSequence = [_evidence(header)]
    if result.assessment_uid:
        earlier = _reference(COMPREHENSIVE_SR, result.assessment_uid)
        series = Dataset()
        series.SeriesInstanceUID = document.SeriesInstanceUID
        series.ReferencedSOPSequence = [earlier]
        study = Dataset()
        study.StudyInstanceUID = document.StudyInstanceUID
        study.ReferencedSeriesSequence = [series]
        document.PredecessorDocumentsSequence = [study]
    document.ValueType, document.ContinuityOfContent = "CONTAINER", "SEPARATE"
    document.ConceptNameCodeSequence = [
        _code("AI-ASSESSMENT", _SCHEME, "Assessment of an AI result")
    ]
    document.ContentSequence = list(_content(header, whole, by, findings))
    return document


def _content(
    header: "Dataset", whole: Judgement, by: str, findings: Sequence[ResultFinding]
) -> "Iterator[Dataset]":
    kind = _item("HAS OBS CONTEXT", "CODE", _code("121005", "DCM", "Observer Type"))
    kind.ConceptCodeSequence = [_code("121006", "DCM", "Person")]
    yield kind
    # Of the whole; who has assessed a finding stands with that.
    yield _observer(whole.by if whole.assessment else by)
    about = _item("CONTAINS", "IMAGE" if "Rows" in header else "COMPOSITE", None)
    about.ReferencedSOPSequence = [_reference(header.SOPClassUID, header.SOPInstanceUID)]
    if whole.assessment:
        yield _judged(whole.assessment)
    yield about
    if whole.comment:
        yield _text("121106", "Comment", whole.comment)
    for finding in findings:
        if finding.assessment:
            name = _code("AI-FINDING", _SCHEME, "Finding of an AI result")
            container = _item("CONTAINS", "CONTAINER", name)
            container.ContinuityOfContent = "SEPARATE"
            container.ContentSequence = list(_finding(header, finding))
            yield container


def _finding(header: "Dataset", finding: ResultFinding) -> "Iterator[Dataset]":
    yield _observer(finding.assessed_by)
    yield _judged(finding.assessment)
    if finding.number:
        image = _item("CONTAINS", "IMAGE", None)
        reference = _reference(header.SOPClassUID, header.SOPInstanceUID)
        reference.ReferencedSegmentNumber = finding.number
        image.ReferencedSOPSequence = [reference]
        yield image
    if finding.label:
        yield _text("112039", "Tracking Identifier", finding.label)
    if finding.uid:
        name = _code("112040", "DCM", "Tracking Unique Identifier")
        if finding.is_observation:
            name = _code("AI-OBSERVATION-UID", _SCHEME, "Observation UID")
        uid = _item("CONTAINS", "UIDREF", name)
        uid.UID = finding.uid
        yield uid
    if finding.comment:
        yield _text("121106", "Comment", finding.comment)


def _observer(by: str) -> "Dataset":
    who = _item("HAS OBS CONTEXT", "PNAME", _code("121008", "DCM", "Person Observer Name"))
    who.PersonName = by[:64]
    return who


def _judged(assessment: Assessment) -> "Dataset":
    judged = _item("CONTAINS", "CODE", _code("AI-ASSESSED", _SCHEME, "Assessment"))
    value, meaning = _MEANINGS[assessment]
    judged.ConceptCodeSequence = [_code(value, _SCHEME, meaning)]
    return judged


def _text(value: str, meaning: str, text: str) -> "Dataset":
    item = _item("CONTAINS", "TEXT", _code(value, "DCM", meaning))
    item.TextValue = text
    return item


def _evidence(header: "Dataset") -> "Dataset":
    from pydicom import Dataset

    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID = header.SeriesInstanceUID
    series.ReferencedSOPSequence = [_reference(header.SOPClassUID, header.SOPInstanceUID)]
    study.StudyInstanceUID = header.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    return study


def _reference(sop_class: str, uid: str) -> "Dataset":
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    return item


def _item(relation: str, kind: str, name: "Dataset | None") -> "Dataset":
    from pydicom import Dataset

    item = Dataset()
    item.RelationshipType, item.ValueType = relation, kind
    if name is not None:
        item.ConceptNameCodeSequence = [name]
    return item


def _code(value: str, scheme: str, meaning: str) -> "Dataset":
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


async def encode(document: "Dataset") -> AsyncIterator[bytes]:
    """Iterate over the bytes of a document, in Explicit VR Little Endian."""
    from pacs_core.dataset import encode_dataset

    yield encode_dataset(document, EXPLICIT_VR_LITTLE_ENDIAN)
