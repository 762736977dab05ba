"""Several processes, and processes that die."""

import subprocess
import sys
from pathlib import Path

import pytest
from pacs_index_sqlite.index import SqliteIndex

from pacs_core.contracts import Level, SingleValue
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import found, make_record, path_of

pytestmark = pytest.mark.anyio

WRITER = """
import asyncio, sys
from pathlib import Path
from pacs_core.testing.index_harness import make_record
from pacs_index_sqlite.index import SqliteIndex

async def main(path, series, count):
    index = SqliteIndex(Path(path))
    await index.start()
    async def add(n):
        await index.add(make_record(f"1.{series}.{n}"))
        print(n, flush=True)
    for start in range(0, count, 50):
        await asyncio.gather(*(add(n) for n in range(start, start + 50)))
    await index.stop()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def writer(path: Path, series: int, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(path), str(series), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def test_what_was_acknowledged_survives_a_kill(path: Path) -> None:
    with writer(path, 1, 1_000_000) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(300)]
        process.kill()
        acknowledged += [line for line in process.stdout if line.endswith("\n")]
    index = SqliteIndex(path)
    await index.start()
    for line in acknowledged:
        assert await index.locate(path_of(make_record(str(int(line))))) is not None
    await index.stop()


async def test_processes_share_a_file(path: Path) -> None:
    processes = [writer(path, series, 300) for series in (1, 1, 2)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    index = SqliteIndex(path)
    await index.start()
    assert [len(await found(index, level)) for level in Level] == [1, 1, 2, 600]
    await index.stop()


async def test_series_that_another_process_removed_is_made_again(path: Path) -> None:
    one, other = SqliteIndex(path), SqliteIndex(path)
    await one.start()
    await other.start()
    await one.add(make_record("1.1.1"))
    await other.remove(path_of(make_record("1.1.1")))
    await other.add(make_record("9.9.9"))
    assert (await one.add(make_record("1.1.2"))).existing is None
    assert await found(other, Level.IMAGE) == ["1.2.3.9.9.9", "1.2.3.1.1.2"]
    assert await found(other, Level.SERIES) == ["1.2.3.9.9", "1.2.3.1.1"]
    await one.stop()
    await other.stop()


async def test_header_that_another_process_removed_is_made_again(path: Path) -> None:
    one, other = SqliteIndex(path), SqliteIndex(path)
    await one.start()
    await other.start()
    await one.add(make_record("1.1.1", SeriesDescription="A"))
    await one.add(make_record("1.1.2", SeriesDescription="B"))
    await other.remove(path_of(make_record("1.1.2")))
    await other.add(make_record("1.1.3", SeriesDescription="C"))
    await one.add(make_record("1.1.4", SeriesDescription="B"))
    for word in "ABC":
        condition = SingleValue(tag_of("SeriesDescription"), word)
        assert await found(other, Level.SERIES, condition) == ["1.2.3.1.1"]
    for n in ("1", "3", "4"):
        assert await other.remove(path_of(make_record(n))) is not None
    assert await found(other, Level.PATIENT) == []
    await one.stop()
    await other.stop()
