"""The attributes that the index knows, by the level to which they belong (PS3.4 C.3, C.6)."""

from collections.abc import Iterable
from typing import Final

from pacs_core.contracts import Level
from pacs_core.dataset import tag_of

_KEPT: Final = {
    Level.PATIENT: """
        PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex OtherPatientIDs
        OtherPatientNames EthnicGroup PatientComments
    """,
    Level.STUDY: """
        StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID StudyDescription
        ReferringPhysicianName NameOfPhysiciansReadingStudy ProcedureCodeSequence
        AdmittingDiagnosesDescription PatientAge PatientSize PatientWeight
        TimezoneOffsetFromUTC
    """,
    Level.SERIES: """
        SeriesInstanceUID Modality SeriesNumber SeriesDate SeriesTime SeriesDescription
        BodyPartExamined Laterality ProtocolName OperatorsName PerformingPhysicianName
        InstitutionName StationName Manufacturer PerformedProcedureStepStartDate
        PerformedProcedureStepStartTime RequestAttributesSequence TimezoneOffsetFromUTC
    """,
    Level.IMAGE: """
        SOPInstanceUID SOPClassUID InstanceNumber AcquisitionNumber AcquisitionDateTime
        ContentDate ContentTime ImageType Rows Columns NumberOfFrames ConceptNameCodeSequence
        CompletionFlag VerificationFlag ContentLabel ContentDescription TimezoneOffsetFromUTC
    """,
}
_COMPUTED: Final = {
    Level.PATIENT: """
        NumberOfPatientRelatedStudies NumberOfPatientRelatedSeries NumberOfPatientRelatedInstances
    """,
    Level.STUDY: """
        NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances ModalitiesInStudy
        SOPClassesInStudy
    """,
    Level.SERIES: "NumberOfSeriesRelatedInstances",
    Level.IMAGE: "",
}


class Catalog:
    """Which attributes there are.

    Parameters
    ----------
    keep : iterable of str
        Keywords of further attributes of images.
    """

    def __init__(self, keep: Iterable[str] = ()) -> None:
        words = {level: text.split() for level, text in _KEPT.items()}
        words[Level.IMAGE] += keep
        self.kept = {level: frozenset(map(tag_of, each)) for level, each in words.items()}
        self.wanted = frozenset[int]().union(*self.kept.values())

    def searchable(self, level: Level) -> frozenset[int]:
        """Return the tags of a level and those above it, computed ones included."""
        above = [each for each in Level if each.depth <= level.depth]
        computed = [map(tag_of, _COMPUTED[each].split()) for each in above]
        return frozenset[int]().union(*(self.kept[each] for each in above), *computed)
