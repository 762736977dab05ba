"""``pacs index conflicts``."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from attrs import define, field

from pacs_core.app import Assembly, OpenArchive, open_archive
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.errors import FAILURE, CommandError, UsageError
from pacs_core.cli.keys import UNIQUE_KEYS, patient_conditions
from pacs_core.cli.local import require_archive, require_data_directory
from pacs_core.cli.option import Option
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import count, print_table, say
from pacs_core.cli.running import run_async
from pacs_core.concurrency import closing
from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    Condition,
    Conflict,
    ConflictKind,
    Index,
    Level,
    Origin,
    Outcome,
    Query,
    SingleValue,
)
from pacs_core.dataset import tag_of, texts

ORIGIN = Origin("index conflicts")

_NAMED = 5
"""Values of a conflict that are shown in a list."""

_SIDES = {
    ConflictKind.PATIENT: (Level.STUDY, UNIQUE_KEYS["patient"]),
    ConflictKind.STUDY: (Level.STUDY, UNIQUE_KEYS["study"]),
    ConflictKind.STUDY_ATTRIBUTE: (Level.STUDY, UNIQUE_KEYS["study"]),
    ConflictKind.SERIES: (Level.SERIES, UNIQUE_KEYS["series"]),
    ConflictKind.SERIES_ATTRIBUTE: (Level.SERIES, UNIQUE_KEYS["series"]),
    ConflictKind.INSTANCE: (Level.IMAGE, UNIQUE_KEYS["image"]),
}
"""The level of what contradicts, and the key by which it is found."""

_COLUMNS = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyInstanceUID",
)
_NUMBERS = {
    Level.STUDY: "NumberOfStudyRelatedInstances",
    Level.SERIES: "NumberOfSeriesRelatedInstances",
}
_REMEDIES = {
    ConflictKind.STUDY: "pacs delete --study {uid} --of-patient PATIENT_ID",
    ConflictKind.SERIES: "pacs delete --series {uid} --in-study STUDY",
    ConflictKind.INSTANCE: "pacs delete --instance {uid} --in-study STUDY",
}


@define
class Accepted:
    """Conflicts that somebody has looked at and lets be, in a file of the data directory.

    They are kept beside the index, so that they outlive it. One that gets another value is a new
    one.
    """

    path: Path
    keys: set[str] = field(factory=set)

    @classmethod
    def read(cls, opened: OpenArchive) -> "Accepted":
        """Read what has been accepted.

        Raises
        ------
        CommandError
            The file is not what this command has written.
        """
        path = opened.node.settings.data_directory / "accepted-conflicts.json"
        try:
            return cls(path, set(json.loads(path.read_text())) if path.exists() else set())
        except (ValueError, TypeError) as error:
            raise CommandError(f"{path} is damaged ({error}): move it away") from error

    def add(self, conflicts: Iterable[Conflict | str]) -> None:
        """Accept more; also what another archive has accepted."""
        self.keys.update(map(str, conflicts))
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(sorted(self.keys), indent=1))
        draft.replace(self.path)

    def __contains__(self, conflict: Conflict) -> bool:
        """Tell whether a conflict has been accepted."""
        return str(conflict) in self.keys


def conflicts(
    uid: str = "",
    /,
    *,
    accept: Annotated[bool, Option()] = False,
    accepted: Annotated[bool, Option()] = False,
    options: LocalOptions = LOCAL,
) -> int:
    """Show what the instances of the archive contradict, and settle it.

    All of it is kept and served, each thing in its own place. Without UID, lists the conflicts; the
    exit code is 1 if there are any.

    Parameters
    ----------
    uid
        A UID or Patient ID: shows the sides of its conflicts, and what can be done.
    accept
        Let the conflicts of UID be: they are no longer listed, unless they change.
    accepted
        List also what was accepted.
    """
    if accept and not uid:
        raise UsageError("--accept needs the UID or Patient ID of what is to be accepted")
    return run_async(_conflicts, assemble_local(options), uid, accept, accepted)


async def _conflicts(assembly: Assembly, uid: str, accept: bool, accepted: bool) -> int:
    require_data_directory(assembly)
    async with open_archive(assembly) as opened:
        _, index = require_archive(opened)
        if not uid:
            found = await list_conflicts(opened, accepted=accepted)
            say(count(found, "conflict"))
            return FAILURE if found else 0
        wanted = [conflict async for conflict in index.conflicts() if conflict.uid == uid]
        if not wanted:
            raise CommandError(f"nothing contradicts about {uid}")
        if accept:
            await _accept(opened, wanted)
            return 0
        for conflict in wanted:
            await _show(index, conflict)
    return 0


async def list_conflicts(opened: OpenArchive, *, accepted: bool = False) -> int:
    """Name the conflicts, and return how many there are that nobody has accepted."""
    _, index = require_archive(opened)
    known, found = Accepted.read(opened), 0
    async with closing(index.conflicts()) as all_conflicts:
        async for conflict in all_conflicts:
            is_known = conflict in known
            found += not is_known
            if accepted or not is_known:
                say(f"{_shorten(conflict)}{'  (accepted)' if is_known else ''}")
    return found


def _shorten(conflict: Conflict) -> str:
    more = len(conflict.values) - _NAMED
    if more <= 0:
        return str(conflict)
    short = Conflict(
        conflict.kind,
        conflict.uid,
        conflict.values[:_NAMED],
        conflict.attribute,
        conflict.study_instance_uid,
    )
    return f"{short}, and {more} more"


async def _accept(opened: OpenArchive, wanted: list[Conflict]) -> None:
    for conflict in wanted:
        details = {
            "conflict": conflict.kind.value,
            "uid": conflict.uid,
            "attribute": conflict.attribute,
            "values": conflict.values,
            "accepted": True,
        }
        event = AuditEvent(AuditKind.CONFLICT, Outcome.SUCCESS, ORIGIN, details)
        await opened.node.audit.record(event)
    Accepted.read(opened).add(wanted)
    say(f"{count(len(wanted), 'conflict')} accepted")


async def _show(index: Index, conflict: Conflict) -> None:
    say(_shorten(conflict))
    level, key = _SIDES[conflict.kind]
    columns = [*_COLUMNS, _NUMBERS.get(level, "InstanceNumber")]
    if conflict.attribute and conflict.attribute not in columns:
        columns.insert(0, conflict.attribute)
    tags = [tag_of(column) for column in columns]
    if conflict.kind is ConflictKind.PATIENT:
        conditions: tuple[Condition, ...] = patient_conditions(conflict.uid)
    else:
        conditions = (SingleValue(key, conflict.uid),)
    query = Query(level, conditions, frozenset(tags))
    rows = [["\\".join(texts(result, tag)) for tag in tags] async for result in index.search(query)]
    print_table(columns, rows)
    if remedy := _REMEDIES.get(conflict.kind):
        say(f"to delete one side: {remedy.format(uid=conflict.uid)} --yes")
    say(f"to keep all: pacs index conflicts {conflict.uid} --accept")
