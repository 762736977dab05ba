"""What a node costs before it does anything: time to start, and memory of idle associations."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import sleep

from ..client import Client
from ..contestant import Contestant, running
from ..load import VERIFY
from ..memory import private_memory
from ..runner import Case, Measure, Metric, Options

_READY = Metric("until C-ECHO is possible", "s", higher_is_better=False)
_EACH = Metric("memory each", "KB", higher_is_better=False)


def start_cases(options: Options) -> Iterator[Case]:
    """Yield a case for the time from starting the process until it accepts an association."""
    yield Case("start-up", "echo", (_READY,), _start)


@contextmanager
def _start(contestant: Contestant, directory: Path) -> Iterator[Measure]:
    with running(contestant, directory) as node:
        yield lambda: (node.ready_after,)


def idle_cases(options: Options) -> Iterator[Case]:
    """Yield a case for associations that do nothing."""
    associations = options.count(200)
    name, session = f"{associations} idle associations", partial(_idle, associations)
    yield Case(name, "echo", (_EACH,), session, associations)


@contextmanager
def _idle(associations: int, contestant: Contestant, directory: Path) -> Iterator[Measure]:
    with running(contestant, directory) as node, ExitStack() as stack:

        def measure() -> tuple[float]:
            before = private_memory(node.process.pid)
            for _ in range(associations):
                stack.enter_context(Client(node.port, [VERIFY], node.called))
            sleep(0.5)
            return ((private_memory(node.process.pid) - before) / associations / 1000,)

        yield measure
