"""C-STORE rate of each size on 1, 4 and 16 associations."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from .. import data
from ..contestant import Contestant, running
from ..load import drive, storing
from ..runner import Case, Measure, Metric, Options

_RATE = Metric("rate", "objects/s")


def cases(options: Options) -> Iterator[Case]:
    """Yield a case for each size and number of associations."""
    for size in options.sizes:
        for associations in options.associations:
            session = partial(_session, data.SHAPES[size], associations, options.seconds)
            name = f"C-STORE {size} × {associations}"
            yield Case(name, "store", (_RATE,), session, associations)


@contextmanager
def _session(
    shape: data.Shape, associations: int, seconds: float, contestant: Contestant, directory: Path
) -> Iterator[Measure]:
    with running(contestant, directory) as node:
        prepare = partial(storing, node.port, node.called, shape, tls=contestant.tls)
        yield lambda: (drive(prepare, associations, seconds=seconds).rate,)
