"""C-STORE rate of both sizes on 1, 4 and 16 associations."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .. import data
from ..contestants import Contestant, running
from ..load import drive, storing
from ..runner import Case, Metric, Options

_RATE = Metric("rate", "objects/s")


def cases(options: Options) -> Iterator[Case]:
    """Yield a case for each size and number of associations."""
    for size in options.sizes:
        for associations in options.associations:
            measure = partial(_measure, data.SHAPES[size], associations, options.seconds)
            name = f"C-STORE {size} × {associations}"
            yield Case(name, "store", (_RATE,), measure, associations)


def _measure(
    shape: data.Shape,
    associations: int,
    seconds: float,
    contestant: Contestant,
    directory: Path,
) -> tuple[float]:
    with running(contestant, directory) as node:
        prepare = partial(storing, node.port, node.called, shape)
        return (drive(prepare, associations, seconds=seconds).rate,)
