"""Runs cases: contestants in turn, round by round, each in a fresh directory."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from attrs import define, field, frozen

from .client import PeerError
from .contestant import Contestant
from .leavings import discard

SYNTAXES = (
    "RLE Lossless",
    "JPEG Lossless",
    "JPEG Baseline",
    "JPEG-LS",
    "JPEG 2000 Lossless",
    "HTJ2K Lossless",
    "JPEG XL Lossless",
)
"""Transfer syntaxes that are measured; the last two of this project alone."""
PLACES = {"disk": Path(tempfile.gettempdir()), "tmpfs": Path("/dev/shm")}


@frozen
class Options:
    """What the command line says."""

    contestants: tuple[Contestant, ...]
    rounds: int = 5
    seconds: float = 2.0
    associations: tuple[int, ...] = (1, 4, 16)
    sizes: tuple[str, ...] = ("ct", "small")
    syntaxes: tuple[str, ...] = SYNTAXES
    places: Mapping[str, Path] = field(factory=lambda: dict(PLACES))
    quick: bool = False
    scale: float = 1.0

    def count(self, full: int) -> int:
        """Return how many of something there are to be, given what a full run has."""
        return max(10, int(full * self.scale))


@frozen
class Metric:
    """A figure, and whether more of it is better."""

    name: str
    unit: str
    higher_is_better: bool = True


Measure = Callable[[], Sequence[float]]
Session = Callable[[Contestant, Path], AbstractContextManager[Measure]]


@frozen
class Case:
    """Something to measure of each contestant that can do it.

    Attributes
    ----------
    name : str
        Workload and parameters.
    needs : str
        Of :attr:`Contestant.does`.
    metrics : tuple of Metric
    session : callable
        Given a contestant and a directory that does not exist yet, returns a context manager
        that gives a function, which returns a value for each metric.
    associations : int
        As many must be accepted.
    reused : bool
        Whether a session serves all rounds, because filling it takes long and measuring it
        leaves nothing behind.
    """

    name: str
    needs: str
    metrics: tuple[Metric, ...]
    session: Session
    associations: int = 1
    reused: bool = False

    def suits(self, contestant: Contestant) -> bool:
        """Tell whether a contestant can do it."""
        stores = self.needs == "store"
        most = contestant.max_storing if stores else contestant.max_associations
        return self.needs in contestant.does and most >= self.associations


@frozen
class Series:
    """The values of one metric of one contestant, one for each round."""

    case: str
    place: str
    metric: Metric
    contestant: Contestant
    values: list[float] = field(factory=list)


@frozen
class Results:
    """All series, and why some are missing."""

    series: dict[tuple[str, str, str, str], Series] = field(factory=dict)
    failures: dict[tuple[str, str, str], str] = field(factory=dict)

    def add(self, case: Case, place: str, contestant: Contestant, values: Sequence[float]) -> None:
        """Add what a round has measured."""
        for metric, value in zip(case.metrics, values, strict=True):
            key = (case.name, place, metric.name, contestant.name)
            series = self.series.setdefault(key, Series(case.name, place, metric, contestant))
            series.values.append(value)


def run(cases: Sequence[Case], options: Options) -> Results:
    """Measure everything, in each place."""
    results = Results()
    for case in cases:
        for place, parent in options.places.items():
            _run_case(case, place, parent, options, results)
    return results


def _run_case(case: Case, place: str, parent: Path, options: Options, results: Results) -> None:
    able = [contestant for contestant in options.contestants if case.suits(contestant)]
    with ExitStack() as kept:
        sessions = {
            contestant.name: _Sessions(case, contestant, parent, kept) for contestant in able
        }
        for number in range(options.rounds):
            for contestant in able:
                key = (case.name, place, contestant.name)
                if key in results.failures:
                    continue
                _progress(f"{case.name} {place} round {number + 1}: {contestant.name}")
                try:
                    values = sessions[contestant.name].measure()
                except (PeerError, OSError) as error:
                    results.failures[key] = str(error)
                    _progress(f"{case.name}: {contestant.name} failed: {error}", end="\n")
                else:
                    results.add(case, place, contestant, values)


@define
class _Sessions:
    """One session for all rounds, or a new one for each."""

    case: Case
    contestant: Contestant
    parent: Path
    kept: ExitStack
    reused: Measure | None = None

    def measure(self) -> Sequence[float]:
        if not self.case.reused:
            with _session(self.case, self.contestant, self.parent) as measure:
                return measure()
        if self.reused is None:
            session = _session(self.case, self.contestant, self.parent)
            self.reused = self.kept.enter_context(session)
        return self.reused()


@contextmanager
def _session(case: Case, contestant: Contestant, parent: Path) -> Iterator[Measure]:
    top = Path(tempfile.mkdtemp(prefix="pacs-bench-", dir=parent))
    try:
        with case.session(contestant, top / "run") as measure:
            yield measure
    finally:
        discard(top)


def warm(gigabytes: float) -> None:
    """Touch memory, so that no run pays for pages that this machine has never used."""
    piece = bytes(1 << 20)
    with tempfile.TemporaryFile(dir=PLACES["tmpfs"]) as file:
        for _ in range(int(gigabytes * 1024)):
            file.write(piece)


def _progress(text: str, end: str = "\r") -> None:
    if os.environ.get("BENCHMARK_VERBOSE") or sys.stderr.isatty() or end == "\n":
        print(f"{text:<100}", end=end, file=sys.stderr, flush=True)
