"""``pacs lifecycle``."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from attrs import asdict

from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    JsonOption,
    complain,
    count,
    dump_json,
    print_table,
    run_async,
    say,
)
from pacs_core.api.streams import closing
from pacs_lifecycle import bin_commands, hold_commands
from pacs_lifecycle.command_tools import Flag, local_time, open_lifecycle
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.interface import Finding, Findings, Pass
from pacs_lifecycle.jobs import sweep
from pacs_lifecycle.planning import Judgement, Planner
from pacs_lifecycle.scrubbing import NAME as SCRUB

_MOST = 1000


def plan(*, kept: Flag = False, json: JsonOption = False, config: ConfigOption = None) -> None:
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
    async with open_lifecycle(config) as (node, lifecycle):
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
                local_time(each.study.arrived),
                each.rule.name,
                "yes" if each.goes else "no",
                "; ".join(each.obstacles) or ("-" if each.goes else "the rule keeps it"),
            )
            for each in shown
        ],
    )
    going = sum(each.goes for each in shown)
    say(f"{count(going, 'study', 'studies')} would be deleted, {len(shown) - going} would not")


def _described(each: Judgement) -> dict[str, object]:
    return {
        "study": each.study.uid,
        "study_date": each.study.study_date and each.study.study_date.isoformat(),
        "arrived": datetime.fromtimestamp(each.study.arrived).astimezone().isoformat(),
        "rule": each.rule.name,
        "goes": each.goes,
        "obstacles": list(each.obstacles),
    }


def run(*, yes: Flag = False, config: ConfigOption = None) -> int:
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
    async with open_lifecycle(config) as (node, lifecycle):
        _require_rules(lifecycle)
        report = await sweep(node, lifecycle)
    for reason in report.failures:
        complain(reason)
    say(str(report))
    return 1 if report.failures else 0


def faults(*, json: JsonOption = False, config: ConfigOption = None) -> int:
    """List objects that were found damaged, missing or unknown; exits with 1 if there are any.

    As reading all objects again, and comparing index and store, have found them last.
    """

    async def look() -> tuple[Sequence[Finding], Pass]:
        async with open_lifecycle(config, Findings) as (node, _):
            found = node.find(Findings)
            return await found.found(_MOST), await found.last(SCRUB)

    found, state = run_async(look)
    if json:
        for each in found:
            print(dump_json(asdict(each)))
    else:
        rows = [(e.kind, e.key, e.instance or "-", local_time(e.found), e.detail) for e in found]
        print_table(("KIND", "KEY", "SOP INSTANCE UID", "FOUND", "DETAIL"), rows)
        if state.began:
            done = f"ended {local_time(state.ended)}" if state.ended else "goes on"
            began = f"reading again began {local_time(state.began)}, {done}"
            read = f"{state.checked} instances, {state.size / 1e6:.1f} MB"
            say(f"{began}: {read}, {state.unread} not online")
    return 1 if found else 0


def _require_rules(lifecycle: LifecycleConfig) -> None:
    if not lifecycle.rules:
        raise CommandError("there are no rules: see [[plugin.lifecycle.rules]]")


BY_VERB: dict[str, Callable[..., int | None]] = {
    "plan": plan,
    "run": run,
    "bin list": bin_commands.list_bin,
    "bin restore": bin_commands.restore,
    "bin empty": bin_commands.empty,
    "hold": hold_commands.hold,
    "release": hold_commands.release,
    "holds": hold_commands.holds,
    "faults": faults,
}
