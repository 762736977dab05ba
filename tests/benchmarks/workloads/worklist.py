"""Worklist of 100,000 steps: time to the first of a station and a day, of a patient, of a name.

Asked of the list itself, in this process: what an association and its messages cost is measured by
`find`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter

from anyio.from_thread import start_blocking_portal
from pacs_database.testing import open_database
from pacs_sop_worklist.database_worklist import DatabaseWorklist
from pacs_sop_worklist.orders import make_order
from pacs_sop_worklist.searching import read_conditions
from pacs_sop_worklist.steps import Step, steps_of

from ..contestant import Contestant
from ..runner import Case, Measure, Metric, Options

_STEPS = 100_000
_BLOCK = 1000
_REPETITIONS = 40
_STATIONS, _DAYS = 20, 100
_FIRST_DAY = datetime(2099, 1, 1, 8)
_SEARCHES = (
    [("ScheduledStationAETitle", "AE0"), ("ScheduledProcedureStepStartDate", "20990101")],
    [("PatientID", "P5")],
    [("PatientName", "*e5^jan*")],
)
_METRICS = (
    Metric("station and day, first", "ms", higher_is_better=False),
    Metric("patient, first", "ms", higher_is_better=False),
    Metric("name with wild cards, only one", "ms", higher_is_better=False),
)


def cases(options: Options) -> Iterator[Case]:
    """Yield one case; each round takes the best of many searches."""
    session = partial(_session, options.count(_STEPS))
    yield Case("worklist", "ours", _METRICS, session, reused=True)


@contextmanager
def _session(count: int, contestant: Contestant, directory: Path) -> Iterator[Measure]:
    directory.mkdir(parents=True)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_database(directory)) as database,
    ):
        worklist = DatabaseWorklist(database)
        portal.call(worklist.start)
        for first in range(0, count, _BLOCK):
            block = range(first, min(first + _BLOCK, count))
            portal.call(worklist.put, [_step(number) for number in block], "benchmark")
        yield lambda: portal.call(_measure, worklist)


def _step(number: int) -> Step:
    start = _FIRST_DAY + timedelta(days=number // _STATIONS % _DAYS, minutes=number % 600)
    entry = make_order(
        f"P{number}",
        f"Doe{number}^Jane",
        "CT",
        start,
        stations=(f"AE{number % _STATIONS}",),
        study=f"1.2.3.{number}",
    )
    return next(steps_of(entry))


async def _measure(worklist: DatabaseWorklist) -> Sequence[float]:
    return [await _first(worklist, keys) for keys in _SEARCHES]


async def _first(worklist: DatabaseWorklist, keys: Sequence[tuple[str, str]]) -> float:
    """Return the least milliseconds to the first step that matches."""
    conditions, best = read_conditions(keys), float("inf")
    for _ in range(_REPETITIONS):
        begun = perf_counter()
        async for _step_found in worklist.search(conditions):
            best = min(best, perf_counter() - begun)
            break
    return best * 1000
