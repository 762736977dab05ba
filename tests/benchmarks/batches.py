"""Cost of a row by the number of rows that SQLite gets in one transaction.

``uv run python -m tests.benchmarks.batches`` prints, for each size of a batch, the processor time
of a row that ``add_many`` adds and the time that passes: synced, and as what is flushed later.
Sizes take turns, each on an index of its own; the figures are medians of rounds.
"""

import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import monotonic, process_time

import anyio
from pacs_index_sqlite.index import SqliteIndex

from pacs_core.archive.incoming_instance import identity_in
from pacs_core.contracts import Durability, InstanceRecord, StoredInstance
from pacs_core.dataset import HeaderScanner

from . import data
from .runner import PLACES

_SIZES = (1, 8, 64, 512)
_ROWS = 512
_SERIES = 100


def _records(wanted: frozenset[int], first: int) -> Iterator[InstanceRecord]:
    for number in range(first, first + _ROWS):
        series = number // _SERIES
        scanner = HeaderScanner(data.EXPLICIT_LITTLE, wanted)
        scanner.feed(data.header(data.SHAPES["small"], series // 10, series, number))
        identity = identity_in(scanner.attributes)
        uid = identity.sop_instance_uid
        stored = StoredInstance(identity, data.EXPLICIT_LITTLE, f"{uid}.dcm", 15000, 400, bytes(32))
        yield InstanceRecord(stored, scanner.attributes)


async def _add(
    index: SqliteIndex, records: list[InstanceRecord], size: int, durability: Durability
) -> tuple[float, float]:
    """Return microseconds of processor time for a row, and those that pass."""
    began, taken = monotonic(), process_time()
    for start in range(0, len(records), size):
        await index.add_many(records[start : start + size], durability=durability)
    return 1e6 * (process_time() - taken) / _ROWS, 1e6 * (monotonic() - began) / _ROWS


async def _measure(directory: Path, rounds: int) -> None:
    print("| rows | synced: processor µs | µs | flushed later: processor µs | µs |")
    figures: dict[tuple[int, Durability], list[tuple[float, float]]] = {}
    for number in range(rounds + 1):  # the first is for what is done once
        records: list[InstanceRecord] = []
        for size in _SIZES:
            for durability in (Durability.COMMIT, Durability.WRITE_BEHIND):
                index = SqliteIndex(directory / f"{size}-{durability.value}.sqlite")
                await index.start()
                records = records or list(_records(index.wanted_tags, number * _ROWS))
                found = await _add(index, records, size, durability)
                await index.stop()
                if number:
                    figures.setdefault((size, durability), []).append(found)
    for size in _SIZES:
        columns = [
            median(column)
            for durability in (Durability.COMMIT, Durability.WRITE_BEHIND)
            for column in zip(*figures[size, durability], strict=True)
        ]
        print(f"| {size} | " + " | ".join(f"{each:.0f}" for each in columns) + " |")


def main() -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--disk", type=Path, default=PLACES["disk"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.disk) as name:
        anyio.run(_measure, Path(name), options.rounds)


if __name__ == "__main__":
    main()
