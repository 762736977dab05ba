"""Performed procedure steps: what one is, and what it is linked to (PS3.3 C.4.13 to C.4.15)."""

from collections.abc import Iterator
from enum import IntEnum, StrEnum
from typing import Final

from attrs import field, frozen

from pacs_core.api.attribute_lists import first
from pacs_core.dataset import Attributes, items, tag_of

SCHEDULED: Final = tag_of("ScheduledStepAttributesSequence")
STATUS: Final = tag_of("PerformedProcedureStepStatus")
SERIES: Final = tag_of("PerformedSeriesSequence")
STUDY_UID: Final = tag_of("StudyInstanceUID")
ACCESSION: Final = tag_of("AccessionNumber")
STEP_ID: Final = tag_of("ScheduledProcedureStepID")
PATIENT_ID: Final = tag_of("PatientID")
CHARACTER_SET: Final = tag_of("SpecificCharacterSet")
REFERENCED_STUDY: Final = tag_of("ReferencedStudySequence")
SERIES_UID: Final = tag_of("SeriesInstanceUID")
REFERENCED_UID: Final = tag_of("ReferencedSOPInstanceUID")

_MADE: Final = (
    tag_of("ReferencedImageSequence"),
    tag_of("ReferencedNonImageCompositeSOPInstanceSequence"),
)

MAY_NO_LONGER_BE_UPDATED: Final = 0xA710
"""Error ID of PS3.4 Table F.7.2-2."""


class PerformedState(StrEnum):
    """Performed Procedure Step Status (PS3.3 C.4.14)."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


ENDED: Final = frozenset({PerformedState.COMPLETED, PerformedState.DISCONTINUED})


class EventType(IntEnum):
    """Event Type ID (PS3.4 Table F.9.2-1)."""

    IN_PROGRESS = 1
    COMPLETED = 2
    DISCONTINUED = 3
    UPDATED = 4
    DELETED = 5


_EVENTS: Final = {
    PerformedState.COMPLETED: EventType.COMPLETED,
    PerformedState.DISCONTINUED: EventType.DISCONTINUED,
}


def event_of(state: PerformedState) -> EventType:
    """Return what an N-SET was, after which a step is in a state."""
    return _EVENTS.get(state, EventType.UPDATED)


@frozen
class ScheduledStep:
    """What a step was scheduled as: an item of Scheduled Step Attributes Sequence.

    Attributes
    ----------
    studies : tuple of str
        Study Instance UID, and those of the studies it refers to (F.7.2.1.2, note 2).
    accession_number, step_id : str
        Empty for what was not scheduled.
    """

    studies: tuple[str, ...]
    accession_number: str = ""
    step_id: str = ""


@frozen
class PerformedSeries:
    """An item of Performed Series Sequence.

    Attributes
    ----------
    series_uid : str
        Series Instance UID.
    instances : tuple of str
        SOP Instance UIDs of its images, and of what is no image.
    """

    series_uid: str
    instances: tuple[str, ...] = ()


@frozen
class PerformedStep:
    """A performed procedure step.

    Attributes
    ----------
    instance_uid : str
        SOP Instance UID.
    attributes : Attributes
        As created and set, its status among them.
    created_by : str
        AE title that created it.
    character_set : tuple of str
        Specific Character Set in which it was created.
    created, changed : float
        Seconds since the epoch.
    """

    instance_uid: str
    attributes: Attributes = field(repr=False)
    created_by: str = ""
    character_set: tuple[str, ...] = ()
    created: float = 0.0
    changed: float = 0.0

    @property
    def state(self) -> PerformedState:
        """How far it has come."""
        return PerformedState(first(self.attributes, STATUS))

    @property
    def scheduled(self) -> tuple[ScheduledStep, ...]:
        """What it was scheduled as."""
        return tuple(
            ScheduledStep(
                tuple(filter(None, (first(item, STUDY_UID), *_referred(item)))),
                first(item, ACCESSION),
                first(item, STEP_ID),
            )
            for item in items(self.attributes, SCHEDULED)
        )

    @property
    def studies(self) -> tuple[str, ...]:
        """Study Instance UIDs, each once."""
        uids = (first(item, STUDY_UID) for item in items(self.attributes, SCHEDULED))
        return tuple(dict.fromkeys(uids))

    @property
    def series(self) -> tuple[PerformedSeries, ...]:
        """What it made."""
        return tuple(
            PerformedSeries(
                first(item, SERIES_UID),
                tuple(first(each, REFERENCED_UID) for tag in _MADE for each in items(item, tag)),
            )
            for item in items(self.attributes, SERIES)
        )


def _referred(item: Attributes) -> Iterator[str]:
    return (first(each, REFERENCED_UID) for each in items(item, REFERENCED_STUDY))
