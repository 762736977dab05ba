"""Workers and cores: ``uv run python -m tests.benchmarks.scaling --minutes 8``.

Each worker of a node gets the same share of a core (:mod:`.shares`), so that eight can be measured
on a machine of two; senders, the database's server and the system have the rest. What several take
is compared with what one takes with the same share, round by round. As many nodes of one worker
each, which share nothing but the machine, are the control: what they lack to N, the method and the
machine lack. The law of :mod:`.scaling_model` is fitted to what remains. ``--write FILE`` puts the
table, and that of :mod:`.index_rates`, between two marks in a page.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

from attrs import asdict, evolve

from . import data, index_rates
from .client import PeerError
from .contestant import Running, running
from .load import Operation, drive, storing
from .runner import PLACES
from .scaling_cases import ROWS_ARE, Case, Plan, cases_named, with_workers
from .scaling_model import MODELLED, Sample, row
from .shares import PERIOD, NoSharesError, Shares, shares
from .targets_table import put_between_marks

MARKS: Final = ("<!-- scaling: begin -->", "<!-- scaling: end -->")
_FIRST: Final = 150
"""Operations of each worker, after which it has its journal, if it is to have one."""
_IDLE: Final = 0.05
"""Cores of a worker that has nothing left to do."""


# --- processes


def _workers(node: Running, count: int) -> list[int]:
    """Return the numbers of a node's processes that serve."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            program = (path / "cmdline").read_bytes()
            fields = (path / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        # A server that the node has beside it is started by a program of this package.
        is_node = b"\0pacs_core.cli.main\0serve" in program and b"\0tests." not in program
        if is_node and str(node.directory).encode() in program:
            parents[int(path.name)] = int(fields[1])
    serving = [each for each, parent in parents.items() if count == 1 or parent in parents]
    if len(serving) != count:
        raise PeerError(f"{count} workers were asked for, {len(serving)} are there")
    return serving


def _processor_time(process_ids: Sequence[int]) -> int:
    """Return nanoseconds that processes have had, by the scheduler: ticks are too coarse."""
    tasks = (task for each in process_ids for task in Path(f"/proc/{each}/task").iterdir())
    total = 0
    for task in tasks:
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:  # a thread that has just ended
            continue
    return total


def _settle(process_ids: Sequence[int]) -> None:
    """Wait until processes have nothing left to do, for some seconds at most."""
    for _ in range(20):
        before = _processor_time(process_ids)
        time.sleep(0.25)
        if _processor_time(process_ids) - before < 0.25e9 * _IDLE * len(process_ids):
            return


def _between(samples: Sequence[tuple[float, int]], began: float, ended: float) -> float:
    """Return nanoseconds between two moments, from what was had at others around them."""

    def at(moment: float) -> float:
        pairs = list(pairwise(samples))
        (t0, n0), (t1, n1) = next((p for p in pairs if p[1][0] >= moment), pairs[-1])
        return n0 + (n1 - n0) * (moment - t0) / (t1 - t0)

    return at(ended) - at(began)


# --- measuring


@contextmanager
def _nodes(case: Case, count: int, directory: Path) -> Iterator[tuple[list[Running], list[int]]]:
    """Start what is measured, and give its nodes, and the numbers of all processes that serve."""
    with ExitStack() as stack:
        if case.apart:
            each = [directory / str(number) for number in range(count)]
            nodes = [stack.enter_context(running(case.contestant, place)) for place in each]
            yield nodes, [node.process.pid for node in nodes]
        else:
            node = stack.enter_context(running(with_workers(case.contestant, count), directory))
            yield [node], _workers(node, count)


def _measure(case: Case, count: int, plan: Plan, groups: Shares, directory: Path) -> Sample:
    senders = plan.senders(count)
    with _nodes(case, count, directory) as (nodes, workers):

        def store(sender: int, first: int = 0) -> AbstractContextManager[Operation]:
            node = nodes[sender % len(nodes)]
            return storing(node.port, node.called, data.SHAPES[case.size], sender, first=first)

        # What is done once is no part of it, and goes on after the node has said that it is ready.
        drive(partial(store, first=50_000_000), senders, count=count * _FIRST // senders + 1)
        _settle(workers)
        for each in workers:
            groups.give(each, plan.share, plan.period)
        samples: list[tuple[float, int]] = []

        def sample() -> None:
            samples.append((time.monotonic(), _processor_time(workers)))

        load = drive(store, senders, seconds=plan.seconds, sample=sample)
        sample()
        taken = _between(samples, load.began, load.began + load.seconds)
        given = 1e9 * plan.share * count * load.seconds
        return Sample(load.rate, taken / 1e3 / load.operations, taken / given)


Found = dict[str, dict[int, list[Sample]]]


def measure(
    cases: Sequence[Case], plan: Plan, groups: Shares, rounds: int, minutes: float
) -> tuple[Found, dict[str, str]]:
    """Do as many rounds as there is time for, one at least; return samples and failures."""
    found: Found = {}
    failures: dict[str, str] = {}
    began, longest = time.monotonic(), 0.0
    for number in range(rounds):
        started = time.monotonic()
        if number and started - began + longest > 60 * minutes:
            print(f"no time for round {number + 1} of {rounds}", file=sys.stderr)
            break
        for case in cases:
            with _directory(case.place) as directory:
                for count in plan.counts:
                    if case.name in failures:
                        continue
                    try:
                        one = _measure(case, count, plan, groups, directory / str(count))
                    except (PeerError, OSError) as error:
                        failures[case.name] = str(error)
                    else:
                        found.setdefault(case.name, {}).setdefault(count, []).append(one)
                        print(f"round {number + 1}: {case.name} × {count}: {one}", file=sys.stderr)
        longest = max(longest, time.monotonic() - started)
    return {name: each for name, each in found.items() if name not in failures}, failures


@contextmanager
def _directory(place: str) -> Iterator[Path]:
    top = Path(tempfile.mkdtemp(prefix="pacs-bench-", dir=PLACES[place]))
    try:
        yield top
    finally:
        shutil.rmtree(top, ignore_errors=True)


# --- the command


def _page(
    cases: Sequence[Case],
    found: Found,
    failures: Mapping[str, str],
    plan: Plan,
    rates: index_rates.Rates,
) -> Iterator[str]:
    rounds = max((len(each[1]) for each in found.values()), default=0)
    yield (
        f"{os.cpu_count()} cores; {plan.load}; each worker has {plan.share:g} cores, "
        f"anew every {plan.period / 1000:g} ms; {rounds} rounds in turn."
    )
    more = [count for count in plan.counts if count > 1]
    controls = {case.size: found[case.name] for case in cases if case.apart and case.name in found}
    titles = [
        "",
        "one: objects a second, µs",
        *(f"{count}: times one, part of control, µs, used" for count in more),
        "a, b",
        "cores of use to the index",
        *(f"{count} cores, modelled" for count in MODELLED),
    ]
    yield f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}"
    for case in cases:
        if samples := found.get(case.name):
            control = None if case.apart else controls.get(case.size)
            durability = ROWS_ARE.get(case.contestant.name)
            bound = durability and partial(index_rates.most_cores, rates, durability)
            cells = row(case.name, samples, control, plan.counts, bound)
            yield f"| {' | '.join(cells)} |"
    for name, why in failures.items():
        yield f"\nNot measured: {name}: {why}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print or write the table; 2 if processes cannot be given shares here."""
    parser = argparse.ArgumentParser("scaling", description=__doc__)
    add: Callable[..., object] = parser.add_argument
    add("--workers", default="1,2,4,8", help="how many, of which one is the measure")
    add("--share", type=float, default=0.15, help="cores of each worker")
    add("--period", type=int, default=PERIOD, help="microseconds, after which it gets them again")
    add("--associations", type=int, default=4, help="of each worker")
    add("--in-all", type=int, default=0, help="associations, however many workers there are")
    add("--seconds", type=float, default=3.0, help="length of a run")
    add("--rounds", type=int, default=3)
    add("--minutes", type=float, default=25.0, help="no round is begun that would end later")
    add("--only", default="", help="cases whose names have this in them")
    add("--quick", action="store_true", help="a moment of each: the figures mean nothing")
    add("--write", type=Path, help="a page with the marks between which the table goes")
    add("--output", type=Path, help="where all figures go, as JSON")
    options = parser.parse_args(arguments)
    counts = sorted({1, *map(int, options.workers.split(","))})
    plan = Plan(
        options.share,
        options.period,
        options.associations,
        options.in_all,
        options.seconds,
        counts,
    )
    if options.quick:
        plan = evolve(plan, seconds=0.3, counts=counts[:2])
    cases = list(cases_named(options.only))
    try:
        with shares() as groups:
            found, failures = measure(cases, plan, groups, options.rounds, options.minutes)
            with _directory("tmpfs") as directory:
                extent = (1, 20) if options.quick else (3,)
                rates = index_rates.measure(directory, *extent)
    except NoSharesError as error:
        print(f"scaling cannot be measured here: {error}", file=sys.stderr)
        return 2
    lines = [*_page(cases, found, failures, plan, rates), "", *index_rates.table(rates)]
    table = "\n".join(lines) + "\n"
    print(table)
    if options.output:
        plain = {
            name: {count: [asdict(each) for each in of] for count, of in samples.items()}
            for name, samples in found.items()
        }
        options.output.write_text(json.dumps(plain, indent=1), encoding="utf-8")
    if options.write:
        put_between_marks(options.write, table, *MARKS)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
