"""``pacs mpps``."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from pathlib import Path

import anyio

from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    UsageError,
    assemble_for_command,
    open_archive,
)
from pacs_core.contracts import Condition, KeyMatching, SequenceMatch
from pacs_core.dataset import Attributes, MutableAttributes, keyword_of, tag_of
from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.rules import RULES
from pacs_sop_mpps.steps import PATIENT_ID, SCHEDULED, PerformedState, PerformedStep
from pacs_sop_mpps.values import first

_NAME, _MODALITY = tag_of("PatientName"), tag_of("Modality")
_STATION = tag_of("PerformedStationAETitle")
_DATE, _TIME = (
    tag_of("PerformedProcedureStepStartDate"),
    tag_of("PerformedProcedureStepStartTime"),
)
_OF_SCHEDULED = frozenset(rule.tag for r in RULES if r.tag == SCHEDULED for rule in r.rules)


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
    conditions = _conditions(keys)

    async def run() -> None:
        print(_line(("START", "STATE", "MOD.", "STATION", "PATIENT", "INSTANCE")))
        left = limit
        async with (
            _steps(config) as steps,
            aclosing(steps.search(conditions, state=state)) as found,  # type: ignore[type-var]
        ):
            async for step in found:
                if left == 0:
                    return
                left -= 1
                print(_line(_cells(step)))

    anyio.run(run)


def show(instance: str, /, *, config: ConfigOption = None) -> None:
    """Show a performed step with all of its attributes.

    Parameters
    ----------
    instance
        Its SOP Instance UID, as listed.
    """

    async def run() -> None:
        async with _steps(config) as steps:
            try:
                step = await steps.find(instance)
            except KeyError as error:
                raise CommandError(str(error.args[0])) from error
            print(f"state: {step.state}")
            print(f"created by: {step.created_by or '(nobody)'}, {_moment(step.created)}")
            print(f"changed: {_moment(step.changed)}")
            print(json.dumps(_plain(step.attributes), indent=1, ensure_ascii=False))

    anyio.run(run)


BY_VERB: dict[str, Callable[..., None]] = {"list": list_steps, "show": show}


@asynccontextmanager
async def _steps(config: Path | None) -> AsyncIterator[PerformedProcedureSteps]:
    needed = (PerformedProcedureSteps,)
    async with open_archive(assemble_for_command(config), requires=needed) as opened:
        yield opened.node.find(PerformedProcedureSteps)


def _conditions(keys: tuple[str, ...]) -> tuple[Condition, ...]:
    top: MutableAttributes = {}
    scheduled: MutableAttributes = {}
    for key in keys:
        keyword, equals, value = key.partition("=")
        try:
            tag = tag_of(keyword)
        except LookupError as error:
            raise UsageError(f"{keyword} is no keyword of an attribute") from error
        if not equals:
            raise UsageError(f"{key}: write it as KEYWORD=VALUE")
        (scheduled if tag in _OF_SCHEDULED else top)[tag] = (value,)
    matching = KeyMatching(combined_date_time=True)
    try:
        found = matching.conditions(top, top)
        inner = matching.conditions(scheduled, scheduled)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return (*found, SequenceMatch(SCHEDULED, inner)) if inner else found


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


def _line(cells: tuple[str, ...]) -> str:
    widths = (17, 14, 6, 18, 30, 0)
    line = "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    return "".join(c if c.isprintable() else " " for c in line).rstrip()


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")


def _plain(attributes: Attributes) -> dict[str, object]:
    return {
        keyword_of(tag) or f"{tag:08X}": [v if isinstance(v, str) else _plain(v) for v in values]
        for tag, values in sorted(attributes.items())
    }
