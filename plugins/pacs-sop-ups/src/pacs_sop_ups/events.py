"""Events of procedure steps, as those who follow one are told of them (PS3.4 Table CC.2.4-1)."""

from collections.abc import Iterator
from typing import Final

from pacs_core.dataset import Attributes, MutableAttributes, items, tag_of
from pacs_sop_ups.steps import (
    CONTACT_NAME,
    CONTACT_URI,
    CONTACTS,
    PERFORMERS,
    PROGRESS,
    READINESS,
    REASON,
    REASON_CODE,
    STATE,
    STATIONS,
    EventType,
    ProcedureStep,
    StepEvent,
)
from pacs_sop_ups.transitions import ENDED

_REQUESTING_AE: Final = tag_of("RequestingAE")
_PROGRESS_REPORTED: Final = (
    tag_of("ProcedureStepProgress"),
    tag_of("ProcedureStepProgressDescription"),
    CONTACTS,
)
_ASSIGNED: Final = (
    tag_of("HumanPerformerCodeSequence"),
    tag_of("HumanPerformerOrganization"),
)


def events_between(before: ProcedureStep | None, after: ProcedureStep) -> Iterator[StepEvent]:
    """Iterate over what those who follow a step are told of a change; of a new one, that it is."""
    if before is None or _differs(before, after, STATE, READINESS):
        yield state_report(after)
    if after.state in ENDED:
        return
    if _differs(before, after, STATIONS, PERFORMERS):
        yield _assigned(after)
    if _differs(before, after, PROGRESS):
        progress = [
            {tag: item[tag] for tag in _PROGRESS_REPORTED if tag in item}
            for item in items(after.attributes, PROGRESS)
        ]
        yield StepEvent(EventType.PROGRESS_REPORT, {PROGRESS: tuple(progress)})


def state_report(step: ProcedureStep) -> StepEvent:
    """Return the event that says what state a step is in, and why it was canceled if it was."""
    information = {tag: step.attributes.get(tag, ()) for tag in (STATE, READINESS)}
    for item in items(step.attributes, PROGRESS):
        information |= {tag: item[tag] for tag in (REASON, REASON_CODE) if tag in item}
    return StepEvent(EventType.STATE_REPORT, information)


def cancel_requested(information: Attributes, requestor: str) -> StepEvent:
    """Return the event that asks a performer to cancel a step (CC.2.2.3)."""
    told: MutableAttributes = {_REQUESTING_AE: (requestor,)} if requestor else {}
    for tag in (REASON, REASON_CODE, CONTACT_URI, CONTACT_NAME):
        if tag in information:
            told[tag] = information[tag]
    return StepEvent(EventType.CANCEL_REQUESTED, told)


def restarted() -> StepEvent:
    """Return the event that says that this SCP is there again, and has lost nothing (CC.2.4.3)."""
    information = {
        tag_of("SCPStatus"): ("RESTARTED",),
        tag_of("SubscriptionListStatus"): ("WARM START",),
        tag_of("UnifiedProcedureStepListStatus"): ("WARM START",),
    }
    return StepEvent(EventType.SCP_STATUS_CHANGE, information)


def _assigned(step: ProcedureStep) -> StepEvent:
    information: MutableAttributes = {STATIONS: step.attributes.get(STATIONS, ())}
    for item in items(step.attributes, PERFORMERS):
        information |= {tag: item[tag] for tag in _ASSIGNED if tag in item}
    return StepEvent(EventType.ASSIGNED, information)


def _differs(before: ProcedureStep | None, after: ProcedureStep, *tags: int) -> bool:
    """Tell whether one of some attributes has changed, or, of a new step, has a value."""
    old: Attributes = before.attributes if before else {}
    return any(old.get(tag, ()) != after.attributes.get(tag, ()) for tag in tags)
