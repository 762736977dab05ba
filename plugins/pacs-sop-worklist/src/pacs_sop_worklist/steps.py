"""Scheduled procedure steps, as entries of the list: one each, whatever they came in.

An order may have several steps (PS3.4 K.6.1.1: each is a worklist item of its own). So a dataset
with several items in its Scheduled Procedure Step Sequence becomes as many entries.
"""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import evolve, frozen

from pacs_core.contracts import comparables
from pacs_core.dataset import Attributes, Value, items, tag_of, texts, vr_of

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
                _first(self.attributes, STUDY_UID),
                _first(self.attributes, PROCEDURE_ID),
                _first(self.item, STEP_ID),
            )
        )

    @property
    def patient_id(self) -> str:
        """Patient ID."""
        return _first(self.attributes, PATIENT_ID)

    @property
    def stations(self) -> tuple[str, ...]:
        """Scheduled Station AE Titles."""
        return tuple(filter(None, texts(self.item, STATION)))

    @property
    def start(self) -> str:
        """Date and time of its start, as text in whose order it is: ``20260131 093000.000000``."""
        date, time = _first(self.item, START_DATE), _first(self.item, START_TIME)
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
    sequence = items(attributes, SEQUENCE)
    if not 1 <= len(sequence) <= MOST_STEPS:
        raise InvalidStepError(
            f"Scheduled Procedure Step Sequence has {len(sequence)} items; 1 to {MOST_STEPS} are"
            " taken"
        )
    common = {tag: v for tag, v in attributes.items() if tag != CHARACTER_SET and _is_known(tag)}
    for item in sequence:
        own = {tag: values for tag, values in item.items() if tag != STATUS}
        step = Step({**common, SEQUENCE: (own,)})
        for where, tags in ((common, _REQUIRED), (own, _REQUIRED_OF_STEP)):
            for name in tags:
                if not _first(where, tag_of(name)):
                    raise InvalidStepError(f"{name} is missing or empty")
        said = _first(item, STATUS)
        if said and said not in StepState.__members__:
            raise InvalidStepError(f"ScheduledProcedureStepStatus is {said!r:.40}")
        yield evolve(step, state=StepState(said)) if said else step


_REQUIRED: Final = ("PatientName", "PatientID", "StudyInstanceUID", "RequestedProcedureID")
_REQUIRED_OF_STEP: Final = (
    "Modality",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepID",
)


def _is_known(tag: int) -> bool:
    """Whether it is an element of a dataset proper: no group length, nothing private."""
    return bool(tag & 0xFFFF) and not tag >> 16 & 1 and tag >> 16 > 2


def _first(attributes: Attributes, tag: int) -> str:
    return next((text.strip() for text in texts(attributes, tag) if text.strip()), "")


def to_json(attributes: Attributes) -> str:
    """Return attributes as text, for the table.

    Raises
    ------
    InvalidStepError
        They are too long.
    """
    text = json.dumps(_plain(attributes), ensure_ascii=False, separators=(",", ":"))
    if len(text) > MOST_BYTES:
        raise InvalidStepError(f"it has more than {MOST_BYTES} characters")
    return text


def from_json(text: str) -> Attributes:
    """Return what :func:`to_json` was given."""
    return _attributes(json.loads(text))


def _plain(attributes: Attributes) -> dict[str, Any]:
    return {
        f"{tag:08X}": [v if isinstance(v, str) else _plain(v) for v in values]
        for tag, values in sorted(attributes.items())
    }


def _attributes(plain: Mapping[str, Any]) -> Attributes:
    return {int(tag, 16): tuple(map(_value, values)) for tag, values in plain.items()}


def _value(plain: Any) -> Value:
    return plain if isinstance(plain, str) else _attributes(plain)


def without_unknown(attributes: Attributes) -> Attributes:
    """Return attributes without those whose representation is not known, at every depth."""
    known: dict[int, tuple[Value, ...]] = {}
    for tag, values in attributes.items():
        if _is_known(tag) and vr_of(tag) not in {"UN", "OB", "OW", "OF", "OD", "OL", "OV"}:
            known[tag] = tuple(v if isinstance(v, str) else without_unknown(v) for v in values)
    return known
