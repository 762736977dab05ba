"""Programs for files: commands of `pacs` beside those of others, on a folder."""

import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from time import monotonic

import numpy as np
import trustme
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file

from ..client import PeerError
from ..contestant import Contestant, environment
from ..runner import Case, Measure, Metric, Options
from ..tools import NAME, TASKS, Toolbox

_RATE = Metric("files, whole run", "/s")
_TIME = Metric("processor time of a file", "ms", higher_is_better=False)
_FILES = 500
_TIMEOUT = 600
_PRINTED = {
    "dump": rb"CompressedSamples\^CT1", "info": rb"(?m)\d{6}$", "is-dicom": rb"(?m)\d{6}$",
    "find-files": rb"(?m)\d{6}$", "sr": rb"Some UID", "verify": rb"(?m): valid,|: OK$",
    "validate": rb"(?m)\d{6}: \d+ error|CTImage",
}  # fmt: skip
"""What is printed once of each file, as a regular expression."""


def cases(options: Options) -> Iterator[Case]:
    """Yield a case for each task; images are copies of a CT of 39 KB with 260 elements."""
    count = options.count(_FILES)
    for task in TASKS:
        session = partial(_session, task, count)
        yield Case(f"{task}, {count} files", f"tools {task}", (_RATE, _TIME), session, reused=True)


@contextmanager
def _session(task: str, count: int, contestant: Contestant, directory: Path) -> Iterator[Measure]:
    assert isinstance(contestant, Toolbox)
    original, folder, target = (directory / name for name in ("original", "files", "target"))
    _prepare(task, count, contestant, directory, original)

    def measure() -> tuple[float, float]:
        for each in (folder, target):
            shutil.rmtree(each, ignore_errors=True)
        shutil.copytree(original, folder)
        seconds, processor = _run(task, contestant, directory, folder, target)
        _check(task, count, directory)
        return count / seconds, processor / count * 1000

    yield measure


def _prepare(task: str, count: int, contestant: Toolbox, directory: Path, folder: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    authority.cert_pem.write_to_path(directory / "certificate.pem")
    authority.private_key_pem.write_to_path(directory / "key.pem")
    source = TASKS[task].source
    if source not in TASKS:
        _write_files(folder, count, source)
        return
    before = directory / "before"
    _write_files(before, count, TASKS[source].source)
    _run(source, contestant, directory, before, folder)


def _run(
    task: str, contestant: Toolbox, directory: Path, folder: Path, target: Path
) -> tuple[float, float]:
    """Return the seconds that a task took, and those of all its processes on processors."""
    command = contestant.command_for(task, folder, target)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with (directory / "printed").open("wb") as printed:
        began = monotonic()
        result = subprocess.run(
            command, env=environment(), stdout=printed, stderr=subprocess.PIPE, timeout=_TIMEOUT,
            check=False,
        )  # fmt: skip
        seconds = monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        raise PeerError(f"{' '.join(command)}: {result.stderr.decode()[-1000:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _write_files(folder: Path, count: int, kind: str) -> None:
    folder.mkdir(parents=True)
    # Names that media allow (PS3.10 §8.2), but for the endings by which we know other files.
    suffix = "" if kind in {"ct", "report"} else f".{kind}"
    make = _MAKERS[kind]
    for number in range(count):
        (folder / f"{number:06}{suffix}").write_bytes(make(number))


def _make_copy(name: str, number: int) -> bytes:
    path = get_testdata_file(name)
    assert path is not None
    uid = dcmread(path).SOPInstanceUID.encode()
    return Path(path).read_bytes().replace(uid, uid[:-6] + b"%06d" % number)


def _make_pdf(number: int) -> bytes:
    return b"%%PDF-1.4\n%%%06d\n" % number + bytes(range(256)) * 200 + b"\n%%EOF\n"


def _make_stl(number: int) -> bytes:
    triangles = 1000
    return bytes(80) + triangles.to_bytes(4, "little") + bytes(triangles * 50)


def _make_picture(form: str, number: int) -> bytes:
    random = np.random.default_rng(number).integers(0, 255, (32, 32, 3), np.uint8)
    out = BytesIO()
    Image.fromarray(random.repeat(8, 0).repeat(8, 1)).save(out, form)
    return out.getvalue()


_MAKERS = {
    "ct": partial(_make_copy, "CT_small.dcm"), "report": partial(_make_copy, "test-SR.dcm"),
    "pdf": _make_pdf, "stl": _make_stl, "jpeg": partial(_make_picture, "jpeg"),
    "bmp": partial(_make_picture, "bmp"),
}  # fmt: skip


def _check(task: str, count: int, directory: Path) -> None:
    """Raise `PeerError` unless all files were printed, changed or written."""
    if task == "modify":
        done = sum(NAME.encode() in path.read_bytes() for path in (directory / "files").iterdir())
    elif task in _PRINTED:
        done = len(re.findall(_PRINTED[task], (directory / "printed").read_bytes()))
    else:
        found = (each for each in (directory / "target").rglob("*") if each.is_file())
        done = len([each for each in found if each.name != "DICOMDIR"])
    if done != count:
        raise PeerError(f"{done} of {count} files are done")
