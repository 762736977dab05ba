"""Programs that send: `pacs store` beside storescu, to a receiver that stores nothing."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic

from .. import data
from ..client import PeerError
from ..contestant import Contestant, environment
from ..runner import Case, Measure, Metric, Options
from ..sink import Sink, sink

_RATE = Metric("rate while associated", "objects/s")
_WHOLE = Metric("whole run of the program", "s", higher_is_better=False)
_FILES = {"ct": 500, "small": 2000}
_TIMEOUT = 300


def cases(options: Options) -> Iterator[Case]:
    """Yield a case for each size."""
    for size in options.sizes:
        count = options.count(_FILES.get(size, 20))
        session = partial(_session, data.SHAPES[size], count)
        yield Case(f"send {count} {size}", "send", (_RATE, _WHOLE), session, reused=True)


@contextmanager
def _session(
    shape: data.Shape, count: int, contestant: Contestant, directory: Path
) -> Iterator[Measure]:
    directory.mkdir(parents=True)
    for number in range(count):
        file = directory / f"{number:06d}.dcm"
        file.write_bytes(data.part10(shape, 0, number // 100, number))
    with sink() as receiver:
        yield partial(_measure, contestant, directory, receiver, count)


def _measure(
    contestant: Contestant, directory: Path, receiver: Sink, count: int
) -> tuple[float, float]:
    command = contestant.command(directory, receiver.port, 0)
    started = monotonic()
    result = subprocess.run(
        command, env=environment(), capture_output=True, timeout=_TIMEOUT, check=False
    )
    whole = monotonic() - started
    came = receiver.associations()
    objects = sum(association.objects for association in came)
    if result.returncode or objects != count:
        output = (result.stdout + result.stderr).decode(errors="replace")[-1000:]
        raise PeerError(f"{objects} of {count} objects came: {output}")
    lasted = max(a.ended for a in came) - min(a.began for a in came)
    return objects / lasted, whole
