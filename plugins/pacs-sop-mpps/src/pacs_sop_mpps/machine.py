"""Rules of performed steps: which requests make one, and change it how (PS3.4 F.7.2).

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

from collections.abc import Sequence

from attrs import evolve

from pacs_core.api.attribute_lists import first, has_value, is_sound
from pacs_core.api.normalized import RefusedRequestError, invalid_values, refuse_mistyped
from pacs_core.dataset import Attributes, MutableAttributes, Value, texts
from pacs_core.dimse import Status
from pacs_sop_mpps.rules import NOT_SETTABLE, RULES, Rule
from pacs_sop_mpps.steps import (
    CHARACTER_SET,
    ENDED,
    MAY_NO_LONGER_BE_UPDATED,
    STATUS,
    PerformedState,
    PerformedStep,
)

_STATES = frozenset(str(state) for state in PerformedState)


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
    RefusedRequestError
        0120H, 0121H, 0106H.
    """
    refuse_mistyped(attributes)
    settled = _settle(_with_status(attributes, strict=strict), RULES, strict=strict)
    state = first(settled, STATUS)
    if state != PerformedState.IN_PROGRESS:
        raise invalid_values(f"it is created IN PROGRESS, not {state!r:.20}", STATUS)
    character_set = tuple(filter(None, texts(settled, CHARACTER_SET)))
    del settled[CHARACTER_SET]
    return PerformedStep(instance_uid, settled, created_by, character_set)


def change(
    step: PerformedStep, modifications: Attributes, *, strict: bool = False
) -> PerformedStep:
    """Return what becomes of a step by an N-SET (F.7.2.2).

    Raises
    ------
    RefusedRequestError
        0110H with Error ID A710H if it has ended; 0105H, 0106H, 0121H.
    """
    if step.state in ENDED:
        raise RefusedRequestError(
            Status.PROCESSING_FAILURE,
            "Performed Procedure Step Object may no longer be updated",
            error_id=MAY_NO_LONGER_BE_UPDATED,
        )
    refuse_mistyped(modifications)
    wanted = _with_status(modifications, strict=strict)
    unsettable = [tag for tag in wanted if tag in NOT_SETTABLE]
    if strict and unsettable:
        raise RefusedRequestError(
            Status.NO_SUCH_ATTRIBUTE, "N-SET may not set what identifies a step", unsettable
        )
    for tag in (CHARACTER_SET, *unsettable):
        wanted.pop(tag, None)
    rules = [rule for rule in RULES if rule.tag in wanted]
    settled = _settle(wanted, rules, strict=strict, in_set=True)
    changed = evolve(step, attributes={**step.attributes, **settled})
    if first(changed.attributes, STATUS) not in _STATES:
        raise invalid_values(f"its status cannot be {first(settled, STATUS)!r:.20}", STATUS)
    if changed.state in ENDED:
        _check_final(changed, strict=strict)
    return changed


def _check_final(step: PerformedStep, *, strict: bool) -> None:
    """Refuse an end without what the final state demands (F.7.2.2.2)."""
    missing = [
        rule.tag
        for rule in RULES
        if rule.final == "1"
        and not has_value(step.attributes.get(rule.tag, ()))
        and (strict or not _is_tolerated(rule.final_tolerance, step.state))
    ]
    if missing:
        raise RefusedRequestError(
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
        raise RefusedRequestError(status, "attributes are missing", absent)
    if empty:
        raise RefusedRequestError(
            Status.MISSING_ATTRIBUTE_VALUE, "attributes have no value, and need one", empty
        )
    if wrong:
        raise invalid_values("values are not what their VR allows", *wrong)
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
        if rule.kind == "1" and not is_lax and not has_value(values):
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
