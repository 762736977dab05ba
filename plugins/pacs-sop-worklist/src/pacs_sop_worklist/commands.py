"""``pacs worklist``."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import anyio
from cyclopts import Parameter

from pacs_core.api.attribute_lists import by_keyword
from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    UsageError,
    dump_json,
    open_node,
    parse_pairs,
    print_rows,
)
from pacs_core.dataset import texts
from pacs_sop_worklist.files import UnreadableFileError, read_steps
from pacs_sop_worklist.interface import ListedStep, Worklist
from pacs_sop_worklist.orders import DESCRIPTION, PATIENT_NAME, make_order
from pacs_sop_worklist.searching import of_study, read_conditions
from pacs_sop_worklist.steps import (
    MODALITY,
    PATIENT_ID,
    STUDY_UID,
    InvalidStepError,
    StepState,
    steps_of,
)

_COLUMNS = {
    "NUMBER": 8,
    "START": 17,
    "MOD.": 6,
    "STATION": 18,
    "STATE": 14,
    "PATIENT": 30,
    "DESCRIPTION": 0,
}
"""Of the list, with their widths."""


def add(
    patient_id: str,
    patient_name: str,
    /,
    *,
    modality: str,
    start: datetime | None = None,
    station: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    accession: str = "",
    description: str = "",
    birth_date: str = "",
    sex: str = "",
    study: str = "",
    procedure: str = "",
    step: str = "1",
    config: ConfigOption = None,
) -> None:
    """Put a step on the list, and print its number.

    Parameters
    ----------
    patient_id
        Patient ID.
    patient_name
        As in DICOM: ``Doe^Jane``.
    modality
        Such as CT.
    start
        When it is to begin; now if it is not given.
    station
        AE title of a station that is to perform it; may be given several times.
    accession
        Accession Number.
    description
        Of the step, and of the requested procedure.
    birth_date
        YYYYMMDD.
    sex
        M, F or O.
    study
        Study Instance UID; a new one if it is not given.
    procedure
        Requested Procedure ID; the accession number, or the study's UID, if it is not given.
    step
        Scheduled Procedure Step ID.
    """
    try:
        entry = make_order(
            patient_id,
            patient_name,
            modality,
            start or datetime.now(),
            stations=station,
            accession=accession,
            description=description,
            birth_date=birth_date,
            sex=sex,
            study=study,
            procedure=procedure,
            step=step,
        )
        steps = list(steps_of(entry))
    except InvalidStepError as error:
        raise UsageError(str(error)) from error

    async def run() -> None:
        async with _worklist(config) as worklist:
            await worklist.put(steps, "command")
            async for listed in worklist.search(of_study(texts(entry, STUDY_UID)[0])):
                if listed.step.identity == steps[0].identity:
                    print(listed.number)

    anyio.run(run)


def import_files(*files: Path, config: ConfigOption = None) -> None:
    """Put the steps in files on the list: DICOM, such as those of wlmscpfs, or DICOM JSON.

    Parameters
    ----------
    files
        All are read first: if one has no entry of a worklist, nothing is changed.
    """
    steps = []
    for file in files:
        try:
            steps += read_steps(file)
        except UnreadableFileError as error:
            raise CommandError(f"{file}: {error}") from error

    async def run() -> None:
        async with _worklist(config) as worklist:
            changed = await worklist.put(steps, "import")
            print(f"{changed} of {len(steps)} steps added or changed")

    anyio.run(run)


def list_steps(
    *keys: str,
    everything: Annotated[bool, Parameter(name="--all", negative=())] = False,
    limit: int = 50,
    config: ConfigOption = None,
) -> None:
    """List steps by their start.

    Parameters
    ----------
    keys
        Keywords with values, as in ``PatientID=4711`` or ``Modality=CT``, that match as in C-FIND.
    everything
        Also those that are no longer on the list.
    limit
        How many at most.
    """
    try:
        conditions = read_conditions(parse_pairs(keys))
    except ValueError as error:
        raise UsageError(str(error)) from error

    async def run() -> None:
        async with _worklist(config) as worklist:
            found = worklist.search(conditions, with_ended=everything)
            await print_rows(_COLUMNS, found, _cells, limit)

    anyio.run(run)


def show(number: int, /, *, config: ConfigOption = None) -> None:
    """Show a step with all of its attributes.

    Parameters
    ----------
    number
        As listed.
    """

    async def run() -> None:
        async with _worklist(config) as worklist:
            listed = await _find(worklist, number)
            print(f"source: {listed.source}")
            if listed.performed:
                print(f"performed step: {listed.performed}")
            print(dump_json(by_keyword(listed.step.answered()), indent=1))

    anyio.run(run)


def cancel(number: int, /, *, config: ConfigOption = None) -> None:
    """Take a step off the list.

    Parameters
    ----------
    number
        As listed.
    """

    async def run() -> None:
        async with _worklist(config) as worklist:
            await _find(worklist, number)
            await worklist.set_state(number, StepState.CANCELED)
            print(f"step {number} is cancelled")

    anyio.run(run)


BY_VERB: dict[str, Callable[..., None]] = {
    "add": add,
    "import": import_files,
    "list": list_steps,
    "show": show,
    "cancel": cancel,
}


@asynccontextmanager
async def _worklist(config: Path | None) -> AsyncIterator[Worklist]:
    async with open_node(config, Worklist) as node:
        yield node.find(Worklist)


async def _find(worklist: Worklist, number: int) -> ListedStep:
    try:
        return await worklist.find(number)
    except KeyError as error:
        raise CommandError(str(error.args[0])) from error


def _cells(listed: ListedStep) -> tuple[str, ...]:
    step = listed.step
    name = "".join(texts(step.attributes, PATIENT_NAME)[:1])
    patient = f"{''.join(texts(step.attributes, PATIENT_ID)[:1])} {name}"
    return (
        str(listed.number),
        step.start[:15],
        "".join(texts(step.item, MODALITY)[:1]),
        "\\".join(step.stations),
        str(step.state),
        patient,
        "".join(texts(step.item, DESCRIPTION)[:1]),
    )
