"""C-STORE into an empty index, and into one that holds a million instances already."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from .. import data, million
from ..contestant import Contestant, running
from ..load import drive, storing
from ..runner import Case, Measure, Metric, Options

_METRICS = (
    Metric("empty index", "objects/s"),
    Metric("full index", "objects/s"),
    Metric("full ÷ empty", ""),
)
_ASSOCIATIONS = 4
_FIRST = 50_000_000  # beyond what the full index holds


def cases(options: Options) -> Iterator[Case]:
    """Yield one case; each round measures both."""
    studies = options.count(million.STUDIES)
    session = partial(_session, studies, options.seconds)
    yield Case(f"ingest small × {_ASSOCIATIONS}", "ours", _METRICS, session, _ASSOCIATIONS)


@contextmanager
def _session(
    studies: int, seconds: float, contestant: Contestant, directory: Path
) -> Iterator[Measure]:
    def measure() -> tuple[float, float, float]:
        empty = _rate(contestant, directory / "empty", seconds)
        million.place(studies, directory / "full")
        full = _rate(contestant, directory / "full", seconds)
        return empty, full, full / empty

    yield measure


def _rate(contestant: Contestant, directory: Path, seconds: float) -> float:
    with running(contestant, directory) as node:
        shape = data.SHAPES["small"]
        prepare = partial(storing, node.port, node.called, shape, first=_FIRST)
        return drive(prepare, _ASSOCIATIONS, seconds=seconds).rate
