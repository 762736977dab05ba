"""A short comparison before a change is taken: did storing become dearer?

What is compared is the processor time of an object, and not with that of another day but with what
DCMTK's ``storescp`` takes for the same objects in the same run, round by round in turn. So it says
the same on a slow machine, a fast one, or one that is busy: rates do not. The ratio of each case is
held against the one that is recorded in ``gate.json``, which is written anew (``--record``) when a
change is meant to move it.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from attrs import frozen

from . import data
from .client import PeerError
from .contestant import Contestant, running
from .contestants import CONTESTANTS
from .load import drive, storing
from .runner import PLACES

RECORDED: Final = Path(__file__).with_name("gate.json")
TOLERANCE: Final = 1.3
"""How many times the recorded ratio is still no change: of small objects DCMTK takes so little that
runs differ by a fifth."""

_CASES: Final = (("small", 1), ("small", 4), ("ct", 1))
_NAMES: Final = ("ours-commit", "dcmtk-storescp")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@frozen
class Verdict:
    """What became of a case.

    Attributes
    ----------
    case : str
    ours, theirs : float
        Processor time of an object, in microseconds: medians.
    ratio : float
        Of ours to theirs: the median of the ratios round by round.
    recorded : float or None
    """

    case: str
    ours: float
    theirs: float
    ratio: float
    recorded: float | None

    @property
    def is_dearer(self) -> bool:
        """Whether it takes more than before."""
        return self.recorded is not None and self.ratio > self.recorded * TOLERANCE

    def __str__(self) -> str:
        """Return a line of the table."""
        before = "-" if self.recorded is None else f"{self.recorded:.2f}"
        word = "DEARER" if self.is_dearer else ""
        figures = f"{self.ours:8.0f} {self.theirs:8.0f} {self.ratio:8.2f} {before:>8}"
        return f"{self.case:<12} {figures}  {word}".rstrip()


HEADING: Final = f"{'':<12} {'ours, us':>8} {'DCMTK':>8} {'ratio':>8} {'recorded':>8}"


def judge(rounds: int, count: int, recorded: Mapping[str, float]) -> Iterator[Verdict]:
    """Measure each case, and compare it.

    Parameters
    ----------
    rounds : int
    count : int
        Objects of 15 KB in a round; of larger ones a quarter as many.
    recorded : mapping of str to float
        Ratio of each case.

    Raises
    ------
    PeerError
        DCMTK is not installed, or one of both failed.
    """
    contestants = [next(c for c in CONTESTANTS if c.name == name) for name in _NAMES]
    for contestant in contestants:
        if missing := contestant.missing():
            raise PeerError(f"{contestant.name}: {missing}")
    for size, associations in _CASES:
        each = max(1, (count if size == "small" else count // 4) // associations)
        measure = partial(_measure, shape=data.SHAPES[size], associations=associations, count=each)
        figures = [[measure(contestant) for contestant in contestants] for _ in range(rounds)]
        ours, theirs = (median(column) for column in zip(*figures, strict=True))
        ratio = median(mine / other for mine, other in figures)
        case = f"{size} × {associations}"
        yield Verdict(case, ours, theirs, ratio, recorded.get(case))


def _measure(contestant: Contestant, shape: data.Shape, associations: int, count: int) -> float:
    with (
        tempfile.TemporaryDirectory(dir=PLACES["tmpfs"]) as name,
        running(contestant, Path(name) / "node") as node,
    ):
        prepare = partial(storing, node.port, node.called, shape)
        # What is done once, such as the first import, is no part of it.
        drive(partial(prepare, first=50_000_000), associations, count=max(1, count // 10))
        before = ticks_of_group(node.process.pid)
        load = drive(prepare, associations, count=count)
        ticks = max(1, ticks_of_group(node.process.pid) - before)
    return 1e6 * ticks / _TICKS / load.operations


def ticks_of_group(group: int) -> int:
    """Return the processor time of a process group, of those that it has waited for included."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group:
            ticks += sum(map(int, fields[11:15]))
    return ticks


def run(rounds: int, count: int, file: Path, *, record: bool) -> int:
    """Print the table; return 1 if storing is dearer than is recorded, and 0 if not.

    Parameters
    ----------
    rounds, count : int
        See :func:`judge`.
    file : Path
        Has the recorded ratios.
    record : bool
        Whether to write them anew instead.
    """
    recorded = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    print(HEADING)
    verdicts = []
    for verdict in judge(rounds, count, recorded):
        print(verdict, flush=True)
        verdicts.append(verdict)
    if record:
        ratios = {verdict.case: round(verdict.ratio, 2) for verdict in verdicts}
        file.write_text(json.dumps(ratios, indent=2) + "\n", encoding="utf-8")
        return 0
    if any(verdict.is_dearer for verdict in verdicts):
        print(
            f"more than {TOLERANCE} times the recorded ratio: see why, or --record", file=sys.stderr
        )
        return 1
    return 0
