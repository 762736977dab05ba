"""What an index file takes, whoever writes it: rows a second that several processes add together.

``uv run python -m tests.benchmarks.index_rates`` lets 1, 2 and 4 processes do nothing else than add
rows to one file of SQLite, which one may write at a time. So the figures bound what any number of
workers can store: if a worker takes D microseconds of processor time for an object, and the file R
rows a second, R × D / 1,000,000 cores are the most that can be of use. Medians of rounds.
"""

import multiprocessing
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from time import monotonic

import anyio
from attrs import frozen
from pacs_index_sqlite.index import SqliteIndex

from pacs_core.contracts import Durability

from . import million
from .runner import PLACES

_fork = multiprocessing.get_context("fork")
_PROCESSES = (1, 2, 4)
_TOGETHER = (1, 4)
"""Rows of one transaction: each by itself, and as four associations of a worker may gather."""
_ROWS = 600
_DURABILITIES = (Durability.COMMIT, Durability.WRITE_BEHIND, Durability.NONE)


@frozen
class _Run:
    path: Path
    rows: int
    together: int
    durability: Durability

    def rate(self, processes: int) -> float:
        """Return how many rows a second so many processes add."""
        barrier = _fork.Barrier(processes + 1)
        started = [
            _fork.Process(target=anyio.run, args=(self._add, number, barrier), daemon=True)
            for number in range(processes)
        ]
        for process in started:
            process.start()
        barrier.wait(60)
        began = monotonic()
        barrier.wait(60)
        rate = processes * self.rows / (monotonic() - began)
        for process in started:
            process.join()
        return rate

    async def _add(self, number: int, barrier: Barrier) -> None:
        index = SqliteIndex(self.path)
        await index.start()
        made = million.records(index.wanted_tags, million.STUDIES)
        mine = list(islice(made, number * self.rows, (number + 1) * self.rows))
        barrier.wait(60)
        for start in range(0, self.rows, self.together):
            some = mine[start : start + self.together]
            await index.add_many(some, durability=self.durability)
        barrier.wait(60)
        await index.stop()


Rates = Mapping[tuple[Durability, int], Sequence[float]]
"""Rows a second by number of processes, of each durability and number of rows together."""


def measure(directory: Path, rounds: int, rows: int = _ROWS) -> Rates:
    """Let processes write, each time into an index of their own."""

    def rate(durability: Durability, together: int, processes: int) -> float:
        places = [Path(tempfile.mkdtemp(dir=directory)) for _ in range(rounds)]
        runs = [_Run(each / "index.sqlite", rows, together, durability) for each in places]
        return median(run.rate(processes) for run in runs)

    return {
        pair: [rate(*pair, processes) for processes in _PROCESSES]
        for pair in product(_DURABILITIES, _TOGETHER)
    }


def table(rates: Rates) -> Iterator[str]:
    """Iterate over lines of a table."""
    titles = ("rows of a transaction", *(f"{each} writing" for each in _PROCESSES))
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for (durability, together), found in rates.items():
        figures = " | ".join(f"{each:.0f}" for each in found)
        yield f"| {together}, `{durability.value}` | {figures} |"


def most_cores(rates: Rates, durability: Durability, processor: float) -> tuple[float, float]:
    """Return how many cores are of use at most, with rows one by one, and four together.

    By what two write, of which each waits for the other, as one alone need not.

    Parameters
    ----------
    rates : mapping
    durability : Durability
        Of the rows.
    processor : float
        Microseconds of processor time of an object.
    """
    one, four = (rates[durability, together][1] * processor / 1e6 for together in _TOGETHER)
    return one, four


def main() -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--disk", type=Path, default=PLACES["disk"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.disk) as name:
        print("\n".join(table(measure(Path(name), options.rounds))))


if __name__ == "__main__":
    main()
