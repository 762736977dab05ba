"""``pacs lifecycle``."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

from attrs import asdict
from cyclopts import Parameter

from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    JsonOption,
    UsageError,
    assemble_for_command,
    complain,
    dump_json,
    local_origin,
    open_archive,
    print_table,
    run_async,
    say,
)
from pacs_core.api.streams import closing
from pacs_core.contracts import AuditEvent, EventAction, Node, Outcome, PluginAuditKind
from pacs_core.dimse import is_valid_uid
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.confirming import interfaces_for
from pacs_lifecycle.emptying import BinReport, Emptying
from pacs_lifecycle.interface import Finding, Findings, Hold, Pass, Studies, WaitingBin
from pacs_lifecycle.jobs import sweep
from pacs_lifecycle.planning import IncompleteIndexError, Judgement, Planner
from pacs_lifecycle.rules import DAY
from pacs_lifecycle.scrubbing import NAME as SCRUB

Yes = Annotated[bool, Parameter(negative=())]
_MOST = 1000
HELD = PluginAuditKind("lifecycle.held")
RELEASED = PluginAuditKind("lifecycle.released")


def plan(*, kept: Yes = False, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show what the rules would delete now, and what they would not, and why. Nothing is deleted.

    Peers that rules need are asked.

    Parameters
    ----------
    kept
        Also studies that a rule with `action = "keep"` keeps.
    """
    run_async(_plan, config, kept, json)


async def _plan(config: Path | None, everything: bool, as_json: bool) -> None:
    shown: list[Judgement] = []
    async with _opened(config) as (node, lifecycle):
        _require_rules(lifecycle)
        async with closing(Planner(node, lifecycle).judge()) as judgements:
            shown = [each async for each in judgements if everything or each.rule.deletes]
    if as_json:
        for each in shown:
            print(dump_json(_described(each)))
        return
    print_table(
        ("STUDY", "STUDY DATE", "ARRIVED", "RULE", "GOES", "WHY NOT"),
        [
            (
                each.study.uid,
                str(each.study.study_date or "-"),
                _day(each.study.arrived),
                each.rule.name,
                "yes" if each.goes else "no",
                "; ".join(each.obstacles) or ("-" if each.goes else "the rule keeps it"),
            )
            for each in shown
        ],
    )
    going = sum(each.goes for each in shown)
    say(f"{going} studies would be deleted, {len(shown) - going} would not")


def _described(each: Judgement) -> dict[str, object]:
    return {
        "study": each.study.uid,
        "study_date": each.study.study_date and each.study.study_date.isoformat(),
        "arrived": datetime.fromtimestamp(each.study.arrived).astimezone().isoformat(),
        "rule": each.rule.name,
        "goes": each.goes,
        "obstacles": list(each.obstacles),
    }


def run(*, yes: Yes = False, config: ConfigOption = None) -> int:
    """Delete now what the rules say.

    Without --yes it is `pacs lifecycle plan`. Exits with 1 if something could not be deleted.

    Parameters
    ----------
    yes
        Do it.
    """
    if not yes:
        run_async(_plan, config, False, False)
        say("nothing was deleted: say --yes to do it")
        return 0
    return run_async(_run, config)


async def _run(config: Path | None) -> int:
    async with _opened(config) as (node, lifecycle):
        _require_rules(lifecycle)
        report = await sweep(node, lifecycle)
    for reason in report.failures:
        complain(reason)
    say(str(report))
    return 1 if report.failures else 0


def list_bin(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """List what was deleted and may be had back, by study, what goes first first."""

    async def look() -> None:
        async with (
            _opened(config) as (node, lifecycle),
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
            gone, until = _day(each.deleted), _day(each.deleted + keep)
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
        async with _opened(config) as (node, _):
            emptying = Emptying(node, local_origin("lifecycle"))
            return [await emptying.restore(uid) for uid in _checked(study, *more)]

    return _told(run_async(bring_back), "restored")


def empty(
    *,
    study: Annotated[list[str] | None, Parameter(negative=())] = None,
    older_than: float | None = None,
    yes: Yes = False,
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
    uids = _checked(*(study or ()))

    async def remove() -> list[BinReport]:
        async with _opened(config) as (node, _):
            emptying = Emptying(node, local_origin("lifecycle"))
            if not yes:
                return [await _count(node, uids, before)]
            return [await emptying.purge(study=uid, before=before) for uid in uids or [""]]

    if yes:
        return _told(run_async(remove), "removed for good")
    for report in run_async(remove):
        say(
            f"{len(report.studies)} studies ({report.instances} instances, "
            f"{report.size / 1e6:.1f} MB) would be removed for good; add --yes to do it"
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
    studies, instances = set[str]().union(*(r.studies for r in reports)), 0
    instances = sum(report.instances for report in reports)
    if not instances and not any(report.failures for report in reports):
        raise CommandError("the bin has nothing of that")
    say(f"{len(studies)} studies ({instances} instances) {what}")
    return 1 if any(report.failures for report in reports) else 0


def hold(
    study: str, *more: str, reason: Annotated[str, Parameter()], config: ConfigOption = None
) -> None:
    """Hold studies: nobody deletes them, by whatever door, until they are released.

    Parameters
    ----------
    study
        Study Instance UIDs, of the archive or to come.
    reason
        Why; whoever wants to delete them is told.
    """
    if not reason.strip():
        raise UsageError("--reason: say why")
    origin = local_origin("lifecycle")

    async def note() -> None:
        async with _opened(config) as (node, _):
            for uid in _checked(study, *more):
                await _record(node, HELD, uid, reason)
                await node.find(Studies).hold(Hold(uid, reason, origin.user, time.time()))

    run_async(note)


def release(study: str, *more: str, config: ConfigOption = None) -> int:
    """Hold studies no more. Exits with 1 if one was not held.

    Parameters
    ----------
    study
        Study Instance UIDs.
    """

    async def note() -> int:
        unknown = 0
        async with _opened(config) as (node, _):
            for uid in _checked(study, *more):
                await _record(node, RELEASED, uid, "")
                if not await node.find(Studies).release(uid):
                    unknown += 1
                    complain(f"{uid} was not held")
        return 1 if unknown else 0

    return run_async(note)


def holds(*, config: ConfigOption = None) -> None:
    """List the studies that are held."""

    async def look() -> None:
        async with _opened(config) as (node, _):
            found = await node.find(Studies).holds()
        rows = [(each.study, _day(each.since), each.held_by, each.reason) for each in found]
        print_table(("STUDY", "SINCE", "BY", "REASON"), rows)

    run_async(look)


def faults(*, json: JsonOption = False, config: ConfigOption = None) -> int:
    """List objects that were found damaged, missing or unknown; exits with 1 if there are any.

    As reading all objects again, and comparing index and store, have found them last.
    """

    async def look() -> tuple[Sequence[Finding], Pass]:
        async with _opened(config, Findings) as (node, _):
            found = node.find(Findings)
            return await found.found(_MOST), await found.last(SCRUB)

    found, state = run_async(look)
    if json:
        for each in found:
            print(dump_json(asdict(each)))
    else:
        rows = [(e.kind, e.key, e.instance or "-", _day(e.found), e.detail) for e in found]
        print_table(("KIND", "KEY", "SOP INSTANCE UID", "FOUND", "DETAIL"), rows)
        if state.began:
            done = f"ended {_day(state.ended)}" if state.ended else "goes on"
            say(
                f"reading again began {_day(state.began)}, {done}: {state.checked} instances, "
                f"{state.size / 1e6:.1f} MB, {state.unread} not online"
            )
    return 1 if found else 0


async def _record(node: Node, kind: PluginAuditKind, study: str, reason: str) -> None:
    details = {"study_instance_uid": study, "reason": reason}
    origin = local_origin("lifecycle")
    event = AuditEvent(kind, Outcome.SUCCESS, origin, details, action=EventAction.UPDATE)
    await node.audit.record(event)


def _require_rules(lifecycle: LifecycleConfig) -> None:
    if not lifecycle.rules:
        raise CommandError("there are no rules: see [[plugin.lifecycle.rules]]")


def _checked(*uids: str) -> list[str]:
    for uid in uids:
        if not is_valid_uid(uid):
            raise UsageError(f"{uid!r} is not a UID")
    return list(uids)


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M")


@asynccontextmanager
async def _opened(config: Path | None, *more: type) -> AsyncIterator[tuple[Node, LifecycleConfig]]:
    assembly = assemble_for_command(config)
    lifecycle = assembly.plugin_configs["lifecycle"]
    assert isinstance(lifecycle, LifecycleConfig)  # noqa: S101  it is the plugin's own
    needed = interfaces_for(need for rule in lifecycle.rules for need in rule.needs)
    async with open_archive(assembly, requires=(Studies, WaitingBin, *needed, *more)) as opened:
        try:
            yield opened.node, lifecycle
        except IncompleteIndexError as error:
            raise CommandError(str(error)) from error


BY_VERB: dict[str, Callable[..., int | None]] = {
    "plan": plan,
    "run": run,
    "bin list": list_bin,
    "bin restore": restore,
    "bin empty": empty,
    "hold": hold,
    "release": release,
    "holds": holds,
    "faults": faults,
}
