"""Performed procedure steps: what one is, and which requests change it how (PS3.4 F.7.2).

Theory of operation
-------------------
A step begins IN PROGRESS, and ends COMPLETED or DISCONTINUED, after which nothing changes it. Two
pure functions, :func:`create` and :func:`change`, are all of its rules: they take what was sent,
settle it by Table F.7.2-1 (:mod:`pacs_sop_mpps.rules`), and return the step, or say why not.

Modalities often do not send what they have to. Unless the rules are to be followed strictly, what
is of type 2 and absent counts as sent without a value, items without an attribute as not sent,
and what N-SET may not set is passed over: an N-SET of many modalities repeats all of the N-CREATE.
What identifies the step, its study and its series is insisted on in any case.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum, StrEnum
from typing import Final

from attrs import evolve, field, frozen

from pacs_core.dataset import Attributes, MutableAttributes, Value, items, tag_of, texts
from pacs_core.dimse import Status
from pacs_sop_mpps.rules import NOT_SETTABLE, RULES, Rule
from pacs_sop_mpps.values import first, is_sound, mistyped

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


_STATES: Final = frozenset(str(state) for state in PerformedState)
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


class RefusedStepError(Exception):
    """A request for a performed step is refused.

    Attributes
    ----------
    status : int
        PS3.7 Annex C.
    comment : str
    tags : tuple of int
        Which attributes are missing, or wrong.
    error_id : int or None
        PS3.4 Table F.7.2-2.
    """

    def __init__(
        self, status: int, comment: str, tags: Sequence[int] = (), error_id: int | None = None
    ) -> None:
        super().__init__(comment)
        self.status, self.comment = status, comment
        self.tags, self.error_id = tuple(dict.fromkeys(tags)), error_id


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


def create(
    instance_uid: str, attributes: Attributes, *, strict: bool = False, created_by: str = ""
) -> PerformedStep:
    """Return the step that an N-CREATE makes (F.7.2.1).

    Parameters
    ----------
    instance_uid : str
    attributes : Attributes
        As sent.
    strict : bool
        Whether nothing is tolerated.
    created_by : str

    Raises
    ------
    RefusedStepError
        0120H, 0121H, 0106H.
    """
    _refuse_mistyped(attributes)
    settled = _settle(_with_status(attributes, strict=strict), RULES, strict=strict)
    state = first(settled, STATUS)
    if state != PerformedState.IN_PROGRESS:
        raise _invalid(f"it is created IN PROGRESS, not {state!r:.20}", STATUS)
    character_set = tuple(filter(None, texts(settled, CHARACTER_SET)))
    del settled[CHARACTER_SET]
    return PerformedStep(instance_uid, settled, created_by, character_set)


def change(
    step: PerformedStep, modifications: Attributes, *, strict: bool = False
) -> PerformedStep:
    """Return what becomes of a step by an N-SET (F.7.2.2).

    Raises
    ------
    RefusedStepError
        0110H with Error ID A710H if it has ended; 0105H, 0106H, 0121H.
    """
    if step.state in ENDED:
        raise RefusedStepError(
            Status.PROCESSING_FAILURE,
            "Performed Procedure Step Object may no longer be updated",
            error_id=MAY_NO_LONGER_BE_UPDATED,
        )
    _refuse_mistyped(modifications)
    wanted = _with_status(modifications, strict=strict)
    unsettable = [tag for tag in wanted if tag in NOT_SETTABLE]
    if strict and unsettable:
        raise RefusedStepError(
            Status.NO_SUCH_ATTRIBUTE, "N-SET may not set what identifies a step", unsettable
        )
    for tag in (CHARACTER_SET, *unsettable):
        wanted.pop(tag, None)
    rules = [rule for rule in RULES if rule.tag in wanted]
    settled = _settle(wanted, rules, strict=strict, in_set=True)
    changed = evolve(step, attributes={**step.attributes, **settled})
    if first(changed.attributes, STATUS) not in _STATES:
        raise _invalid(f"its status cannot be {first(settled, STATUS)!r:.20}", STATUS)
    if changed.state in ENDED:
        _check_final(changed, strict=strict)
    return changed


def _check_final(step: PerformedStep, *, strict: bool) -> None:
    """Refuse an end without what the final state demands (F.7.2.2.2)."""
    missing = [
        rule.tag
        for rule in RULES
        if rule.final == "1"
        and not _has_value(step.attributes.get(rule.tag, ()))
        and (strict or not _is_tolerated(rule.final_tolerance, step.state))
    ]
    if missing:
        raise RefusedStepError(
            Status.MISSING_ATTRIBUTE_VALUE, f"no step is {step.state} without a value", missing
        )


def _is_tolerated(tolerance: str, state: PerformedState) -> bool:
    return tolerance == "~" or (tolerance == "?" and state is PerformedState.DISCONTINUED)


def _with_status(attributes: Attributes, *, strict: bool) -> MutableAttributes:
    """Return attributes with the status as the standard writes it, where one can tell."""
    status = first(attributes, STATUS)
    if not strict and status:
        status = " ".join(status.upper().replace("_", " ").split())
        status = PerformedState.IN_PROGRESS if status == "INPROGRESS" else status
    return {**attributes, STATUS: (str(status),)} if status else dict(attributes)


def _settle(
    attributes: Attributes, rules: Sequence[Rule], *, strict: bool, in_set: bool = False
) -> MutableAttributes:
    """Return attributes with what is tolerated put right, if they are as the rules demand."""
    settled = {CHARACTER_SET: (), **attributes}
    absent: list[int] = []
    empty: list[int] = []
    wrong: list[int] = []
    _apply(settled, rules, strict, absent, empty, wrong)
    if absent:
        # N-SET has no 0120H (PS3.7 §10.1.3.1.9).
        status = Status.MISSING_ATTRIBUTE_VALUE if in_set else Status.MISSING_ATTRIBUTE
        raise RefusedStepError(status, "attributes are missing", absent)
    if empty:
        raise RefusedStepError(
            Status.MISSING_ATTRIBUTE_VALUE, "attributes have no value, and need one", empty
        )
    if wrong:
        raise _invalid("values are not what their VR allows", *wrong)
    if in_set:
        del settled[CHARACTER_SET]
    return settled


def _apply(
    attributes: MutableAttributes,
    rules: Sequence[Rule],
    strict: bool,
    absent: list[int],
    empty: list[int],
    wrong: list[int],
) -> None:
    for rule in rules:
        values = attributes.get(rule.tag)
        is_lax = not strict and (rule.kind == "2" or bool(rule.tolerance))
        if values is None and rule.kind in "12":
            if not is_lax:
                absent.append(rule.tag)
                continue
            values = ()
        elif values is None:
            continue
        if rule.vr == "SQ" and not strict:
            values = tuple(value for value in values if value)
        if rule.kind == "1" and not is_lax and not _has_value(values):
            empty.append(rule.tag)
        if not all(is_sound(rule.vr, value) for value in values):
            wrong.append(rule.tag)
        made: list[Value] = []
        for value in values:
            if isinstance(value, str):
                made.append(value)
                continue
            item = dict(value)
            _apply(item, rule.rules, strict, absent, empty, wrong)
            made.append(item)
        attributes[rule.tag] = tuple(made)


def _has_value(values: Sequence[object]) -> bool:
    return any(value.strip() if isinstance(value, str) else True for value in values)


def _refuse_mistyped(attributes: Attributes) -> None:
    if tags := sorted(set(mistyped(attributes))):
        raise _invalid("sequences have items, and nothing else has", *tags)


def _invalid(comment: str, *tags: int) -> RefusedStepError:
    return RefusedStepError(Status.INVALID_ATTRIBUTE_VALUE, comment, tags)
