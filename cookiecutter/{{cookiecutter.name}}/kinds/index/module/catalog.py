"""The attributes that the index knows, by the level to which they belong (PS3.4 C.3, C.6)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from pacs_core.contracts import InstanceRecord, Level
from pacs_core.dataset import Attributes, tag_of, texts

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
_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_INSTANCE: Final = tag_of("SOPInstanceUID")

Leaf = tuple[str, ...]
"""Names an instance: by patient, study, series and SOP instance."""

Members = Sequence[tuple[Leaf, InstanceRecord]]
"""Instances below an entity, the one that came first at the beginning."""


def _number(depth: int) -> Callable[[Members], Iterable[str]]:
    return lambda members: [str(len({leaf[:depth] for leaf, _ in members}))]


def _values(keyword: str) -> Callable[[Members], Iterable[str]]:
    tag = tag_of(keyword)
    return lambda members: sorted({v for _, r in members for v in texts(r.attributes, tag)})


_COMPUTED: Final[Mapping[Level, Mapping[str, Callable[[Members], Iterable[str]]]]] = {
    Level.PATIENT: {
        "NumberOfPatientRelatedStudies": _number(2),
        "NumberOfPatientRelatedSeries": _number(3),
        "NumberOfPatientRelatedInstances": _number(4),
    },
    Level.STUDY: {
        "NumberOfStudyRelatedSeries": _number(3),
        "NumberOfStudyRelatedInstances": _number(4),
        "ModalitiesInStudy": _values("Modality"),
        "SOPClassesInStudy": _values("SOPClassUID"),
    },
    Level.SERIES: {"NumberOfSeriesRelatedInstances": _number(4)},
    Level.IMAGE: {},
}
_UIDS: Final = {Level.STUDY: _STUDY, Level.SERIES: _SERIES, Level.IMAGE: _INSTANCE}


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
        self._kept = {level: frozenset(map(tag_of, each)) for level, each in words.items()}
        self.wanted = frozenset[int]().union(*self._kept.values())

    def searchable(self, level: Level) -> frozenset[int]:
        """Return the tags of a level and those above it, computed ones included."""
        above = [each for each in Level if each.depth <= level.depth]
        computed = [map(tag_of, _COMPUTED[each]) for each in above]
        return frozenset[int]().union(*(self._kept[each] for each in above), *computed)

    def describe(self, level: Level, path: Leaf, members: Members) -> Attributes:
        """Return the attributes of an entity: of its first instance, and computed ones."""
        first = members[0][1].attributes
        own = {tag: first[tag] for tag in self._kept[level] if tag in first}
        computed = {tag_of(word): tuple(f(members)) for word, f in _COMPUTED[level].items()}
        unique = {_UIDS[level]: (path[-1],)} if level in _UIDS else {}
        return {**own, **computed, **unique}
