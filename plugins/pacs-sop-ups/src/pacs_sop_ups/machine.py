"""Rules of procedure steps: which requests make one, and change it how (PS3.4 CC.2).

Theory of operation
-------------------
A step is SCHEDULED when it is created. Whoever claims it gives a Transaction UID, and shows that
with each later change: so it has one performer. COMPLETED or CANCELED, it is changed no more. Four
pure functions are all of its rules: they take what was sent, judge it by the tables
(:mod:`~pacs_sop_ups.rules`, :mod:`~pacs_sop_ups.transitions`), and return the step with the events
that those who follow it are told of, or say why not.

Unless the site is strict, what is harmless is put right: an absent attribute of type 2 counts as
sent without a value, what must be empty is emptied, and what N-SET may not set is passed over. A
warning says so, and the response names the attributes.
"""

from datetime import datetime
from typing import Final

from attrs import evolve

from pacs_core.api.attribute_lists import first
from pacs_core.api.normalized import RefusedRequestError, invalid_values, refuse_mistyped
from pacs_core.dataset import Attributes, MutableAttributes, items, tag_of, texts
from pacs_core.dimse import Status, is_valid_uid
from pacs_sop_ups.events import cancel_requested, events_between
from pacs_sop_ups.rules import NOT_SETTABLE, RULES, SCHEDULED_MODULE
from pacs_sop_ups.settling import settle, unfinished
from pacs_sop_ups.statuses import UpsStatus
from pacs_sop_ups.steps import (
    CANCELED_AT,
    CHARACTER_SET,
    CONTACT_NAME,
    CONTACT_URI,
    CONTACTS,
    MODIFIED,
    PROGRESS,
    REASON,
    REASON_CODE,
    SOP_CLASS,
    SOP_INSTANCE,
    STATE,
    TRANSACTION,
    WORKLIST_LABEL,
    ChangedStep,
    ProcedureStep,
)
from pacs_sop_ups.transitions import (
    ENDED,
    REQUEST_CANCEL,
    TELL,
    TRANSITIONS,
    StepState,
)

_STATES: Final = frozenset(str(state) for state in StepState)
_UNSPECIFIED: Final[Attributes] = {
    tag_of("CodeValue"): ("110513",),
    tag_of("CodingSchemeDesignator"): ("DCM",),
    tag_of("CodeMeaning"): ("Discontinued for unspecified reason",),
}
"""Of CID 9300, where nobody says why."""


def create(
    instance_uid: str,
    attributes: Attributes,
    *,
    worklist_label: str,
    strict: bool = False,
    created_by: str = "",
) -> ChangedStep:
    """Return the step that an N-CREATE makes (CC.2.5).

    Parameters
    ----------
    instance_uid : str
    attributes : Attributes
        As sent.
    worklist_label : str
        Of a step that has none: it is of type 2 for the SCU, and 1 for the SCP.
    strict : bool
        Whether nothing is put right.
    created_by : str

    Raises
    ------
    RefusedRequestError
        C309H, 0120H, 0121H, 0106H.
    """
    refuse_mistyped(attributes)
    settled = _without(attributes, SOP_CLASS, SOP_INSTANCE, MODIFIED)
    state = read_state(first(settled, STATE))
    if state and state != StepState.SCHEDULED:
        raise RefusedRequestError(
            UpsStatus.CREATED_NOT_SCHEDULED, f"it is created SCHEDULED, not {state!r:.20}", [STATE]
        )
    if state:
        settled[STATE] = (str(state),)
    filled = [rule.tag for rule in RULES if rule.create == "0" and settled.get(rule.tag)]
    if strict and filled:
        raise invalid_values("these are empty at creation", *filled)
    settled.update(dict.fromkeys(filled, ()))
    settle(settled, RULES, is_creation=True, strict=strict)
    if not first(settled, WORKLIST_LABEL):
        settled[WORKLIST_LABEL] = (worklist_label,)
    settled[MODIFIED] = (_now(),)
    character_set = tuple(filter(None, texts(settled, CHARACTER_SET)))
    kept = _without(settled, CHARACTER_SET, TRANSACTION)
    step = ProcedureStep(instance_uid, kept, "", created_by, "", character_set)
    status = UpsStatus.CREATED_WITH_MODIFICATIONS if filled else Status.SUCCESS
    return ChangedStep(step, status, tuple(filled), tuple(events_between(None, step)))


def change(
    step: ProcedureStep,
    modifications: Attributes,
    *,
    strict: bool = False,
    is_performer: bool = False,
) -> ChangedStep:
    """Return what becomes of a step by an N-SET (CC.2.6).

    Parameters
    ----------
    step : ProcedureStep
    modifications : Attributes
        As sent, with the Transaction UID of a step that is in progress.
    strict : bool
    is_performer : bool
        Whether it is the performer's, although it has no Transaction UID.

    Raises
    ------
    RefusedRequestError
        C300H, C301H, C303H, C310H; 0105H, 0106H, 0121H.
    """
    refuse_mistyped(modifications)
    given = first(modifications, TRANSACTION)
    if step.state in ENDED:
        raise _refused(UpsStatus.MAY_NO_LONGER_BE_UPDATED, f"the step is {step.state}")
    if step.state is StepState.SCHEDULED and given:
        raise _refused(UpsStatus.NOT_IN_PROGRESS, "the step is SCHEDULED, and nobody's yet")
    if step.state is StepState.IN_PROGRESS and not _is_held_by(step, given, is_performer):
        raise _wrong_transaction()
    wanted = _without(modifications, TRANSACTION, CHARACTER_SET, SOP_CLASS, SOP_INSTANCE)
    _refuse_other_state(step, wanted)
    own = _without(wanted, *(tag for tag in wanted if tag in NOT_SETTABLE))
    passed = [
        tag
        for tag, values in wanted.items()
        if tag in NOT_SETTABLE and values != step.attributes.get(tag, ())
    ]
    if strict and passed:
        raise RefusedRequestError(Status.NO_SUCH_ATTRIBUTE, "N-SET may not set these", passed)
    settle(own, [rule for rule in RULES if rule.tag in own], is_creation=False, strict=strict)
    dated = {MODIFIED: (_now(),)} if own.keys() & SCHEDULED_MODULE else {}
    after = evolve(step, attributes={**step.attributes, **own, **dated})
    status = UpsStatus.COERCED_INVALID_VALUES if passed else Status.SUCCESS
    return ChangedStep(after, status, tuple(passed), tuple(events_between(step, after)))


def change_state(
    step: ProcedureStep,
    wanted: str,
    transaction_uid: str,
    *,
    claimant: str = "",
    is_watched: bool = False,
    strict: bool = False,
    is_performer: bool = False,
) -> ChangedStep:
    """Return what becomes of a step by an N-ACTION that changes its state (CC.2.1).

    Raises
    ------
    RefusedRequestError
        C300H to C304H, C310H; 0115H for what is no state.
    """
    state = read_state(wanted)
    if state not in _STATES:
        raise RefusedRequestError(
            Status.INVALID_ARGUMENT_VALUE, f"there is no state {wanted!r:.20}", [STATE]
        )
    effect = TRANSITIONS[StepState(state).name, step.state]
    if effect != UpsStatus.SCHEDULED_ONLY_BY_CREATION:
        if step.state is StepState.SCHEDULED or state == StepState.IN_PROGRESS:
            is_right = is_valid_uid(transaction_uid)
        else:
            is_right = _is_held_by(step, transaction_uid, is_performer)
        if not is_right:
            raise _wrong_transaction()
    if isinstance(effect, UpsStatus):
        return _answer(step, effect, f"the step is {step.state}")
    after = _in_state(step, StepState(state))
    if state == StepState.IN_PROGRESS:
        after = evolve(
            after, transaction_uid=transaction_uid, claimed_by=claimant, is_watched=is_watched
        )
    elif state == StepState.CANCELED:
        after = _with_cancellation(after, {}, with_reason=not strict)
    if after.state in ENDED:
        _refuse_unfinished(after, strict=strict)
    return ChangedStep(after, events=tuple(events_between(step, after)))


def request_cancel(
    step: ProcedureStep, information: Attributes, *, requestor: str = ""
) -> ChangedStep:
    """Return what becomes of a step that somebody wants canceled (CC.2.2).

    One that is in progress is its performer's to cancel, who is told.

    Raises
    ------
    RefusedRequestError
        C311H.
    """
    refuse_mistyped(information)
    effect = TRANSITIONS[REQUEST_CANCEL, step.state]
    if isinstance(effect, UpsStatus):
        return _answer(step, effect, f"the step is {step.state}")
    if effect == TELL:
        event = cancel_requested(information, requestor)
        noted = evolve(step, cancel_request=event.information) if step.is_watched else step
        return ChangedStep(noted, events=(event,))
    begun = _in_state(step, StepState.IN_PROGRESS)
    after = _with_cancellation(_in_state(begun, StepState.CANCELED), information, with_reason=True)
    told = (*events_between(step, begun), *events_between(begun, after))
    return ChangedStep(after, events=told)


def read_state(text: str) -> str:
    """Return a state as the standard writes it, where one can tell which is meant."""
    text = " ".join(text.upper().replace("_", " ").split())
    return {"INPROGRESS": "IN PROGRESS", "CANCELLED": "CANCELED"}.get(text, text)


def _in_state(step: ProcedureStep, state: StepState) -> ProcedureStep:
    return evolve(step, attributes={**step.attributes, STATE: (str(state),)})


def _is_held_by(step: ProcedureStep, transaction_uid: str, is_performer: bool) -> bool:
    """Tell whether a request is the performer's, by its Transaction UID or, without one, else."""
    if not transaction_uid:
        return is_performer
    return transaction_uid == step.transaction_uid


def _with_cancellation(
    step: ProcedureStep, information: Attributes, *, with_reason: bool
) -> ProcedureStep:
    """Return a step that says when and why it was canceled (Table CC.2.5-3, final state X)."""
    item: MutableAttributes = dict(next(iter(items(step.attributes, PROGRESS)), {}))
    item.setdefault(CANCELED_AT, (_now(),))
    for tag in (REASON, REASON_CODE):
        if information.get(tag):
            item[tag] = information[tag]
    contact = {tag: information[tag] for tag in (CONTACT_URI, CONTACT_NAME) if tag in information}
    if contact:
        item[CONTACTS] = (contact,)
    if with_reason and not item.get(REASON_CODE):
        item[REASON_CODE] = (_UNSPECIFIED,)
    return evolve(step, attributes={**step.attributes, PROGRESS: (item,)})


def _refuse_other_state(step: ProcedureStep, wanted: MutableAttributes) -> None:
    """Refuse an N-SET of the state: that is what N-ACTION is for (CC.2.6.3)."""
    state = read_state(first(wanted, STATE))
    if not state or state == step.state:
        wanted.pop(STATE, None)
    elif state == StepState.SCHEDULED:
        raise _refused(
            UpsStatus.SCHEDULED_ONLY_BY_CREATION, "a step becomes SCHEDULED by N-CREATE only"
        )
    else:
        raise invalid_values("N-ACTION changes the state, not N-SET", STATE)


def _refuse_unfinished(step: ProcedureStep, *, strict: bool) -> None:
    """Refuse an end without what the final state demands (CC.2.5.1.3)."""
    codes = {StepState.COMPLETED: "RP", StepState.CANCELED: "RX"}[step.state]
    missing = list(unfinished(step.attributes, RULES, codes, strict=strict))
    if missing:
        raise RefusedRequestError(
            UpsStatus.FINAL_STATE_NOT_MET, f"no step is {step.state} without a value", missing
        )


def _answer(step: ProcedureStep, status: UpsStatus, comment: str) -> ChangedStep:
    """Return a step that stays as it is, with a warning; raise if it is no warning."""
    if status < UpsStatus.MAY_NO_LONGER_BE_UPDATED:
        return ChangedStep(step, status)
    raise _refused(status, comment)


def _without(attributes: Attributes, *tags: int) -> MutableAttributes:
    return {tag: values for tag, values in attributes.items() if tag not in tags}


def _now() -> str:
    return datetime.now().astimezone().strftime("%Y%m%d%H%M%S%z")


def _refused(status: UpsStatus, comment: str) -> RefusedRequestError:
    return RefusedRequestError(status, comment)


def _wrong_transaction() -> RefusedRequestError:
    return RefusedRequestError(
        UpsStatus.WRONG_TRANSACTION_UID, "the correct Transaction UID was not provided"
    )
