"""Assessments of results as SR documents of their own (IHE RAD AIRA), which refer to the result.

A document says who has assessed what, and how: accepted, modified or rejected. All of a study are
in one series; one that takes the place of an earlier one names it (Predecessor Documents Sequence,
PS3.3 C.17.2). No code of PS3.16 says these three, so that they are of a scheme of our own.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_OID, uuid4, uuid5

from pacs_ai.models import Assessment, InferenceResult
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


def assessment_series(study_uid: str) -> str:
    """Return the UID of the series in which the assessments of a study are."""
    return f"2.25.{uuid5(NAMESPACE_OID, f'pacs-ai/assessments/{study_uid}').int}"


def make_assessment(
    header: "Dataset", result: InferenceResult, assessment: Assessment, by: str, comment: str
) -> "Dataset":
    """Return the document.

    Parameters
    ----------
    header : Dataset
        Of the result, as it is archived.
    result : InferenceResult
    assessment : Assessment
    by : str
        Who has assessed it.
    comment : str
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
    document.ContentSequence = list(_content(header, assessment, by, comment))
    return document


def _content(header: "Dataset", assessment: Assessment, by: str, comment: str) -> "list[Dataset]":
    kind = _item("HAS OBS CONTEXT", "CODE", _code("121005", "DCM", "Observer Type"))
    kind.ConceptCodeSequence = [_code("121006", "DCM", "Person")]
    who = _item("HAS OBS CONTEXT", "PNAME", _code("121008", "DCM", "Person Observer Name"))
    who.PersonName = by[:64]
    judged = _item("CONTAINS", "CODE", _code("AI-ASSESSED", _SCHEME, "Assessment"))
    value, meaning = _MEANINGS[assessment]
    judged.ConceptCodeSequence = [_code(value, _SCHEME, meaning)]
    is_image = "Rows" in header
    about = _item("CONTAINS", "IMAGE" if is_image else "COMPOSITE", None)
    about.ReferencedSOPSequence = [_reference(header.SOPClassUID, header.SOPInstanceUID)]
    found = [kind, who, judged, about]
    if comment:
        text = _item("CONTAINS", "TEXT", _code("121106", "DCM", "Comment"))
        text.TextValue = comment
        found.append(text)
    return found


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
