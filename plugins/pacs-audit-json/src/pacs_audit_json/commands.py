"""``pacs audit``: verify the trail, search it, show the key that signs it."""

import json
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import anyio
from attrs import frozen
from cyclopts import Parameter

from pacs_audit_json.config import (
    STANDARD_OUTPUT,
    AuditJsonConfig,
    checkpoints_of,
    key_of,
    path_of,
)
from pacs_audit_json.findings import ADVICE, Finding
from pacs_audit_json.lines import line
from pacs_audit_json.reading import FileReader
from pacs_audit_json.signing import public_key_file, read_public_keys
from pacs_audit_json.trail import take_snapshot
from pacs_audit_json.use import record_use
from pacs_audit_json.verification import VerificationResult, verify as verify_trail
from pacs_core.api.commands import (
    Assembly,
    CommandError,
    ConfigOption,
    DataOption,
    JsonOption,
    UsageError,
    assemble_for_command,
    say,
)
from pacs_core.contracts import AuditEvent, AuditObjectKind, AuditSearch

_FAILURE: Final = 1
_LIMITED: Final = 4


@frozen
class _Files:
    """Where the trail of a configuration lies."""

    events: Path
    checkpoints: Path
    public_keys: Path


def verify(
    file: Path | None = None,
    /,
    *,
    checkpoints: Path | None = None,
    public_key: Annotated[list[str] | None, Parameter(negative=())] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """Look whether records were changed, removed, inserted or moved, and say which.

    The exit code is 1 if so. Half a record of a process that was killed, and records that no
    checkpoint covers yet, are only mentioned. The node may run meanwhile.

    Parameters
    ----------
    file
        The file of events, with those set aside beside it; else that of the configuration.
    checkpoints
        File with checkpoints: a copy that was kept elsewhere also finds what was taken off the end
        together with the checkpoints.
    public_key
        Key whose signatures count, as `pacs audit key` shows it; may be repeated. Else those that
        the node has noted beside its own.
    as_json
        Print a JSON object for each finding, and one with the result.
    """
    assembly = assemble_for_command(config, data)
    files = _files(assembly, file)
    advice: dict[str, None] = {}

    def tell(finding: Finding) -> None:
        (_tell_json if as_json else _tell)(finding)
        if finding.is_problem:
            advice[ADVICE[finding.kind]] = None

    trusted = frozenset(public_key or read_public_keys(files.public_keys))
    try:
        trail = take_snapshot(files.events, checkpoints or files.checkpoints)
        result = verify_trail(trail, trusted, tell)
    except OSError as error:
        raise CommandError(f"{error.filename or files.events}: {error.strerror}") from error
    if as_json:
        print(json.dumps(_result(result)))
    else:
        say(_summary(result))
        for each in advice:
            say(f"what to do: {each}")
    if file is None:
        anyio.run(record_use, assembly, "verify", {"problems": result.problems})
    return _FAILURE if result.problems else 0


def search(
    *,
    patient: str = "",
    study: str = "",
    user: str = "",
    event: Annotated[list[str] | None, Parameter(negative=())] = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 1000,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """Find recorded events, the latest first. The exit code is 4 if there are more than the limit.

    Parameters
    ----------
    patient
        Patient ID.
    study
        Study Instance UID, or another UID that the event is about.
    user
        Name of the principal.
    event
        Kind of event, such as c-store or delete; may be repeated.
    since
        Not before this moment, as 2026-11-28 or 2026-11-28T08:00; local time, or with its zone.
    until
        Before this moment.
    limit
        How many events at most.
    as_json
        Print each event as the JSON line in which it was recorded, without its place in the chain.
    """
    if limit < 1:
        raise UsageError("--limit: at least 1")
    assembly = assemble_for_command(config, data)
    asked = AuditSearch(
        about=study or patient,
        kinds=frozenset(event or ()),
        user=user,
        since=since and since.astimezone(),
        until=until and until.astimezone(),
        limit=2**62,
    )
    also = patient if study else ""
    used = {name: value for name, value in (("patient", patient), ("study", study)) if value}

    async def run() -> bool:
        more = await _print_matches(_files(assembly, None).events, asked, also, limit, as_json)
        await record_use(assembly, "search", used)
        return more

    return _LIMITED if anyio.run(run) else 0


def key(*, config: ConfigOption = None, data: DataOption = None) -> int:
    """Show the public keys that the node has signed with, the present one last.

    Keep them where the machine of the node cannot write, for `pacs audit verify --public-key`.
    """
    files = _files(assemble_for_command(config, data), None)
    keys = read_public_keys(files.public_keys)
    if not keys:
        raise CommandError(
            f"there are no keys in {files.public_keys}: the node makes one when it starts"
        )
    for each in keys:
        say(each)
    return 0


def _files(assembly: Assembly, events: Path | None) -> _Files:
    setup = assembly.setup_for("audit-json")
    config = setup.config(AuditJsonConfig)
    if events is None and config.path == STANDARD_OUTPUT:
        raise CommandError("the trail goes to standard output: name the file that it ends in")
    path = path_of(config, setup.settings.data_directory) if events is None else events.absolute()
    return _Files(path, checkpoints_of(config, path), public_key_file(key_of(config, path)))


def _tell(finding: Finding) -> None:
    what = "PROBLEM" if finding.is_problem else "note"
    where = f" ({finding.where})" if finding.where else ""
    say(f"{what:8}{finding.kind.value}: {finding.text}{where}")


def _tell_json(finding: Finding) -> None:
    fields = {
        "finding": finding.kind.value,
        "problem": finding.is_problem,
        "text": finding.text,
        "first": finding.first,
        "last": finding.last,
        "where": finding.where,
    }
    print(json.dumps(fields))


def _result(result: VerificationResult) -> dict[str, object]:
    return {
        "records": result.records,
        "highest": result.highest,
        "signed": result.signed,
        "problems": result.problems,
        "notes": result.notes,
        "complete": result.complete,
    }


def _summary(result: VerificationResult) -> str:
    trail = f"{result.records} records, signed up to record {result.signed}"
    if result.problems:
        unfinished = "" if result.complete else " or more; the rest was not looked at"
        problems = "1 problem" if result.problems == 1 else f"{result.problems} problems"
        return f"the trail is NOT as it was written: {problems}{unfinished} ({trail})"
    return f"the trail is as it was written ({trail})"


async def _print_matches(
    path: Path, asked: AuditSearch, also: str, limit: int, as_json: bool
) -> bool:
    """Print matches; tell whether there are more than the limit."""
    printed = 0
    second = AuditSearch(about=also)
    async with aclosing(FileReader(path).search(asked)) as events:  # type: ignore[type-var]
        async for event in events:
            if not second.matches(event):
                continue
            if printed == limit:
                return True
            if as_json:
                print(line(event).decode("ascii"), end="")
            else:
                say(_describe(event))
            printed += 1
    return False


def _describe(event: AuditEvent) -> str:
    origin = event.origin
    who = origin.user or origin.calling_ae_title or origin.interface
    about = [
        f"{each.kind.value} {each.id}"
        for each in event.objects
        if each.kind in {AuditObjectKind.PATIENT, AuditObjectKind.STUDY}
    ]
    details = [
        f"{name}={value}" for name, value in event.details.items() if value not in ("", None)
    ]
    time = event.time.astimezone().isoformat(timespec="milliseconds")
    parts = (time, event.kind.value, event.outcome.value, who, origin.host, *about, *details)
    return "  ".join(part for part in parts if part)
