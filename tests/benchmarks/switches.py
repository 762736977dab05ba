"""What a switch changes: processor time of the node for each object, with it and without, in turn.

``uv run python -m tests.benchmarks.switches PACS_NO_SPEEDUPS`` prints, for each size of objects and
number of associations, the processor time of the node for an object that it stores, and how many it
stores in a second: medians of rounds in which the environment variable is set and is not, one after
the other. Processor time is steadier than rates where much else runs. The line `archive.ingest` is
the same for the archive alone, in a loop in one process: the least of many passes.
"""

import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time

import anyio
from attrs import evolve

from pacs_core.app.archive import open_archive
from pacs_core.cli.assembling import assemble_file
from pacs_core.contracts import Origin

from . import data
from .contestant import Contestant, running
from .contestants import CONTESTANTS
from .load import drive, storing
from .runner import PLACES

_TICKS = os.sysconf("SC_CLK_TCK")
_OF_A_PASS = 50


def processor_seconds(process_id: int) -> float:
    """Return the processor time that a process has taken, that of its threads included."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _on_the_wire(
    contestant: Contestant, shape: data.Shape, associations: int, seconds: float
) -> tuple[float, float]:
    """Return microseconds for an object, and objects in a second."""
    with tempfile.TemporaryDirectory(dir=PLACES["tmpfs"]) as name:
        with running(contestant, Path(name) / "node") as node:
            prepare = partial(storing, node.port, node.called, shape)
            drive(partial(prepare, first=50_000_000), associations, seconds=seconds / 3)
            before = processor_seconds(node.process.pid)
            load = drive(prepare, associations, seconds=seconds)
            taken = processor_seconds(node.process.pid) - before
        return 1e6 * taken / load.operations, load.rate


async def _ingest(shape: data.Shape, passes: int, directory: Path) -> float:
    """Return microseconds for an instance: the least of passes of 50."""
    overrides = {"node": {"data_directory": str(directory)}, "archive": {"durability": "none"}}
    least = float("inf")
    async with open_archive(assemble_file(None, overrides)) as opened:
        for each in range(passes):
            numbers = range(each * _OF_A_PASS, (each + 1) * _OF_A_PASS)
            datasets = [(data.instance_uid(n), data.whole(shape, instance=n)) for n in numbers]
            began = process_time()
            for uid, dataset in datasets:
                await opened.archive.ingest(
                    _stream(dataset),
                    transfer_syntax_uid=data.EXPLICIT_LITTLE,
                    sop_class_uid=shape.sop_class_uid,
                    sop_instance_uid=uid,
                    origin=Origin("BENCHMARK"),
                )
            least = min(least, (process_time() - began) / _OF_A_PASS)
    return 1e6 * least


async def _stream(dataset: bytes) -> AsyncIterator[bytes]:
    yield dataset


def _ingest_alone(switch: dict[str, str], size: str) -> float:
    command = [sys.executable, "-m", __spec__.name, "--ingest-alone", "--sizes", size, "-"]
    environment = os.environ | switch
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(result.stdout)


def main() -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("switch", help="an environment variable that is set to 1")
    parser.add_argument("--sizes", default="small,ct")
    parser.add_argument("--associations", default="1,4,16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--ingest-alone", action="store_true")
    options = parser.parse_args()
    sizes = options.sizes.split(",")
    if options.ingest_alone:
        with tempfile.TemporaryDirectory(dir=PLACES["tmpfs"]) as name:
            print(anyio.run(_ingest, data.SHAPES[sizes[0]], 20, Path(name)))
        return
    variants = [{}, {options.switch: "1"}]
    ours = next(each for each in CONTESTANTS if each.name == "ours-none")
    print(f"| | µs | with {options.switch} | ratio | objects/s | with it |")
    for size in sizes:
        alone = [[_ingest_alone(each, size) for each in variants] for _ in range(options.rounds)]
        first, second = (median(column) for column in zip(*alone, strict=True))
        print(f"| archive.ingest {size} | {first:.0f} | {second:.0f} | {first / second:.2f} | | |")
        for associations in map(int, options.associations.split(",")):
            rounds = [
                [
                    _on_the_wire(
                        evolve(ours, environment=each),
                        data.SHAPES[size],
                        associations,
                        options.seconds,
                    )
                    for each in variants
                ]
                for _ in range(options.rounds)
            ]
            (first, rate), (second, other) = (
                map(median, zip(*column, strict=True)) for column in zip(*rounds, strict=True)
            )
            ratio = median(a[0] / b[0] for a, b in rounds)
            figures = f"{first:.0f} | {second:.0f} | {ratio:.2f} | {rate:.0f} | {other:.0f}"
            print(f"| {size} × {associations} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
