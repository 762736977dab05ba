"""The table of what is aimed at: cells of two contestants, and what each cell says."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from statistics import median
from typing import Final

from attrs import frozen

BEGIN: Final = "<!-- targets: begin -->"
END: Final = "<!-- targets: end -->"
_WHOLE_CORE: Final = 0.85
"""Of a core, from which on a process whose event loop has one thread waits for nothing else."""

_ALL_CORES: Final = 0.9

Key = tuple[str, str, str]


@frozen
class Outcome:
    """What a run gave.

    Attributes
    ----------
    value : float
        Objects a second; for the others milliseconds of processor time a second, or seconds.
    processor : float
        Microseconds of processor time for an object; 0 if that was not measured.
    share : float
        Cores that it had while it was measured.
    busy : float
        Share of all cores of the machine that were not idle meanwhile.
    """

    value: float
    processor: float = 0.0
    share: float = 0.0
    busy: float = 0.0


class Figures(Enum):
    """What is compared, and how it reads."""

    RATE = "times as fast"
    PROCESSOR = "times the processor time of an object"
    IDLE = "ms of processor time a second"
    SECONDS = "s"


@frozen
class Cell:
    """Something that is aimed at.

    Attributes
    ----------
    case, place : str
    ours, theirs : str
        Contestants; without `theirs` a figure of ours is held against the target itself.
    target : float
        At least, for rates; at most, for what is better if there is less of it.
    figures : Figures
    """

    case: str
    place: str
    ours: str
    theirs: str
    target: float
    figures: Figures = Figures.RATE


def page(
    cells: Sequence[Cell],
    outcomes: Mapping[Key, Sequence[Outcome]],
    failures: Mapping[str, str],
) -> str:
    """Return the table, with what it was measured on and what failed."""
    rounds = max((len(each) for each in outcomes.values()), default=0)
    lines = [
        f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}; "
        f"{rounds} rounds in turn. Ratios are medians of those of each round, which follow.",
        "",
        "| | place | ours | beside | ratio or figure | aimed at | |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(row)} |" for cell in cells for row in _rows(cell, outcomes)]
    lines += [f"\nNot measured: {name}: {why}" for name, why in failures.items()]
    return "\n".join(lines) + "\n"


def _rows(cell: Cell, outcomes: Mapping[Key, Sequence[Outcome]]) -> Iterator[list[str]]:
    ours = outcomes.get((cell.case, cell.place, cell.ours), ())
    theirs = outcomes.get((cell.case, cell.place, cell.theirs), ())
    if not ours or (cell.theirs and not theirs):
        return
    found = [_compared(cell, *pair) for pair in zip(ours, theirs or ours, strict=False)]
    middle = median(found)
    is_met = middle >= cell.target if cell.figures is Figures.RATE else middle <= cell.target
    sign = "≥" if cell.figures is Figures.RATE else "≤"
    yield [
        cell.case,
        cell.place,
        _named(cell.ours, ours),
        _named(cell.theirs, theirs) if cell.theirs else "",
        f"{middle:.2f} ({' '.join(f'{each:.2f}' for each in found)}) {cell.figures.value}",
        f"{sign} {cell.target:g}",
        "met" if is_met else f"not met: {_bound(cell, ours, theirs)}",
    ]


def _compared(cell: Cell, ours: Outcome, theirs: Outcome) -> float:
    if not cell.theirs:
        return ours.value
    if cell.figures is Figures.PROCESSOR:
        return ours.processor / theirs.processor
    return ours.value / theirs.value


def _named(name: str, outcomes: Sequence[Outcome]) -> str:
    values = median(each.value for each in outcomes)
    text = f"{name}: {values:.3g}" if values < 100 else f"{name}: {values:.0f}"
    if processor := median(each.processor for each in outcomes):
        text += f", {processor:.0f} µs"
    return text


def _bound(cell: Cell, ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> str:
    """Say what bounds a cell, by what was measured with it."""
    processor = median(each.processor for each in ours)
    if cell.figures is not Figures.RATE or not processor:
        return f"{median(_compared(cell, *p) for p in zip(ours, theirs or ours, strict=False)):.2f}"
    share, busy = (median(getattr(each, name) for each in ours) for name in ("share", "busy"))
    needed = 1e6 / (median(each.value for each in theirs) * cell.target)
    taken = f"{processor:.0f} µs an object in {share:.2f} cores, {needed:.0f} aimed at"
    if share >= _WHOLE_CORE:
        return f"its processor time, {taken}"
    if busy >= _ALL_CORES:
        return f"the cores, which the senders and the system have as well: {taken}"
    return f"waiting for syncs or senders, cores were idle for {1 - busy:.0%}: {taken}"


def put_between_marks(path: Path, table: str, begins: str = BEGIN, ends: str = END) -> None:
    """Put a table into a page, in the place of the one before.

    Raises
    ------
    ValueError
        The page does not have the marks.
    """
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise ValueError(f"{path} does not have the marks {begins} and {ends}")
    path.write_text(f"{before}{begins}\n\n{table}\n{ends}{after}", encoding="utf-8")
