"""Unified procedure steps: what one is (PS3.3 C.30), and how a change of one is refused."""

from enum import IntEnum
from typing import Final

from attrs import field, frozen

from pacs_core.api.attribute_lists import first
from pacs_core.api.normalized import RefusedRequestError
from pacs_core.dataset import Attributes, items, tag_of
from pacs_core.dimse import Status
from pacs_sop_ups.sop_classes import UPS_PUSH
from pacs_sop_ups.transitions import StepState

STATE: Final = tag_of("ProcedureStepState")
TRANSACTION: Final = tag_of("TransactionUID")
CHARACTER_SET: Final = tag_of("SpecificCharacterSet")
SOP_CLASS: Final = tag_of("SOPClassUID")
SOP_INSTANCE: Final = tag_of("SOPInstanceUID")
MODIFIED: Final = tag_of("ScheduledProcedureStepModificationDateTime")
START: Final = tag_of("ScheduledProcedureStepStartDateTime")
PRIORITY: Final = tag_of("ScheduledProcedureStepPriority")
LABEL: Final = tag_of("ProcedureStepLabel")
WORKLIST_LABEL: Final = tag_of("WorklistLabel")
READINESS: Final = tag_of("InputReadinessState")
PATIENT_ID: Final = tag_of("PatientID")
STUDY_UID: Final = tag_of("StudyInstanceUID")
REQUESTS: Final = tag_of("ReferencedRequestSequence")
STATIONS: Final = tag_of("ScheduledStationNameCodeSequence")
PERFORMERS: Final = tag_of("ScheduledHumanPerformersSequence")
PROGRESS: Final = tag_of("ProcedureStepProgressInformationSequence")
PERFORMED: Final = tag_of("UnifiedProcedureStepPerformedProcedureSequence")
REASON: Final = tag_of("ReasonForCancellation")
REASON_CODE: Final = tag_of("ProcedureStepDiscontinuationReasonCodeSequence")
CANCELED_AT: Final = tag_of("ProcedureStepCancellationDateTime")
CONTACTS: Final = tag_of("ProcedureStepCommunicationsURISequence")
CONTACT_URI: Final = tag_of("ContactURI")
CONTACT_NAME: Final = tag_of("ContactDisplayName")
RECEIVER: Final = tag_of("ReceivingAE")
DELETION_LOCK: Final = tag_of("DeletionLock")


class EventType(IntEnum):
    """Event Type ID (PS3.4 Table CC.2.4-1)."""

    STATE_REPORT = 1
    CANCEL_REQUESTED = 2
    PROGRESS_REPORT = 3
    SCP_STATUS_CHANGE = 4
    ASSIGNED = 5


@frozen
class StepEvent:
    """Something that happened to a step.

    Attributes
    ----------
    kind : EventType
    information : Attributes
        Event Information (PS3.4 Table CC.2.4-1).
    """

    kind: EventType
    information: Attributes = field(factory=dict)


@frozen
class ProcedureStep:
    """A unified procedure step.

    Attributes
    ----------
    instance_uid : str
        SOP Instance UID.
    attributes : Attributes
        As created and set, its state among them; never its Transaction UID.
    transaction_uid : str
        By which its performer holds it, from IN PROGRESS on; a secret of the performer's.
    created_by, claimed_by : str
        AE titles of who created and who claimed it.
    character_set : tuple of str
        Specific Character Set in which it was created.
    created, changed : float
        Seconds since the epoch.
    is_watched : bool
        Whether its performer looks at `cancel_request`, and need not follow the step for it.
    cancel_request : Attributes or None
        Event Information of the last request to cancel it (PS3.4 Table CC.2.4-1), if it is watched.
    """

    instance_uid: str
    attributes: Attributes = field(repr=False)
    transaction_uid: str = field(default="", repr=False)
    created_by: str = ""
    claimed_by: str = ""
    character_set: tuple[str, ...] = ()
    created: float = 0.0
    changed: float = 0.0
    is_watched: bool = False
    cancel_request: Attributes | None = field(default=None, repr=False)

    @property
    def state(self) -> StepState:
        """How far it has come."""
        return StepState(first(self.attributes, STATE))

    def answered(self) -> Attributes:
        """Return what C-FIND matches and answers: its attributes, and what identifies it."""
        return {**self.attributes, SOP_CLASS: (UPS_PUSH,), SOP_INSTANCE: (self.instance_uid,)}

    @property
    def studies(self) -> tuple[str, ...]:
        """Study Instance UIDs that it is about, each once."""
        asked = (first(item, STUDY_UID) for item in items(self.attributes, REQUESTS))
        own = first(self.attributes, STUDY_UID)
        return tuple(dict.fromkeys(filter(None, (own, *asked))))


@frozen
class ChangedStep:
    """A step after a request, and what to say about it.

    Attributes
    ----------
    step : ProcedureStep
    status : int
        Success, or a warning.
    tags : tuple of int
        Attributes that were not taken as sent.
    events : tuple of StepEvent
        What those who follow it are to be told, in this order.
    """

    step: ProcedureStep
    status: int = Status.SUCCESS
    tags: tuple[int, ...] = ()
    events: tuple[StepEvent, ...] = ()


def check_receiver(title: str) -> None:
    """Refuse what is no AE title (PS3.5 Table 6.2-1), and so nobody's.

    Raises
    ------
    RefusedRequestError
        0115H.
    """
    is_title = 0 < len(title) <= 16 and title.isascii() and title.isprintable()
    if not is_title or "\\" in title or title != title.strip():
        raise RefusedRequestError(
            Status.INVALID_ARGUMENT_VALUE, f"{title!r:.40} is no AE title", [RECEIVER]
        )
