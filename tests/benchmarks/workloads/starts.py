"""How long commands for files take to begin: until the first file is opened, and the whole."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from pacs_core.testing.peer_programs import find_free_port

from ..contestant import Contestant
from ..runner import Case, Measure, Metric, Options
from ..start_files import write_files
from ..start_lines import LINES, begin, environment

_BEGUN = Metric("until the first file, or peer", "ms", higher_is_better=False)
_PROCESSOR = Metric("processor time until then", "ms", higher_is_better=False)
_WHOLE = Metric("whole run", "ms", higher_is_better=False)
_ALL = Metric("processor time of the whole run", "ms", higher_is_better=False)


def cases(options: Options) -> Iterator[Case]:
    """Yield a case for each command; the least of many rounds is what a quiet machine takes."""
    for name, line in LINES.items():
        metrics = (_BEGUN, _PROCESSOR, _WHOLE, _ALL) if line.ends else (_BEGUN, _PROCESSOR)
        yield Case(f"pacs {name}", "starts", metrics, partial(_session, name), reused=True)


@contextmanager
def _session(name: str, contestant: Contestant, directory: Path) -> Iterator[Measure]:
    line, files = LINES[name], Path(_prepare(directory.parents[1]).name)

    def measure() -> tuple[float, ...]:
        before = monotonic()
        begun = begin(line, files)
        found = [begun.clock - before, begun.processor]
        if line.ends:
            found += _run(line.words(files, str(find_free_port())), files)
        return tuple(1000 * each for each in found)

    yield measure


@cache
def _prepare(place: Path) -> TemporaryDirectory[str]:
    """Return a folder with files for all lines, which is there as long as this process is."""
    folder = TemporaryDirectory(prefix="pacs-bench-", dir=place)
    write_files(Path(folder.name))
    return folder


def _run(words: list[str], directory: Path) -> tuple[float, float]:
    """Return the seconds that a command took, by the clock and of processors."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), monotonic()
    subprocess.run(
        [sys.executable, "-m", "pacs_core.cli.main", *words],
        env=environment(directory), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    seconds, after = monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
