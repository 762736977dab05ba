"""The attributes that the index keeps, by the level to which they belong (PS3.4 C.6)."""

from pacs_core.contracts import Level
from pacs_core.dataset import tag_of

_KEPT = {
    Level.PATIENT: """
        PatientName PatientID IssuerOfPatientID PatientBirthDate PatientBirthTime PatientSex
        OtherPatientIDs OtherPatientNames OtherPatientIDsSequence EthnicGroup PatientComments
    """,
    Level.STUDY: """
        StudyInstanceUID StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence
        StudyID StudyDescription ReferringPhysicianName NameOfPhysiciansReadingStudy
        ProcedureCodeSequence AdmittingDiagnosesDescription PatientAge PatientSize PatientWeight
        Occupation AdditionalPatientHistory TimezoneOffsetFromUTC
    """,
    Level.SERIES: """
        SeriesInstanceUID Modality SeriesNumber SeriesDate SeriesTime SeriesDescription
        BodyPartExamined Laterality ProtocolName OperatorsName PerformingPhysicianName
        InstitutionName InstitutionalDepartmentName StationName Manufacturer
        ManufacturerModelName PerformedProcedureStepStartDate PerformedProcedureStepStartTime
        RequestAttributesSequence TimezoneOffsetFromUTC
    """,
    Level.IMAGE: """
        SOPInstanceUID SOPClassUID InstanceNumber AcquisitionNumber AcquisitionDateTime
        ContentDate ContentTime InstanceCreationDate InstanceCreationTime ImageType Rows Columns
        BitsAllocated NumberOfFrames ConceptNameCodeSequence CompletionFlag VerificationFlag
        ContentLabel ContentDescription PresentationCreationDate ReferencedSeriesSequence
        TimezoneOffsetFromUTC
    """,
}
_COMPUTED = {
    Level.PATIENT: """
        NumberOfPatientRelatedStudies NumberOfPatientRelatedSeries NumberOfPatientRelatedInstances
    """,
    Level.STUDY: """
        ModalitiesInStudy SOPClassesInStudy NumberOfStudyRelatedSeries
        NumberOfStudyRelatedInstances
    """,
    Level.SERIES: "NumberOfSeriesRelatedInstances",
    Level.IMAGE: "",
}


def _tags(keywords: str) -> frozenset[int]:
    return frozenset(tag_of(keyword) for keyword in keywords.split())


KEPT = {level: _tags(keywords) for level, keywords in _KEPT.items()}
COMPUTED = {level: _tags(keywords) for level, keywords in _COMPUTED.items()}
WANTED = frozenset[int]().union(*KEPT.values())


def upward(level: Level) -> tuple[Level, ...]:
    """Return a level and those above it."""
    return tuple(other for other in Level if other.depth <= level.depth)


SEARCHABLE = {
    level: frozenset[int]().union(*(KEPT[above] | COMPUTED[above] for above in upward(level)))
    for level in Level
}
