"""Rows of the table of steps, and steps of its rows."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from pacs_database.api import DatabaseConnection
from sqlalchemy import Row, select, update

from pacs_core.api.attribute_lists import from_json, to_json
from pacs_core.api.normalized import RefusedRequestError
from pacs_core.contracts import EntityPath, change_record
from pacs_core.dataset import Attributes, Changes
from pacs_core.dimse import Status
from pacs_sop_ups.statuses import UpsStatus
from pacs_sop_ups.steps import ProcedureStep
from pacs_sop_ups.tables import STEPS


def row_of(step: ProcedureStep) -> dict[str, Any]:
    """Return what changes of a step, by the names of columns."""
    return {
        "state": str(step.state),
        "transaction_uid": step.transaction_uid,
        "claimed_by": step.claimed_by,
        "attributes": to_json(step.attributes),
        "changed": step.changed,
        "is_watched": step.is_watched,
        "cancel_request": None if step.cancel_request is None else to_json(step.cancel_request),
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
        row.is_watched,
        None if row.cancel_request is None else from_json(row.cancel_request),
    )


async def row_to_change(connection: DatabaseConnection, instance_uid: str) -> Row[Any] | None:
    """Return the row of a step for whoever is going to write it: the next waits."""
    known = select(STEPS).where(STEPS.c.instance_uid == instance_uid).with_for_update()
    return (await connection.execute(known)).one_or_none()


async def change_patient(
    connection: DatabaseConnection,
    patient: EntityPath,
    changes: Changes,
    keys: Collection[str] | None,
) -> Mapping[str, Attributes]:
    """Change what steps say of a patient, see :meth:`PatientRecords.change_patient`."""
    former: dict[str, Attributes] = {}
    # There is no column for it: SQL leaves out those that cannot be meant.
    text = json.dumps(patient.patient_id)[1:-1]
    is_candidate = STEPS.c.attributes.contains(text, autoescape=True)
    wanted = select(STEPS).where(is_candidate).with_for_update()
    for row in (await connection.execute(wanted)).all():
        step = step_of(row)
        if keys is not None and step.instance_uid not in keys:
            continue
        if changed := change_record(step.attributes, patient, changes):
            former[step.instance_uid], attributes = changed
            known = update(STEPS).where(STEPS.c.number == row.number)
            await connection.execute(known.values(attributes=to_json(attributes)))
    return former


def unknown() -> RefusedRequestError:
    """Return the refusal of a request for a step that does not exist for whoever asks."""
    return RefusedRequestError(UpsStatus.NO_SUCH_STEP, "there is no such step")


def duplicate() -> RefusedRequestError:
    """Return the refusal of a second step with one UID."""
    return RefusedRequestError(Status.DUPLICATE_SOP_INSTANCE, "there is a step with this UID")
