"""The command line: ``uv run python -m tests.benchmarks [WORKLOAD ...] [options]``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from . import gate, report
from .runner import PLACES, SYNTAXES, Options, run, warm
from .senders import chosen
from .workloads import WORKLOADS


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, _words(text)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("benchmarks", description=__doc__)
    add = parser.add_argument
    add("workloads", nargs="*", help=f"of {', '.join(WORKLOADS)}; all if none is given")
    add("--contestants", type=_words, default=(), help="beginnings of names, see --list")
    add("--rounds", type=int, default=5, help="runs of each contestant, in turn")
    add("--seconds", type=float, default=2.0, help="length of a run of repeated operations")
    add("--sizes", type=_words, default=("ct", "small"), help="of C-STORE")
    add("--syntaxes", type=_words, default=SYNTAXES, help=f"of {', '.join(SYNTAXES)}")
    add("--associations", type=_numbers, default=(1, 4, 16), help="of C-STORE and C-ECHO")
    add("--places", type=_words, default=tuple(PLACES), help=f"of {', '.join(PLACES)}")
    add("--disk", type=Path, default=PLACES["disk"], help="a directory on the disk to measure")
    add("--scale", type=float, default=1.0, help="factor of all counts, for a shorter run")
    add("--warm", type=float, default=6.0, help="GB of memory to touch beforehand")
    add("--quick", action="store_true", help="two to four minutes: little of everything, once")
    add("--output", type=Path, help="where results.md, .json and .svg go")
    add("--gate", action="store_true", help="compare processor time with what is recorded, and end")
    add("--record", action="store_true", help="with --gate: record it anew")
    add("--recorded", type=Path, default=gate.RECORDED, help="the file of --gate")
    add("--count", type=int, default=5000, help="objects of a round of --gate")
    add("--list", action="store_true", help="list contestants and their settings")
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    available = [c for c in chosen(arguments.contestants) if not c.missing()]
    places = {name: PLACES[name] for name in arguments.places} | (
        {"disk": arguments.disk} if "disk" in arguments.places else {}
    )
    options = Options(
        contestants=tuple(available),
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        associations=arguments.associations,
        sizes=arguments.sizes,
        syntaxes=arguments.syntaxes,
        places=places,
        scale=arguments.scale,
    )
    return _quick(options) if arguments.quick else options


def _quick(options: Options) -> Options:
    """Return options for a run that shows whether all works, and roughly where it stands."""
    return evolve(
        options,
        quick=True,
        rounds=min(options.rounds, 1),
        seconds=min(options.seconds, 0.3),
        associations=options.associations[1:2] or options.associations,
        places=dict(list(options.places.items())[-1:]),
        scale=min(options.scale, 0.02),
    )


def _list() -> None:
    for contestant in chosen(()):
        missing = contestant.missing()
        print(f"{contestant.name}: {contestant.settings}" + (f" [{missing}]" if missing else ""))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit code is 1 if a contestant failed."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.list:
        _list()
        return 0
    if unknown := set(parsed.workloads) - set(WORKLOADS):
        parser.error(f"no workload is called {', '.join(sorted(unknown))}")
    if parsed.gate:
        return gate.run(parsed.rounds, parsed.count, parsed.recorded, record=parsed.record)
    options = _options(parsed)
    warm(0 if options.quick else parsed.warm)
    names = parsed.workloads or list(WORKLOADS)
    cases = [case for name in names for case in WORKLOADS[name](options)]
    results = run(cases, options)
    print(report.text(results))
    if parsed.output:
        report.write(results, options, parsed.output)
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
