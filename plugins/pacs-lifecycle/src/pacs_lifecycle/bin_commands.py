"""``pacs lifecycle bin``."""

import time
from datetime import datetime
from typing import Annotated

from attrs import asdict
from cyclopts import Parameter

from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    JsonOption,
    complain,
    count,
    dump_json,
    local_origin,
    print_table,
    run_async,
    say,
)
from pacs_core.api.streams import closing
from pacs_core.contracts import Node
from pacs_lifecycle.command_tools import Flag, check_uids, local_time, open_lifecycle
from pacs_lifecycle.emptying import BinReport, Emptying
from pacs_lifecycle.interface import WaitingBin
from pacs_lifecycle.rules import DAY


def list_bin(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """List what was deleted and may be had back, by study, what goes first first."""

    async def look() -> None:
        async with (
            open_lifecycle(config) as (node, lifecycle),
            closing(node.find(WaitingBin).studies()) as found,
        ):
            studies = [each async for each in found]
        keep = lifecycle.bin.keep * DAY
        rows = []
        for each in studies:
            if json:
                deleted = datetime.fromtimestamp(each.deleted).astimezone().isoformat()
                print(dump_json({**asdict(each), "deleted": deleted}))
            size = f"{each.size / 1e6:.1f}"
            gone, until = local_time(each.deleted), local_time(each.deleted + keep)
            named = (each.study, each.patient or "-", str(each.instances))
            rows.append((*named, size, gone, each.deleted_by, until))
        if not json:
            head = ("STUDY", "PATIENT", "INSTANCES", "MEGABYTES", "DELETED", "BY", "KEPT UNTIL")
            print_table(head, rows)

    run_async(look)


def restore(study: str, *more: str, config: ConfigOption = None) -> int:
    """Restore studies from the bin, as they were.

    Exits with 1 if something could not be restored.

    Parameters
    ----------
    study
        Study Instance UIDs.
    """

    async def bring_back() -> list[BinReport]:
        async with open_lifecycle(config) as (node, _):
            emptying = Emptying(node, local_origin("lifecycle"))
            return [await emptying.restore(uid) for uid in check_uids(study, *more)]

    return _told(run_async(bring_back), "restored")


def empty(
    *,
    study: Annotated[list[str] | None, Parameter(negative=())] = None,
    older_than: float | None = None,
    yes: Flag = False,
    config: ConfigOption = None,
) -> int:
    """Remove for good what is in the bin.

    A node does that by itself, after the `keep` days of `[plugin.lifecycle.bin]`. Without --yes it
    only says how much that is.

    Parameters
    ----------
    study
        Only these studies.
    older_than
        Only what was deleted so many days ago.
    yes
        Do it.
    """
    before = 0.0 if older_than is None else time.time() - older_than * DAY
    uids = check_uids(*(study or ()))

    async def remove() -> list[BinReport]:
        async with open_lifecycle(config) as (node, _):
            emptying = Emptying(node, local_origin("lifecycle"))
            if not yes:
                return [await _count(node, uids, before)]
            return [await emptying.purge(study=uid, before=before) for uid in uids or [""]]

    if yes:
        return _told(run_async(remove), "removed for good")
    for report in run_async(remove):
        say(
            f"{_counts(report.studies, report.instances)}, {report.size / 1e6:.1f} MB, would be "
            "removed for good; add --yes to do it"
        )
    return 0


async def _count(node: Node, uids: list[str], before: float) -> BinReport:
    report = BinReport()
    async with closing(node.find(WaitingBin).studies()) as found:
        async for each in found:
            if (not uids or each.study in uids) and (not before or each.deleted < before):
                report.studies.add(each.study)
                report.instances += each.instances
                report.size += each.size
    return report


def _told(reports: list[BinReport], what: str) -> int:
    for report in reports:
        for failure in report.failures:
            complain(failure)
    studies = set[str]().union(*(report.studies for report in reports))
    instances = sum(report.instances for report in reports)
    has_failed = any(report.failures for report in reports)
    if not instances and not has_failed:
        raise CommandError("the bin has nothing of that")
    say(f"{_counts(studies, instances)} {what}")
    return 1 if has_failed else 0


def _counts(studies: set[str], instances: int) -> str:
    return f"{count(len(studies), 'study', 'studies')} ({count(instances, 'instance')})"
