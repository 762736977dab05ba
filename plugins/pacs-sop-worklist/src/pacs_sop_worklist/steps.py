"""Scheduled procedure steps, as entries of the list: one each, whatever they came in.

An order may have several steps (PS3.4 K.6.1.1: each is a worklist item of its own). So a dataset
with several items in its Scheduled Procedure Step Sequence becomes as many entries.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from attrs import evolve, frozen

from pacs_core.api.attribute_lists import first, keep_known, to_json as json_of
from pacs_core.contracts import comparables
from pacs_core.dataset import Attributes, items, tag_of, texts

SEQUENCE: Final = tag_of("ScheduledProcedureStepSequence")
STATUS: Final = tag_of("ScheduledProcedureStepStatus")
STATION: Final = tag_of("ScheduledStationAETitle")
START_DATE: Final = tag_of("ScheduledProcedureStepStartDate")
START_TIME: Final = tag_of("ScheduledProcedureStepStartTime")
STEP_ID: Final = tag_of("ScheduledProcedureStepID")
MODALITY: Final = tag_of("Modality")
STUDY_UID: Final = tag_of("StudyInstanceUID")
PROCEDURE_ID: Final = tag_of("RequestedProcedureID")
ACCESSION: Final = tag_of("AccessionNumber")
PATIENT_ID: Final = tag_of("PatientID")
CHARACTER_SET: Final = tag_of("SpecificCharacterSet")

MOST_STEPS: Final = 100
MOST_BYTES: Final = 256 << 10
"""Of one entry as JSON."""


class StepState(StrEnum):
    """Scheduled Procedure Step Status (PS3.3 C.4.10)."""

    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"
    READY = "READY"
    STARTED = "STARTED"
    DEPARTED = "DEPARTED"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"
    CANCELED = "CANCELED"


ENDED: Final = frozenset({StepState.COMPLETED, StepState.DISCONTINUED, StepState.CANCELED})
"""States in which a step is no longer on the list."""


class InvalidStepError(ValueError):
    """A dataset is no entry of a worklist; says what is missing or wrong."""


@frozen
class Step:
    """A scheduled procedure step.

    Attributes
    ----------
    attributes : Attributes
        Of the whole entry, with one item in Scheduled Procedure Step Sequence, and without its
        status, which is `state`.
    state : StepState
    """

    attributes: Attributes
    state: StepState = StepState.SCHEDULED

    @property
    def item(self) -> Attributes:
        """The item of Scheduled Procedure Step Sequence."""
        return items(self.attributes, SEQUENCE)[0]

    @property
    def identity(self) -> str:
        """What tells it from other steps: study, requested procedure and step."""
        return "/".join(
            (
                first(self.attributes, STUDY_UID),
                first(self.attributes, PROCEDURE_ID),
                first(self.item, STEP_ID),
            )
        )

    @property
    def patient_id(self) -> str:
        """Patient ID."""
        return first(self.attributes, PATIENT_ID)

    @property
    def stations(self) -> tuple[str, ...]:
        """Scheduled Station AE Titles."""
        return tuple(filter(None, texts(self.item, STATION)))

    @property
    def start(self) -> str:
        """Date and time of its start, as text in whose order it is: ``20260131 093000.000000``."""
        date, time = first(self.item, START_DATE), first(self.item, START_TIME)
        return f"{comparables('DA', date)[0]} {comparables('TM', time)[0] if time else ''}"

    def answered(self) -> Attributes:
        """Return the attributes with the status in them, as they are matched and answered."""
        item = {**self.item, STATUS: (str(self.state),)}
        return {**self.attributes, SEQUENCE: (item,)}


def steps_of(attributes: Attributes) -> Iterator[Step]:
    """Iterate over the steps of a dataset.

    Raises
    ------
    InvalidStepError
        It has none, or too many, or lacks what a modality cannot do without (PS3.4 Table K.6-1,
        return keys of type 1).
    """
    attributes = keep_known(attributes)
    sequence = items(attributes, SEQUENCE)
    if not 1 <= len(sequence) <= MOST_STEPS:
        raise InvalidStepError(
            f"Scheduled Procedure Step Sequence has {len(sequence)} items; 1 to {MOST_STEPS} are"
            " taken"
        )
    common = {tag: values for tag, values in attributes.items() if tag != CHARACTER_SET}
    for item in sequence:
        own = {tag: values for tag, values in item.items() if tag != STATUS}
        step = Step({**common, SEQUENCE: (own,)})
        for where, tags in ((common, _REQUIRED), (own, _REQUIRED_OF_STEP)):
            for name in tags:
                if not first(where, tag_of(name)):
                    raise InvalidStepError(f"{name} is missing or empty")
        said = first(item, STATUS)
        if said and said not in StepState.__members__:
            raise InvalidStepError(f"ScheduledProcedureStepStatus is {said!r:.40}")
        yield evolve(step, state=StepState(said)) if said else step


_REQUIRED: Final = ("PatientName", "PatientID", "StudyInstanceUID", "RequestedProcedureID")
_REQUIRED_OF_STEP: Final = (
    "Modality",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepID",
)


def to_json(attributes: Attributes) -> str:
    """Return attributes as text, for the table.

    Raises
    ------
    InvalidStepError
        They are too long.
    """
    text = json_of(attributes)
    if len(text) > MOST_BYTES:
        raise InvalidStepError(f"it has more than {MOST_BYTES} characters")
    return text
