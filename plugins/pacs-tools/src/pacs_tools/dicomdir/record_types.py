"""Types of directory records, and what they have of an instance (PS3.3 Table F.4-1, F.5)."""

from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from pacs_core.dataset import tag_of

_CONTENT: Final = "InstanceNumber:1 ContentDate:1 ContentTime:1"
_CONTENT_ID: Final = f"{_CONTENT} ContentLabel:1 ContentDescription:2 ContentCreatorName:2"
_TYPES: Final = {
    "PATIENT": ("PT", "PatientName:2 PatientID:1"),
    "STUDY": (
        "ST",
        "StudyDate:1 StudyTime:1 StudyDescription:2 StudyInstanceUID:1 StudyID:1 AccessionNumber:2",
    ),
    "SERIES": ("SE", "Modality:1 SeriesInstanceUID:1 SeriesNumber:1"),
    "IMAGE": ("IM", "InstanceNumber:1"),
    "RT DOSE": ("RD", "InstanceNumber:1 DoseSummationType:1"),
    "RT STRUCTURE SET": (
        "RS",
        "InstanceNumber:1 StructureSetLabel:1 StructureSetDate:2 StructureSetTime:2",
    ),
    "RT PLAN": ("RP", "InstanceNumber:1 RTPlanLabel:1 RTPlanDate:2 RTPlanTime:2"),
    "RT TREAT RECORD": ("RX", "InstanceNumber:1 TreatmentDate:2 TreatmentTime:2"),
    "PRESENTATION": (
        "PR",
        "PresentationCreationDate:1 PresentationCreationTime:1 InstanceNumber:1 ContentLabel:1 "
        "ContentDescription:2 ContentCreatorName:2 ReferencedSeriesSequence:1C BlendingSequence:1C",
    ),
    "WAVEFORM": ("WV", _CONTENT),
    "SR DOCUMENT": (
        "SR",
        f"{_CONTENT} CompletionFlag:1 VerificationFlag:1 VerificationDateTime:1C "
        "ConceptNameCodeSequence:1 ContentSequence:1C",
    ),
    "KEY OBJECT DOC": ("KY", f"{_CONTENT} ConceptNameCodeSequence:1 ContentSequence:1C"),
    "SPECTROSCOPY": (
        "SP",
        f"{_CONTENT} ImageType:1 ReferencedImageEvidenceSequence:1C NumberOfFrames:1 Rows:1 "
        "Columns:1 DataPointRows:1 DataPointColumns:1",
    ),
    "RAW DATA": ("RW", _CONTENT),
    "REGISTRATION": ("RG", _CONTENT_ID),
    "FIDUCIAL": ("FD", _CONTENT_ID),
    "HANGING PROTOCOL": (
        "HG",
        "HangingProtocolName:1 HangingProtocolDescription:1 HangingProtocolLevel:1 "
        "HangingProtocolCreator:1 HangingProtocolCreationDateTime:1 "
        "HangingProtocolDefinitionSequence:1 NumberOfPriorsReferenced:1 "
        "HangingProtocolUserIdentificationCodeSequence:2",
    ),
    "ENCAP DOC": (
        "ED",
        "ContentDate:2 ContentTime:2 InstanceNumber:1 DocumentTitle:2 HL7InstanceIdentifier:1C "
        "ConceptNameCodeSequence:2 MIMETypeOfEncapsulatedDocument:1",
    ),
    "VALUE MAP": ("VM", _CONTENT_ID),
    "STEREOMETRIC": ("SX", ""),
    "PALETTE": ("PA", "ContentLabel:1 ContentDescription:2"),
    "IMPLANT": ("IP", "Manufacturer:1 ImplantName:1 ImplantSize:1C ImplantPartNumber:1"),
    "IMPLANT ASSY": (
        "IA",
        "ImplantAssemblyTemplateName:1 Manufacturer:1 ProcedureTypeCodeSequence:1",
    ),
    "IMPLANT GROUP": ("IG", "ImplantTemplateGroupName:1 ImplantTemplateGroupIssuer:1"),
    "PLAN": ("PL", ""),
    "MEASUREMENT": ("MX", _CONTENT_ID),
    "SURFACE": ("SF", _CONTENT_ID),
    "SURFACE SCAN": ("SS", "ContentDate:1 ContentTime:1"),
    "TRACT": ("TR", _CONTENT_ID),
    "ASSESSMENT": ("AS", "InstanceNumber:1 InstanceCreationDate:1 InstanceCreationTime:2"),
    "RADIOTHERAPY": (
        "RT",
        "InstanceNumber:1 UserContentLabel:1C UserContentLongLabel:1C ContentDescription:2 "
        "ContentCreatorName:2",
    ),
    "ANNOTATION": ("AN", _CONTENT_ID),
}
"""By type: how names of files begin, and keywords with the Type of the attribute in the record."""

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_SOP_CLASSES: Final = {
    "RT DOSE": ("481.2",),
    "RT STRUCTURE SET": ("481.3",),
    "RT PLAN": ("481.5", "481.8"),
    "RT TREAT RECORD": ("481.4", "481.6", "481.7", "481.9"),
    "RADIOTHERAPY": tuple(f"481.{number}" for number in (*range(10, 23), 25)),
    "PRESENTATION": ("11.*", "131"),
    "WAVEFORM": ("9.*",),
    "SR DOCUMENT": ("88.*", "78.6", "79.1"),
    "KEY OBJECT DOC": ("88.59",),
    "SPECTROSCOPY": ("4.2",),
    "RAW DATA": ("66",),
    "REGISTRATION": ("66.1", "66.3"),
    "FIDUCIAL": ("66.2",),
    "ENCAP DOC": ("104.*",),
    "VALUE MAP": ("67",),
    "STEREOMETRIC": ("77.1.5.3",),
    "MEASUREMENT": ("78.1", "78.2", "78.3", "78.4", "78.5", "78.7", "78.8", "80.1"),
    "SURFACE": ("66.5",),
    "SURFACE SCAN": ("68.1", "68.2"),
    "TRACT": ("66.6",),
    "ASSESSMENT": ("90.1",),
    "ANNOTATION": ("91.1",),
}
"""SOP classes, what all those below one are for a star; the rest are images."""

_OTHERS: Final = {
    "1.2.840.10008.5.1.4.34.7": "PLAN",
    "1.2.840.10008.5.1.4.34.10": "PLAN",
    "1.2.840.10008.5.1.4.38.1": "HANGING PROTOCOL",
    "1.2.840.10008.5.1.4.39.1": "PALETTE",
    "1.2.840.10008.5.1.4.43.1": "IMPLANT",
    "1.2.840.10008.5.1.4.44.1": "IMPLANT ASSY",
    "1.2.840.10008.5.1.4.45.1": "IMPLANT GROUP",
}
_BY_CLASS: Final = _OTHERS | {
    _STORAGE + suffix: kind for kind, suffixes in _SOP_CLASSES.items() for suffix in suffixes
}

OF_PATIENTS: Final = ("PATIENT", "STUDY", "SERIES")
"""Types of the records above those of instances."""

_ALONE: Final = frozenset({"HANGING PROTOCOL", "PALETTE", *(t for t in _TYPES if "IMPLANT" in t)})


@frozen
class RecordType:
    """A type of directory records.

    Attributes
    ----------
    name : str
        Directory Record Type (0004,1430).
    prefix : str
        How names of its files begin.
    attributes : mapping of int to str
        Type of the attributes that records have of an instance, by tag: "1", "1C" or "2".
    """

    name: str
    prefix: str
    attributes: Mapping[int, str] = field(repr=False)


def _read(name: str, prefix: str, attributes: str) -> RecordType:
    pairs = (each.split(":") for each in attributes.split())
    return RecordType(name, prefix, {tag_of(keyword): type_ for keyword, type_ in pairs})


RECORD_TYPES: Final = {name: _read(name, *rest) for name, rest in _TYPES.items()}


def types_for(sop_class_uid: str) -> tuple[RecordType, ...]:
    """Return the types of the records of an instance, from that of the root to its own."""
    kind = _BY_CLASS.get(sop_class_uid)
    if kind is None:
        family = sop_class_uid.removeprefix(_STORAGE).split(".")[0]
        kind = _BY_CLASS.get(f"{_STORAGE}{family}.*", "IMAGE")
    above = () if kind in _ALONE else OF_PATIENTS
    return tuple(RECORD_TYPES[each] for each in (*above, kind))
