"""``pacs delete``."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from pacs_core.app import Assembly, open_archive
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.errors import CommandError, UsageError
from pacs_core.cli.keys import UNIQUE_KEYS, Level as LevelName, patient_conditions
from pacs_core.cli.local import local_origin, require_archive, require_data_directory
from pacs_core.cli.option import Option
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import complain, count, say
from pacs_core.cli.running import run_async
from pacs_core.contracts import (
    AccessAction,
    Condition,
    DeletionReport,
    InstanceIdentity,
    InstancePath,
    Level,
    Query,
    SingleValue,
    UidList,
)
from pacs_core.dimse import is_valid_uid

Uids = Annotated[list[str] | None, Option()]


def delete(
    *,
    study: Uids = None,
    series: Uids = None,
    instance: Uids = None,
    in_study: str | None = None,
    of_patient: str | None = None,
    override: str = "",
    yes: Annotated[bool, Option()] = False,
    options: LocalOptions = LOCAL,
) -> int:
    """Delete instances from this machine's archive.

    Without --yes, only counts what would be deleted, and names what is held.

    Parameters
    ----------
    study, series, instance
        UIDs of what is to be deleted.
    in_study
        Only what is in the study with this UID, where others have the same Series or SOP Instance
        UID.
    of_patient
        Only what has this Patient ID, with ^^^ and its issuer behind it if it has one; may be
        empty.
    override
        Why what deletion guards hold is deleted all the same. The audit trail has it.
    yes
        Do it.
    """
    wanted: dict[LevelName, list[str]] = {
        "study": study or [],
        "series": series or [],
        "image": instance or [],
    }
    if not any(wanted.values()):
        raise UsageError("give UIDs with --study, --series or --instance")
    if invalid := [uid for uids in wanted.values() for uid in uids if not is_valid_uid(uid)]:
        raise UsageError(f"{invalid[0]!r} is not a UID")
    # These keep one side of a conflict, where a UID names things of two patients or studies.
    narrowing: list[Condition] = []
    if in_study is not None:
        narrowing.append(SingleValue(UNIQUE_KEYS["study"], in_study))
    if of_patient is not None:
        narrowing += patient_conditions(of_patient)
    queries = {
        level: Query(Level.IMAGE, (UidList(UNIQUE_KEYS[level], tuple(uids)), *narrowing))
        for level, uids in wanted.items()
        if uids
    }
    return run_async(_delete, assemble_local(options), queries, override, yes)


async def _delete(
    assembly: Assembly, queries: dict[LevelName, Query], override: str, yes: bool
) -> int:
    require_data_directory(assembly)
    async with open_archive(assembly) as opened:
        require_archive(opened)
        if reason := await opened.archive.gap():
            # It may leave behind what the rebuild would bring back, or take another patient's.
            raise CommandError(f"nothing is deleted by an index that is not whole: {reason}")
        origin = local_origin("delete")
        archive = opened.archive.on_behalf_of(origin, reading=AccessAction.DELETE)
        paths: set[InstancePath] = set()
        for level, query in queries.items():
            identities = [i.identity async for i in archive.instances(query)]
            _require_one_study(level, identities)
            paths.update(identity.path for identity in identities)
        if not paths:
            raise CommandError("the archive holds nothing of that")
        if not yes:
            say(f"{count(len(paths), 'instance')} would be deleted; add --yes to do it")
            for query in queries.values():
                _print_reasons(await archive.holds(query, origin))
            return 0
        report = DeletionReport.merge(
            [
                await archive.delete_all(query, origin, override=override)
                for query in queries.values()
            ]
        )
        waits = report.instances and await opened.waiting_bin.taking(origin) is not None
    _print_reasons({**report.failures, **report.held})
    what_then = ", kept in the deletion bin for a while" if waits else ""
    say(f"{count(report.instances, 'instance')} deleted{what_then}")
    report.raise_unless_deleted("instance of that any more")
    return 0


def _print_reasons(reasons: Mapping[InstancePath, str]) -> None:
    for path, why in reasons.items():
        complain(f"{path.sop_instance_uid} in study {path.study_instance_uid}: {why}")


def _require_one_study(level: LevelName, identities: Iterable[InstanceIdentity]) -> None:
    """Refuse to delete by a UID that names things in several studies."""
    studies: dict[str, set[str]] = {}
    for identity in identities:
        uids = {"series": identity.series_instance_uid, "image": identity.sop_instance_uid}
        studies.setdefault(uids.get(level, ""), set()).add(identity.study_instance_uid)
    for uid, found in studies.items():
        if uid and len(found) > 1:
            raise CommandError(
                f"{uid} is in {len(found)} studies: name one of {', '.join(sorted(found))} with "
                "--in-study"
            )
