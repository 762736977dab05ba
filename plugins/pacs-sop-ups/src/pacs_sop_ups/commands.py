"""``pacs ups``."""

import time
from collections.abc import Callable
from datetime import datetime

import anyio

from pacs_core.api.attribute_lists import by_keyword, first
from pacs_core.api.commands import (
    ConfigOption,
    UsageError,
    dump_json,
    open_node,
    parse_pairs,
    print_rows,
    say,
)
from pacs_core.dataset import MutableAttributes, items, tag_of
from pacs_sop_ups.arguments import date_time, read_attributes
from pacs_sop_ups.command_node import do, find_step
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.matching import conditions_of, read_keys
from pacs_sop_ups.performing import cancel, claim, complete
from pacs_sop_ups.steps import (
    LABEL,
    PATIENT_ID,
    PRIORITY,
    PROGRESS,
    READINESS,
    START,
    STATE,
    WORKLIST_LABEL,
    ProcedureStep,
)
from pacs_sop_ups.transitions import StepState

_NAME = tag_of("PatientName")
_PROGRESS = tag_of("ProcedureStepProgress")
_COLUMNS = {
    "START": 15,
    "STATE": 12,
    "PRIO": 7,
    "WORKLIST": 14,
    "LABEL": 26,
    "PATIENT": 26,
    "INSTANCE": 0,
}
"""Of the list, with their widths."""
_POLL = 1.0
_OVERLAP = 10.0
"""Seconds that a change may take to be there for others, after the time that it bears."""


def create(
    label: str,
    /,
    *attributes: str,
    priority: str = "MEDIUM",
    start: datetime | None = None,
    worklist: str = "",
    readiness: str = "READY",
    config: ConfigOption = None,
) -> None:
    """Create a step, and print its SOP Instance UID.

    Parameters
    ----------
    label
        Procedure Step Label: what is to be done.
    attributes
        Keywords with values, as in ``PatientID=4711`` or, of a code,
        ``ScheduledWorkitemCodeSequence=110005^DCM^Interpretation``.
    priority
        HIGH, MEDIUM or LOW.
    start
        When it is to begin; now if it is not given.
    worklist
        Worklist Label; the node's if it is not given.
    readiness
        Input Readiness State: READY, UNAVAILABLE or INCOMPLETE.
    """
    made: MutableAttributes = {
        **read_attributes(attributes),
        LABEL: (label,),
        PRIORITY: (priority.upper(),),
        READINESS: (readiness.upper(),),
        START: (date_time(start),),
        STATE: (str(StepState.SCHEDULED),),
        WORKLIST_LABEL: (worklist,) if worklist else (),
    }

    async def run() -> None:
        from pydicom.uid import generate_uid

        async with open_node(config, UnifiedProcedureSteps) as node:
            uid = str(generate_uid())
            await do(node, "create", uid, node.find(UnifiedProcedureSteps).create(uid, made))
            print(uid)

    anyio.run(run)


def list_steps(
    *keys: str,
    state: StepState | None = None,
    limit: int = 50,
    config: ConfigOption = None,
) -> None:
    """List procedure steps, the latest first.

    Parameters
    ----------
    keys
        Keywords with values, as in ``PatientID=4711`` or
        ``ScheduledStationNameCodeSequence.CodeValue=WS1``, that match as in C-FIND.
    state
        Only those in it.
    limit
        How many at most.
    """
    try:
        conditions = conditions_of(read_keys(parse_pairs(keys)))
    except ValueError as error:
        raise UsageError(str(error)) from error
    states = () if state is None else (state,)

    async def run() -> None:
        async with open_node(config, UnifiedProcedureSteps) as node:
            found = node.find(UnifiedProcedureSteps).search(conditions, states=states)
            await print_rows(_COLUMNS, found, _cells, limit)

    anyio.run(run)


def show(instance: str, /, *, config: ConfigOption = None) -> None:
    """Show a procedure step with all of its attributes.

    Parameters
    ----------
    instance
        Its SOP Instance UID, as listed.
    """

    async def run() -> None:
        async with open_node(config, UnifiedProcedureSteps) as node:
            step = await find_step(node, instance)
            print(f"state: {step.state}")
            say(f"created by: {step.created_by or '(nobody)'}")
            say(f"claimed by: {step.claimed_by or '(nobody)'}")
            print(dump_json(by_keyword(step.attributes), indent=1))

    anyio.run(run)


def watch(*keys: str, changes: int = 0, config: ConfigOption = None) -> None:
    """Print procedure steps as they are created and changed.

    Parameters
    ----------
    keys
        As of ``pacs ups list``.
    changes
        After how many to end; 0 for never.
    """
    try:
        conditions = conditions_of(read_keys(parse_pairs(keys)))
    except ValueError as error:
        raise UsageError(str(error)) from error

    async def run() -> None:
        left, looked, seen = changes, time.time(), frozenset[tuple[str, float]]()
        since = looked
        async with open_node(config, UnifiedProcedureSteps) as node:
            steps = node.find(UnifiedProcedureSteps)
            print("watching", flush=True)
            while True:
                begin, looked = max(since, looked - _OVERLAP), time.time()
                found = [s async for s in steps.search(conditions, changed_since=begin)]
                news = [s for s in found if (s.instance_uid, s.changed) not in seen]
                seen = frozenset((s.instance_uid, s.changed) for s in found)
                for step in sorted(news, key=lambda each: each.changed):
                    progress = [first(each, _PROGRESS) for each in items(step.attributes, PROGRESS)]
                    percent = f"{progress[0]} %" if any(progress) else ""
                    at = datetime.fromtimestamp(step.changed).strftime("%H:%M:%S")
                    print(at, step.instance_uid, step.state, percent, flush=True)
                    left -= 1
                    if left == 0:
                        return
                await anyio.sleep(_POLL)

    anyio.run(run)


BY_VERB: dict[str, Callable[..., None]] = {
    "create": create,
    "list": list_steps,
    "show": show,
    "claim": claim,
    "complete": complete,
    "cancel": cancel,
    "watch": watch,
}


def _cells(step: ProcedureStep) -> tuple[str, ...]:
    attributes = step.attributes
    return (
        first(attributes, START)[:14],
        str(step.state),
        first(attributes, PRIORITY),
        first(attributes, WORKLIST_LABEL),
        first(attributes, LABEL),
        f"{first(attributes, PATIENT_ID)} {first(attributes, _NAME)}",
        step.instance_uid,
    )
