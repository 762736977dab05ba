"""``pacs correct``."""

from contextlib import aclosing
from time import localtime, strftime
from typing import Annotated, Any

from pacs_core.app import Assembly, open_archive
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.correction_losses import find_losses
from pacs_core.cli.errors import CommandError, UsageError
from pacs_core.cli.keys import parse_keys
from pacs_core.cli.local import local_origin, require_archive, require_data_directory
from pacs_core.cli.option import Option
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import complain, count, print_table, say
from pacs_core.cli.running import run_async
from pacs_core.concurrency import closing
from pacs_core.contracts import (
    AccessAction,
    Correction,
    CorrectionNotFoundError,
    EntityPath,
    Level,
    Query,
)
from pacs_core.dataset import Changes, keyword_of

Yes = Annotated[bool, Option()]
_NAMED = 20
"""Losses that are named; all are counted."""


def update(
    *,
    patient: str = "",
    study: str = "",
    series: str = "",
    instance: str = "",
    set_: Annotated[list[str] | None, Option("--set", "-s")] = None,
    delete: Annotated[list[str] | None, Option("--delete", "-d")] = None,
    reason: str = "CORRECT",
    comment: str = "",
    in_advance: Yes = False,
    replace_sequences: Yes = False,
    leave_references: Yes = False,
    yes: Yes = False,
    options: LocalOptions = LOCAL,
) -> None:
    r"""Correct what the archive hands out of a patient, study, series or instance.

    What is stored stays as it is. The correction also holds for what arrives later for the same
    patient, study, series or instance. Without --yes, only says what would be corrected.

    Parameters
    ----------
    patient
        Patient ID, with ^^^ and its issuer behind it if it has one.
    study, series, instance
        UIDs, down to what is to be corrected.
    set_
        KEYWORD=VALUE: what an attribute shall be. A backslash separates values.
    delete
        KEYWORD of an attribute that goes out no more.
    reason
        CORRECT a wrong value, COERCE it to that of another system, or ADD one.
    comment
        For the log of corrections and the audit trail.
    in_advance
        Also if the archive holds nothing of that yet.
    replace_sequences
        Let sequences become what is set, though instances have more in them.
    leave_references
        Give a study another UID, though its instances refer to each other by that which it has.
    yes
        Do it.
    """
    entity = _entity(patient, study, series, instance)
    if entity is None:
        raise UsageError("name what is to be corrected with --patient or --study")
    changes: dict[int, Any] = dict(parse_keys(set_ or ()))
    for tag in parse_keys(delete or ()):
        changes[tag] = None
    if not changes:
        raise UsageError("say what is to be changed with --set or --delete")
    details = {"reason": reason.upper(), "comment": comment, "in_advance": in_advance}
    accepted = {"replace": replace_sequences, "leave": leave_references}
    run_async(_update, assemble_local(options), entity, changes, yes, details, accepted)


def _entity(patient: str, study: str, series: str = "", instance: str = "") -> EntityPath | None:
    patient_id, _, issuer = patient.partition("^^^")
    if not any((patient_id, study, series, instance)):
        return None
    try:
        return EntityPath(patient_id, issuer, study, series, instance)
    except ValueError as error:
        raise UsageError(str(error)) from error


async def _update(
    assembly: Assembly,
    entity: EntityPath,
    changes: Changes,
    yes: bool,
    details: dict[str, Any],
    accepted: dict[str, bool],
) -> None:
    require_data_directory(assembly)
    async with open_archive(assembly) as opened:
        require_archive(opened)
        origin = local_origin("correct")
        archive = opened.archive.on_behalf_of(origin, reading=AccessAction.UPDATE)
        if reason := await opened.archive.gap():
            raise CommandError(f"nothing is corrected by an index that is not whole: {reason}")
        async with closing(find_losses(archive, entity, changes, **accepted)) as losses:
            named = [loss async for loss in losses]
        for loss in named[:_NAMED]:
            complain(loss)
        if named:
            raise CommandError(f"nothing is corrected: {count(len(named), 'loss', 'losses')}")
        if not yes:
            found = await archive.count(Query(Level.IMAGE, entity.conditions))
            say(f"{count(found, 'instance')} would be corrected; add --yes to do it")
            return
        report = await archive.update(entity, changes, origin, **details)
    say(f"correction {report.correction.number}: {count(report.instances, 'instance')} corrected")


def list_all(*, patient: str = "", study: str = "", options: LocalOptions = LOCAL) -> None:
    """List the corrections that were made, and those that were taken back.

    Parameters
    ----------
    patient
        Patient ID, with ^^^ and its issuer behind it if it has one: as it was called then.
    study
        Study Instance UID.
    """
    run_async(_list, assemble_local(options), _entity(patient, study))


async def _list(assembly: Assembly, entity: EntityPath | None) -> None:
    require_data_directory(assembly)
    async with open_archive(assembly) as opened:
        require_archive(opened)
        archive = opened.archive.on_behalf_of(local_origin("correct"))
        async with closing(archive.corrections(entity)) as corrections:
            rows = [_row(correction) async for correction in corrections]
    if not rows:
        say("nothing was corrected")
        return
    print_table(("NUMBER", "TIME", "BY", "WHAT", "CHANGES", "STATE", "COMMENT"), rows)


def _row(correction: Correction) -> tuple[str, ...]:
    origin = correction.origin
    state = "in force"
    if correction.reverts:
        state = f"reverts {correction.reverts}"
    elif correction.reverted_by:
        state = f"reverted by {correction.reverted_by}"
    changes = ", ".join(
        f"{keyword_of(tag)} removed" if values is None else f"{keyword_of(tag)}={_text(values)}"
        for tag, values in sorted(correction.changes.items())
    )
    return (
        str(correction.number),
        strftime("%Y-%m-%d %H:%M:%S", localtime(correction.time)),
        origin.user or origin.calling_ae_title or origin.interface,
        str(correction.entity),
        changes,
        state,
        correction.comment,
    )


def _text(values: tuple[object, ...]) -> str:
    return "\\".join(each if isinstance(each, str) else "(item)" for each in values)[:40]


def revert(
    number: int,
    /,
    *,
    comment: str = "",
    yes: Yes = False,
    options: LocalOptions = LOCAL,
) -> None:
    """Take back a correction, as if it had never been made; later ones stay.

    Without --yes, only says what would be done.

    Parameters
    ----------
    number
        As `pacs correct list` names it.
    comment
        For the log of corrections and the audit trail.
    yes
        Do it.
    """
    run_async(_revert, assemble_local(options), number, comment, yes)


async def _revert(assembly: Assembly, number: int, comment: str, yes: bool) -> None:
    require_data_directory(assembly)
    async with open_archive(assembly) as opened:
        require_archive(opened)
        origin = local_origin("correct")
        archive = opened.archive.on_behalf_of(origin)
        if not yes:
            await _say_what(archive.corrections(), number)
            return
        report = await archive.revert(number, origin, comment=comment)
    say(f"correction {number} is taken back: {count(report.instances, 'instance')} changed")


async def _say_what(corrections: Any, number: int) -> None:
    async with aclosing(corrections) as found:
        async for correction in found:
            if correction.number == number and correction.is_in_force:
                say(f"{number}, of {correction.entity}, would be taken back; add --yes to do it")
                return
    raise CorrectionNotFoundError(f"there is no correction {number} in force")
