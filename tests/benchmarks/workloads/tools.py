"""Programs for files: `pacs dump`, `modify` and `json` beside those of DCMTK, on a folder."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic

from pydicom import dcmread
from pydicom.data import get_testdata_file

from ..client import PeerError
from ..contestant import Contestant, environment
from ..runner import Case, Measure, Metric, Options
from ..tools import NAME, TASKS, Toolbox

_RATE = Metric("files, whole run", "/s")
_FILES = 500
_TIMEOUT = 600


def cases(options: Options) -> Iterator[Case]:
    """Yield a case for each task, on copies of a CT of 39 KB with 260 elements."""
    count = options.count(_FILES)
    for task in TASKS:
        session = partial(_session, task, count)
        yield Case(f"{task}, {count} files", f"tools {task}", (_RATE,), session, reused=True)


@contextmanager
def _session(task: str, count: int, contestant: Contestant, directory: Path) -> Iterator[Measure]:
    assert isinstance(contestant, Toolbox)
    original, folder, target = (directory / name for name in ("original", "files", "target"))
    _write_files(original, count)

    def measure() -> tuple[float]:
        for each in (folder, target):
            shutil.rmtree(each, ignore_errors=True)
        shutil.copytree(original, folder)
        target.mkdir()
        command = contestant.command_for(task, folder, target)
        with (directory / "printed").open("wb") as printed:
            began = monotonic()
            result = subprocess.run(
                command, env=environment(), stdout=printed, stderr=subprocess.PIPE,
                timeout=_TIMEOUT, check=False,
            )  # fmt: skip
            rate = count / (monotonic() - began)
        if result.returncode:
            raise PeerError(f"{' '.join(command)}: {result.stderr.decode()[-1000:]}")
        _check(task, count, directory)
        return (rate,)

    yield measure


def _write_files(folder: Path, count: int) -> None:
    path = get_testdata_file("CT_small.dcm")
    content, uid = Path(path).read_bytes(), dcmread(path).SOPInstanceUID.encode()
    folder.mkdir(parents=True)
    for number in range(count):
        made = uid[:-6] + b"%06d" % number
        (folder / f"{number:06}.dcm").write_bytes(content.replace(uid, made))


def _check(task: str, count: int, directory: Path) -> None:
    """Raise `PeerError` unless all files were printed, changed or written."""
    if task == "dump":
        done = (directory / "printed").read_bytes().count(b"CompressedSamples^CT1")
    elif task == "modify":
        done = sum(NAME.encode() in path.read_bytes() for path in (directory / "files").iterdir())
    else:
        done = len(list((directory / "target").iterdir()))
    if done != count:
        raise PeerError(f"{done} of {count} files are done")
