"""Programs that convert: `pacs convert` beside those of DCMTK and GDCM, on a folder of images."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic

from pydicom import dcmread

from ..client import PeerError
from ..contestant import Contestant, environment
from ..converters import Converter, ours
from ..pictures import PIXEL_BYTES, write_images
from ..runner import Case, Measure, Metric, Options

_RATE = Metric("native pixels, whole run", "MB/s")
_RATIO = Metric("files, native by encoded", "to 1")
_IMAGES = 200
_TIMEOUT = 600


def cases(options: Options) -> Iterator[Case]:
    """Yield encoding and decoding for each transfer syntax."""
    count = options.count(_IMAGES)
    for syntax in options.syntaxes:
        for what, metrics in (("encode", (_RATE, _RATIO)), ("decode", (_RATE,))):
            session = partial(_session, what, syntax, count)
            name = f"{what} {syntax}, {count} images"
            yield Case(name, f"{what} {syntax}", metrics, session, reused=True)


@contextmanager
def _session(
    what: str, syntax: str, count: int, contestant: Contestant, directory: Path
) -> Iterator[Measure]:
    assert isinstance(contestant, Converter)
    native, encoded, target = (directory / name for name in ("native", "encoded", "target"))
    bits = 8 if syntax == "JPEG Baseline" else 12
    write_images(native, count, bits)
    source = native
    if what == "decode":  # everybody the same files
        program, *options = ours(syntax)
        _run([program, *options[:3], str(native), str(encoded), *options[3:]])
        source = encoded

    def measure() -> tuple[float, ...]:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        began = monotonic()
        _run(contestant.convert(f"{what} {syntax}", source, target))
        rate = count * PIXEL_BYTES[bits] / (monotonic() - began) / 1e6
        _check(target, native, count, compare=what == "decode" and bits == 12)
        return (rate,) if what == "decode" else (rate, _size(native) / _size(target))

    yield measure


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(
        command, env=environment(), capture_output=True, timeout=_TIMEOUT, check=False
    )
    if result.returncode:
        output = (result.stdout + result.stderr).decode(errors="replace")[-1000:]
        raise PeerError(f"{' '.join(command)}: {output}")


def _check(target: Path, native: Path, count: int, *, compare: bool) -> None:
    files = sorted(target.iterdir())
    if len(files) != count:
        raise PeerError(f"{len(files)} of {count} files were written")
    for file in files if compare else ():
        if dcmread(file).PixelData != dcmread(native / file.name).PixelData:
            raise PeerError(f"{file.name} has other pixels than the original")


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
