"""The information models and their SOP classes, as data (PS3.4 C.3 and C.6)."""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import frozen

from pacs_core.contracts import Level
from pacs_core.dataset import tag_of

QUERY_RETRIEVE_LEVEL: Final = tag_of("QueryRetrieveLevel")
RETRIEVE_AE_TITLE: Final = tag_of("RetrieveAETitle")
INSTANCE_AVAILABILITY: Final = tag_of("InstanceAvailability")
SPECIFIC_CHARACTER_SET: Final = tag_of("SpecificCharacterSet")
TIMEZONE_OFFSET: Final = tag_of("TimezoneOffsetFromUTC")
FAILED_UIDS: Final = tag_of("FailedSOPInstanceUIDList")
STUDY_INSTANCE_UID: Final = tag_of("StudyInstanceUID")

UNIQUE_KEYS: Final[Mapping[Level, int]] = {
    Level.PATIENT: tag_of("PatientID"),
    Level.STUDY: STUDY_INSTANCE_UID,
    Level.SERIES: tag_of("SeriesInstanceUID"),
    Level.IMAGE: tag_of("SOPInstanceUID"),
}
"""The key that names one entity of a level (PS3.4 C.6.1.1.2 to C.6.1.1.5)."""

ENTITY_NAMES: Final[Mapping[Level, tuple[int, ...]]] = {
    Level.PATIENT: (tag_of("PatientID"), tag_of("IssuerOfPatientID")),
    Level.STUDY: (STUDY_INSTANCE_UID,),
    Level.SERIES: (STUDY_INSTANCE_UID, tag_of("SeriesInstanceUID")),
    Level.IMAGE: (STUDY_INSTANCE_UID, tag_of("SOPInstanceUID")),
}
"""What tells an entity from all others, the first of which it always has."""


@frozen
class InformationModel:
    """An information model: a name, as in the configuration, and its levels from the top."""

    name: str
    levels: tuple[Level, ...]

    def above(self, level: Level) -> tuple[Level, ...]:
        """Return the levels above one of the model's."""
        return self.levels[: self.levels.index(level)]


PATIENT_ROOT: Final = InformationModel(
    "patient-root", (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE)
)
STUDY_ROOT: Final = InformationModel("study-root", (Level.STUDY, Level.SERIES, Level.IMAGE))
PATIENT_STUDY_ONLY: Final = InformationModel("patient-study-only", (Level.PATIENT, Level.STUDY))

MODELS: Final = (PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY)


class ModelService(Enum):
    """What a SOP class does with its model."""

    FIND = "C-FIND"
    MOVE = "C-MOVE"
    GET = "C-GET"


_ROOT: Final = "1.2.840.10008.5.1.4.1.2."

SOP_CLASSES: Final[Mapping[str, tuple[InformationModel, ModelService]]] = {
    _ROOT + "1.1": (PATIENT_ROOT, ModelService.FIND),
    _ROOT + "1.2": (PATIENT_ROOT, ModelService.MOVE),
    _ROOT + "1.3": (PATIENT_ROOT, ModelService.GET),
    _ROOT + "2.1": (STUDY_ROOT, ModelService.FIND),
    _ROOT + "2.2": (STUDY_ROOT, ModelService.MOVE),
    _ROOT + "2.3": (STUDY_ROOT, ModelService.GET),
    _ROOT + "3.1": (PATIENT_STUDY_ONLY, ModelService.FIND),
    _ROOT + "3.2": (PATIENT_STUDY_ONLY, ModelService.MOVE),
    _ROOT + "3.3": (PATIENT_STUDY_ONLY, ModelService.GET),
}
"""Model and service of each SOP class (PS3.4 C.6.1.3, C.6.2.3; Patient/Study Only is retired)."""
