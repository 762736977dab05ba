"""``pacs mpps``."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import anyio

from pacs_core.api.attribute_lists import by_keyword, first
from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    UsageError,
    dump_json,
    local_origin,
    open_node,
    parse_pairs,
    print_rows,
    say,
)
from pacs_core.api.normalized import RefusedRequestError
from pacs_core.contracts import (
    AuditEvent,
    EventAction,
    Node,
    Outcome,
)
from pacs_core.dataset import tag_of
from pacs_sop_mpps.discontinuing import DISCONTINUED, discontinue_at
from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.searching import read_conditions
from pacs_sop_mpps.steps import (
    PATIENT_ID,
    PerformedState,
    PerformedStep,
)
from pacs_sop_mpps.stored import missing_instances

_NAME, _MODALITY = tag_of("PatientName"), tag_of("Modality")
_STATION = tag_of("PerformedStationAETitle")
_DATE, _TIME = (
    tag_of("PerformedProcedureStepStartDate"),
    tag_of("PerformedProcedureStepStartTime"),
)

_COLUMNS = {"START": 17, "STATE": 14, "MOD.": 6, "STATION": 18, "PATIENT": 30, "INSTANCE": 0}
"""Of the list, with their widths."""


def list_steps(
    *keys: str,
    state: PerformedState | None = None,
    limit: int = 50,
    config: ConfigOption = None,
) -> None:
    """List performed steps, the latest first.

    Parameters
    ----------
    keys
        Keywords with values, as in ``PatientID=4711`` or ``AccessionNumber=A1``, that match as in
        C-FIND.
    state
        Only those that are so far.
    limit
        How many at most.
    """
    try:
        conditions = read_conditions(parse_pairs(keys))
    except ValueError as error:
        raise UsageError(str(error)) from error

    async def run() -> None:
        async with open_node(config, PerformedProcedureSteps) as node:
            found = node.find(PerformedProcedureSteps).search(conditions, state=state)
            await print_rows(_COLUMNS, found, _cells, limit)

    anyio.run(run)


def show(instance: str, /, *, config: ConfigOption = None) -> None:
    """Show a performed step with all of its attributes.

    Parameters
    ----------
    instance
        Its SOP Instance UID, as listed.
    """

    async def run() -> None:
        async with open_node(config, PerformedProcedureSteps) as node:
            step = await _find(node, instance)
            print(f"state: {step.state}")
            say(f"created by: {step.created_by or '(nobody)'}, {_moment(step.created)}")
            print(f"changed: {_moment(step.changed)}")
            made = len({uid for series in step.series for uid in series.instances})
            with suppress(LookupError):  # Not every node has an archive.
                missing = len(await missing_instances(node.archive, step))
                print(f"instances: {made - missing} of {made} are in the archive")
            print(dump_json(by_keyword(step.attributes), indent=1))

    anyio.run(run)


def discontinue(instance: str, /, *, config: ConfigOption = None) -> None:
    """Discontinue a step whose modality has failed: it can be changed no more.

    Parameters
    ----------
    instance
        Its SOP Instance UID, as listed.
    """
    end = discontinue_at(datetime.now())

    async def run() -> None:
        async with open_node(config, PerformedProcedureSteps) as node:
            await _find(node, instance)
            try:
                await node.find(PerformedProcedureSteps).change(instance, end)
            except RefusedRequestError as error:
                raise CommandError(f"{instance}: {error.explanation}") from error
            details = {"instance": instance}
            action, origin = EventAction.UPDATE, local_origin("mpps discontinue")
            event = AuditEvent(DISCONTINUED, Outcome.SUCCESS, origin, details, action=action)
            await node.audit.record(event)
            print(f"{instance} is discontinued")

    anyio.run(run)


BY_VERB: dict[str, Callable[..., None]] = {
    "list": list_steps,
    "show": show,
    "discontinue": discontinue,
}


async def _find(node: Node, instance: str) -> PerformedStep:
    try:
        return await node.find(PerformedProcedureSteps).find(instance)
    except KeyError as error:
        raise CommandError(str(error.args[0])) from error


def _cells(step: PerformedStep) -> tuple[str, ...]:
    attributes = step.attributes
    return (
        f"{first(attributes, _DATE)} {first(attributes, _TIME)[:6]}",
        str(step.state),
        first(attributes, _MODALITY),
        first(attributes, _STATION),
        f"{first(attributes, PATIENT_ID)} {first(attributes, _NAME)}",
        step.instance_uid,
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")
