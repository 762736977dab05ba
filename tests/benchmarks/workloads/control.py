"""Rates of association set-up and release, and of C-ECHO."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from ..contestant import Contestant, running
from ..load import Operation, associating, drive, echoing
from ..runner import Case, Measure, Metric, Options

_SET_UP = Metric("set-up and release", "associations/s")
_ECHO = Metric("rate", "echoes/s")


def associate_cases(options: Options) -> Iterator[Case]:
    """Yield a case for each number of peers that associate at once."""
    for peers in options.associations:
        session = partial(_session, associating, peers, options.seconds)
        yield Case(f"association × {peers}", "echo", (_SET_UP,), session, peers)


def echo_cases(options: Options) -> Iterator[Case]:
    """Yield a case for each number of associations."""
    for associations in options.associations:
        session = partial(_session, echoing, associations, options.seconds)
        yield Case(f"C-ECHO × {associations}", "echo", (_ECHO,), session, associations)


@contextmanager
def _session(
    operating: Callable[..., AbstractContextManager[Operation]],
    associations: int,
    seconds: float,
    contestant: Contestant,
    directory: Path,
) -> Iterator[Measure]:
    with running(contestant, directory) as node:
        prepare = partial(operating, node.port, node.called)
        yield lambda: (drive(prepare, associations, seconds=seconds).rate,)
