"""What is aimed at, measured in one go: ``uv run python -m tests.benchmarks.targets --minutes 25``.

Everything is measured in turn, round by round, and no round is begun that would not be done in
time. The table says of each cell whether it is met, and if not what bounds it, by what was
measured in the same runs: processor time of an object, and how busy the machine was.
``--write FILE`` puts the table between two marks in a page.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points, requires
from itertools import product
from pathlib import Path
from typing import Final

from attrs import astuple, define, evolve, field, frozen
from packaging.requirements import Requirement

from . import data
from .client import PeerError
from .contestant import Contestant, running
from .contestants import CONTESTANTS
from .gate import ticks_of_group
from .leavings import discard
from .load import drive, storing
from .runner import PLACES, Options, warm
from .targets_table import Cell, Figures, Outcome, page, put_between_marks
from .workloads import retrieve

# Theory of operation
#
# A `Task` is one contestant at one load in one place; a round does all tasks, and each gives an
# `Outcome`. Cells compare two tasks: the table is made of cells, and does not measure.
#
# "Alone" is the archive with the plugins of the extra `archive`, which is what is installed by the
# first page of the documentation; Orthanc is measured without plugins too.

_GROUP: Final = "pacs_core.plugins"
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_IDLE_SECONDS: Final = 3.0
_SETTLES: Final = 4.0
"""Seconds after which a node that has started, or stored something, has nothing left to do."""
_FIRST: Final = 100
"""Objects after which a node has made its journal, if it is to have one."""
_IMAGES: Final = 300
_TITLES: Final = {"small": "15 KB", "ct": "527 KB"}

Perform = Callable[["Plan", Contestant, Path], Outcome]


@frozen
class Task:
    """What is measured once in each round."""

    case: str
    place: str
    contestant: Contestant
    perform: Perform

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from the others."""
        return self.case, self.place, self.contestant.name


@define
class Plan:
    """All tasks, and how long each run lasts."""

    seconds: float
    tasks: list[Task] = field(factory=list)
    cells: list[Cell] = field(factory=list)


def alone(contestant: Contestant, besides: Collection[str] = ()) -> Contestant:
    """Return a contestant of ours with the plugins of the extra `archive` alone.

    `besides` are names of plugins that it has as well.
    """
    wanted = {
        requirement.name
        for text in requires("pacs-core") or ()
        if (requirement := Requirement(text)).marker
        and requirement.marker.evaluate({"extra": "archive"})
    } | {"pacs-speedups"}
    found = entry_points(group=_GROUP)
    others = {each.name for each in found if each.dist and each.dist.name not in wanted}
    disabled = json.dumps(sorted(others.difference(besides)))

    def command(directory: Path, port: int, move_port: int) -> Sequence[str]:
        program = contestant.command(directory, port, move_port)
        with (directory / "pacs.toml").open("a") as config:
            config.write(f"[plugins]\ndisabled = {disabled}\n")
        return program

    return evolve(contestant, command=command)


def _contestants() -> Mapping[str, Contestant]:
    """Return ours, alone, with and without speedups; with all plugins; and those beside it."""
    known = {contestant.name: contestant for contestant in CONTESTANTS}
    made = {name: alone(known[name]) for name in ("ours-commit", "ours-no-journal", "ours-none")}
    plain = {"PACS_NO_SPEEDUPS": "1"}
    for name in ("ours-commit", "ours-none"):
        made[f"{name}-plain"] = evolve(made[name], name=f"{name}-plain", environment=plain)
    made["ours-all"] = evolve(known["ours-commit"], name="ours-all")
    beside = ("orthanc-sync", "dcmtk-storescp")
    return {**made, **{name: known[name] for name in beside}}


def make_plan(seconds: float, places: Sequence[str]) -> Plan:
    """Return all that is measured and compared."""
    found, plan = _contestants(), Plan(seconds)

    def add(case: str, place: str, name: str, perform: Perform) -> None:
        if not found[name].missing():
            plan.tasks.append(Task(case, place, found[name], perform))

    for place, size, associations in product(places, _TITLES, (1, 4, 16)):
        case = f"{_TITLES[size]} × {associations}"
        store = partial(_store, size, associations)
        durable = ["ours-commit", "ours-commit-plain", "orthanc-sync"]
        if place == "disk" and size == "small":  # what is larger never goes through the journal
            durable.insert(2, "ours-no-journal")
        for name in (*durable, "ours-none", "ours-none-plain", "dcmtk-storescp"):
            add(case, place, name, store)
        against_orthanc, against_dcmtk = (5.0, 0.3) if size == "small" else (3.0, 0.5)
        plan.cells += [
            Cell(case, place, name, "orthanc-sync", against_orthanc) for name in durable[:-1]
        ]
        plan.cells += [
            Cell(case, place, name, "dcmtk-storescp", against_dcmtk)
            for name in ("ours-none", "ours-none-plain")
        ]
    place = places[-1]
    for case, kind in ((f"C-GET of {_IMAGES}", 0), (f"C-MOVE of {_IMAGES}", 1)):
        for name in ("ours-commit", "orthanc-sync"):
            add(case, place, name, partial(_retrieve, kind))
        plan.cells.append(Cell(case, place, "ours-commit", "orthanc-sync", 2.0))
    for name in ("ours-commit", "ours-all"):
        add("15 KB × 4, all plugins", place, name, partial(_store, "small", 4))
        add("idle", place, name, _idle)
        add("start-up", place, name, _start)
    plan.cells += [
        Cell("15 KB × 4, all plugins", place, "ours-all", "ours-commit", 1.15, Figures.PROCESSOR),
        Cell("idle", place, "ours-all", "", 4.0, Figures.IDLE),
        Cell("idle", place, "ours-commit", "", 4.0, Figures.IDLE),
        Cell("start-up", place, "ours-all", "", 1.0, Figures.SECONDS),
        Cell("start-up", place, "ours-commit", "", 1.0, Figures.SECONDS),
    ]
    return plan


def _store(
    size: str, associations: int, plan: Plan, contestant: Contestant, directory: Path
) -> Outcome:
    with running(contestant, directory) as node:
        prepare = partial(storing, node.port, node.called, data.SHAPES[size])
        # What is done once, such as the first import, or to make a journal, is no part of it.
        drive(partial(prepare, first=50_000_000), 1, count=_FIRST)
        before, idle = ticks_of_group(node.process.pid), _idle_seconds()
        load = drive(prepare, associations, seconds=plan.seconds)
        ticks = ticks_of_group(node.process.pid) - before
        cores = (os.cpu_count() or 1) * load.seconds
        busy = max(0.0, 1 - (_idle_seconds() - idle) / cores)
        seconds = ticks / _TICKS
        return Outcome(load.rate, 1e6 * seconds / load.operations, seconds / load.seconds, busy)


def _idle_seconds() -> float:
    """Return for how long cores of this machine were idle, or waited for disks."""
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / _TICKS


def _retrieve(kind: int, plan: Plan, contestant: Contestant, directory: Path) -> Outcome:
    options = Options((), scale=_IMAGES / 1000)
    case = list(retrieve.cases(options))[kind]
    with case.session(contestant, directory) as measure:
        measure()
        return Outcome(max(measure()[0] for _ in range(2)))


def _idle(plan: Plan, contestant: Contestant, directory: Path) -> Outcome:
    with running(contestant, directory) as node:
        time.sleep(_SETTLES)
        before = _nanoseconds(node.process.pid)
        time.sleep(_IDLE_SECONDS)
        return Outcome((_nanoseconds(node.process.pid) - before) / 1e6 / _IDLE_SECONDS)


def _nanoseconds(process_id: int) -> int:
    """Return the processor time of a process, by the scheduler: ticks are too coarse."""
    tasks = Path(f"/proc/{process_id}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def _start(plan: Plan, contestant: Contestant, directory: Path) -> Outcome:
    with running(contestant, directory) as node:
        return Outcome(node.ready_after)


Outcomes = dict[tuple[str, str, str], list[Outcome]]


def measure(plan: Plan, rounds: int, minutes: float) -> tuple[Outcomes, dict[str, str]]:
    """Do as many rounds as there is time for, one at least; return outcomes and failures."""
    outcomes: Outcomes = {}
    failures: dict[str, str] = {}
    began, longest = time.monotonic(), 0.0
    for number in range(rounds):
        started = time.monotonic()
        if number and started - began + longest > 60 * minutes:
            print(f"no time for round {number + 1} of {rounds}", file=sys.stderr)
            break
        for task in plan.tasks:
            title = " ".join(task.key)
            if title in failures:
                continue
            print(f"round {number + 1}: {title}", file=sys.stderr, flush=True)
            top = Path(tempfile.mkdtemp(prefix="pacs-bench-", dir=PLACES[task.place]))
            try:
                outcome = task.perform(plan, task.contestant, top / "run")
            except (PeerError, OSError) as error:
                failures[title] = str(error)
            else:
                outcomes.setdefault(task.key, []).append(outcome)
            finally:
                discard(top)
        longest = max(longest, time.monotonic() - started)
    return outcomes, failures


def main() -> int:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=5)
    add("--minutes", type=float, default=25.0, help="no round is begun that would end later")
    add("--seconds", type=float, default=0.6, help="length of a run")
    add("--places", default="tmpfs,disk")
    add("--only", default="", help="tasks whose names have this in them")
    add("--plan", action="store_true", help="say what would be measured, and end")
    add("--warm", type=float, default=2.0, help="GB of memory to touch beforehand")
    add("--write", type=Path, help="a page with the marks between which the table goes")
    add("--output", type=Path, help="where all figures go, as JSON")
    options = parser.parse_args()
    plan = make_plan(options.seconds, options.places.split(","))
    plan.tasks = [task for task in plan.tasks if options.only in " ".join(task.key)]
    if options.plan:
        print("\n".join(" ".join(task.key) for task in plan.tasks))
        return 0
    warm(options.warm)
    outcomes, failures = measure(plan, options.rounds, options.minutes)
    table = page(plan.cells, outcomes, failures)
    print(table)
    if options.output:
        plain = {" ".join(key): list(map(astuple, found)) for key, found in outcomes.items()}
        options.output.write_text(json.dumps(plain, indent=1), encoding="utf-8")
    if options.write:
        put_between_marks(options.write, table)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
