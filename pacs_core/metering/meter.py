"""The meter of a node: instruments that write to the worker's region of the shared memory.

Keys of the memory are JSON lists: a definition is ``["", name, kind, description, unit, labels,
bounds]``, a number ``[name, label values, part]`` with ``"value"``, ``"sum"`` or the index of a
bucket as its part. So whoever collects also understands what only another worker measures.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from math import inf
from typing import Any, Final

from attrs import define, field, frozen

from pacs_core.contracts import (
    SECONDS,
    Counter,
    Gauge,
    Histogram,
    Meter,
    Metric,
    MetricKind,
    Sample,
)
from pacs_core.metering.memory import MeterMemory, Region

# Theory of operation
#
# An instrument adds to a double at a place in shared memory that only its own worker writes. So
# counting is one dictionary look-up and one addition, without a lock or a message, and a worker
# that dies leaves what it has counted.
#
# Collecting adds up the regions of all workers. Keys carry the definitions, in words, because a
# worker may collect what only another has an instrument for. Numbers of workers that are restarted
# go on in the same region, as counters must not fall back; gauges begin at 0 again, since what they
# told of ended with the process.

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@frozen
class _Definition:
    name: str
    kind: MetricKind
    description: str
    unit: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()

    @property
    def key(self) -> str:
        kind, labels, bounds = self.kind.value, self.labels, self.bounds
        return _key("", self.name, kind, self.description, self.unit, labels, bounds)


def _key(*parts: object) -> str:
    return json.dumps(parts, separators=(",", ":"))


@define(eq=False)
class _Instrument(Counter, Gauge, Histogram):
    """All kinds at once; each shows its user the methods of its kind only."""

    definition: _Definition
    region: Region
    _places: dict[tuple[tuple[str | None, ...], object], int] = field(factory=dict)

    def _place(self, labels: dict[str, str], part: object) -> int:
        names = self.definition.labels
        if len(names) == len(labels):
            # This is done several times for every operation; what is wrong is never known.
            known = self._places.get((tuple(map(labels.get, names)), part))
            if known is not None:
                return known
        try:
            values = tuple([str(labels[name]) for name in names])
        except KeyError:
            values = ()
        if len(labels) != len(names) or len(values) != len(names):
            raise ValueError(
                f"{self.definition.name} has the labels {', '.join(names) or '(none)'}, "
                f"not {', '.join(labels) or '(none)'}"
            )
        place = self._places.get((values, part))
        if place is None:
            place = self.region.place(_key(self.definition.name, values, part))
            self._places[values, part] = place
        return place

    def add(self, amount: float = 1.0, **labels: str) -> None:
        if amount < 0 and self.definition.kind is MetricKind.COUNTER:
            raise ValueError(f"{self.definition.name} only grows: {amount:g} is negative")
        self.region.numbers[self._place(labels, "value")] += amount

    def set(self, value: float, **labels: str) -> None:
        self.region.numbers[self._place(labels, "value")] = value

    def observe(self, value: float, **labels: str) -> None:
        bucket = bisect_left(self.definition.bounds, value)
        numbers = self.region.numbers
        numbers[self._place(labels, bucket)] += 1
        numbers[self._place(labels, "sum")] += value


def clear_gauges(memory: MeterMemory, worker: int) -> None:
    """Let the gauges of a worker that has died be 0: what they told of has ended with it."""
    _clear_gauges(memory.region(worker))


def _clear_gauges(region: Region) -> None:
    numbers = region.read()
    definitions = _definitions(numbers)
    for key in numbers:
        name = json.loads(key)[0]
        if name and definitions[name].kind is MetricKind.GAUGE:
            region.numbers[region.place(key)] = 0.0


class NodeMeter(Meter):
    """Keeps the numbers of one worker, and adds up those of all.

    Parameters
    ----------
    memory : MeterMemory, optional
        That the workers share; by default there is one worker.
    worker : int
    """

    def __init__(self, memory: MeterMemory | None = None, worker: int = 0) -> None:
        self._memory = memory or MeterMemory()
        self._region = self._memory.region(worker)
        self._instruments: dict[str, _Instrument] = {}
        # Another process, which had this region before, may have ended amid a gauge.
        _clear_gauges(self._region)

    def counter(
        self, name: str, description: str = "", *, unit: str = "", labels: Sequence[str] = ()
    ) -> Counter:
        """See base."""
        return self._define(_Definition(name, MetricKind.COUNTER, description, unit, tuple(labels)))

    def gauge(
        self, name: str, description: str = "", *, unit: str = "", labels: Sequence[str] = ()
    ) -> Gauge:
        """See base."""
        return self._define(_Definition(name, MetricKind.GAUGE, description, unit, tuple(labels)))

    def histogram(
        self,
        name: str,
        description: str = "",
        *,
        unit: str = "",
        labels: Sequence[str] = (),
        buckets: Sequence[float] = SECONDS,
    ) -> Histogram:
        """See base."""
        bounds = tuple(map(float, buckets))
        if not bounds or list(bounds) != sorted(set(bounds)) or bounds[-1] == inf:
            raise ValueError(f"{name}: the bounds of buckets must ascend, and be finite")
        return self._define(
            _Definition(name, MetricKind.HISTOGRAM, description, unit, tuple(labels), bounds)
        )

    def _define(self, definition: _Definition) -> _Instrument:
        name = definition.name
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a metric: use letters, digits and _")
        known = self._instruments.get(name)
        if known is None:
            known = self._instruments[name] = _Instrument(definition, self._region)
            self._region.place(definition.key)
        if known.definition != definition:
            raise ValueError(f"there is another metric {name}, a {known.definition.kind.value}")
        return known

    def collect(self) -> list[Metric]:
        """See base."""
        sums: dict[str, float] = {}
        for worker in range(self._memory.workers):
            for key, number in self._memory.region(worker).read().items():
                sums[key] = sums.get(key, 0.0) + number
        parts: dict[str, dict[tuple[str, ...], dict[object, float]]] = {}
        for key, number in sums.items():
            name, *rest = _parse(key)
            if name:
                values, part = rest
                parts.setdefault(name, {}).setdefault(tuple(values), {})[part] = number
        return [
            _metric(definition, parts.get(name, {}))
            for name, definition in sorted(_definitions(sums).items())
        ]


@lru_cache(maxsize=8192)
def _parse(key: str) -> list[Any]:
    """Parse a key; what is returned must not be changed."""
    parsed: list[Any] = json.loads(key)
    return parsed


def _definitions(numbers: dict[str, float]) -> dict[str, _Definition]:
    found = {}
    for key in numbers:
        name, *rest = _parse(key)
        if not name:
            title, kind, description, unit, labels, bounds = rest
            found[title] = _Definition(
                title, MetricKind(kind), description, unit, tuple(labels), tuple(bounds)
            )
    return found


def _metric(definition: _Definition, parts: dict[tuple[str, ...], dict[object, float]]) -> Metric:
    samples = tuple(
        _sample(definition, dict(zip(definition.labels, values, strict=True)), numbers)
        for values, numbers in sorted(parts.items())
    )
    kind, description, unit = definition.kind, definition.description, definition.unit
    return Metric(definition.name, kind, description, unit, samples)


def _sample(definition: _Definition, labels: dict[str, str], numbers: dict[Any, float]) -> Sample:
    if definition.kind is not MetricKind.HISTOGRAM:
        return Sample(labels, numbers.get("value", 0.0))
    bounds = (*definition.bounds, inf)
    counts = accumulate(int(numbers.get(index, 0)) for index in range(len(bounds)))
    return Sample(labels, numbers.get("sum", 0.0), tuple(zip(bounds, counts, strict=True)))
