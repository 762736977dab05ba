"""Rows of the table of steps, and steps of its rows."""

from typing import Any

from sqlalchemy import Row

from pacs_core.api.attribute_lists import MOST_ITEMS, count_items, from_json, to_json
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    UnencodableValue,
    best_character_set,
    encode_attributes,
)
from pacs_core.dimse import Status
from pacs_sop_ups.steps import ProcedureStep, RefusedStepError


def row_of(step: ProcedureStep) -> dict[str, Any]:
    """Return what changes of a step, by the names of columns."""
    return {
        "state": str(step.state),
        "transaction_uid": step.transaction_uid,
        "claimed_by": step.claimed_by,
        "attributes": to_json(step.attributes),
        "changed": step.changed,
    }


def step_of(row: Row[Any]) -> ProcedureStep:
    """Return the step of a row."""
    return ProcedureStep(
        row.instance_uid,
        from_json(row.attributes),
        row.transaction_uid,
        row.created_by,
        row.claimed_by,
        tuple(filter(None, row.character_set.split("\\"))),
        row.created,
        row.changed,
    )


def refuse_oversize(step: ProcedureStep, max_bytes: int) -> None:
    """Refuse what could not be handed out again, or is too much.

    Raises
    ------
    RefusedStepError
        0106H, 0213H.
    """
    if count_items(step.attributes) > MOST_ITEMS:
        raise RefusedStepError(Status.RESOURCE_LIMITATION, f"more than {MOST_ITEMS} items")
    character_set = best_character_set(step.attributes, step.character_set)
    try:
        encoded = encode_attributes(step.attributes, EXPLICIT_VR_LITTLE_ENDIAN, character_set)
    except UnencodableValue as error:
        raise RefusedStepError(Status.INVALID_ATTRIBUTE_VALUE, str(error)) from error
    if len(encoded) > max_bytes:
        raise RefusedStepError(Status.RESOURCE_LIMITATION, f"more than {max_bytes} bytes")
