"""Charts of the load: samples to rates, and rates to the lines of a picture (SVG).

A chart is drawn by the template from numbers that are ready here, so that the page needs no script.
Lines differ in colour and in dashes. What a chart shows is also said in words, for those who do not
see it.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import floor, log10
from typing import Final

from attrs import evolve, frozen

from pacs_web_ui.load import LoadSample

WIDTH: Final = 360
HEIGHT: Final = 120
_MOST_LINES: Final = 4
_RATES: Final = ((1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s"))
Value = Callable[[LoadSample, LoadSample, str], float | None]


@frozen
class ChartLine:
    """A line of a chart.

    Attributes
    ----------
    name : str
    paths : tuple of str
        Points of each part without gaps, as SVG's ``points``.
    now, peak : float
    """

    name: str
    paths: tuple[str, ...]
    now: float
    peak: float


@frozen
class Chart:
    """A chart: lines, and the numbers at its upper edge and in the middle."""

    title: str
    unit: str
    lines: tuple[ChartLine, ...]
    top: float
    minutes: int

    @property
    def middle(self) -> float:
        """The number at half of the height."""
        return self.top / 2


@frozen
class _Series:
    """A value for each interval, or None where there is none."""

    name: str
    values: tuple[float | None, ...]

    @property
    def peak(self) -> float:
        return max((each for each in self.values if each is not None), default=0.0)

    def divide(self, divisor: float) -> "_Series":
        return evolve(self, values=tuple(each and each / divisor for each in self.values))


def make_charts(samples: Sequence[LoadSample]) -> list[Chart]:
    """Return the charts of operations, throughput and durations."""
    operations = _most_frequent(samples)
    return [
        _chart("Operations per second", "/s", samples, operations, _rate),
        _chart("Throughput of associations", "B/s", samples, ("received", "sent"), _bytes),
        _chart("Mean duration", "ms", samples, operations, _milliseconds),
    ]


def _most_frequent(samples: Sequence[LoadSample]) -> tuple[str, ...]:
    """Return the operations of this time that are most frequent, by name so that colours stay."""
    if not samples:
        return ()
    first, last = samples[0].operations, samples[-1].operations
    grown = {name: count - first.get(name, 0) for name, count in last.items()}
    ranked = sorted((name for name in grown if grown[name]), key=lambda name: -grown[name])
    return tuple(sorted(ranked[:_MOST_LINES]))


def _rate(earlier: LoadSample, later: LoadSample, name: str) -> float:
    more = later.operations.get(name, 0) - earlier.operations.get(name, 0)
    return more / (later.time - earlier.time)


def _bytes(earlier: LoadSample, later: LoadSample, name: str) -> float:
    more = later.bytes.get(name, 0) - earlier.bytes.get(name, 0)
    return more / (later.time - earlier.time)


def _milliseconds(earlier: LoadSample, later: LoadSample, name: str) -> float | None:
    count = later.operations.get(name, 0) - earlier.operations.get(name, 0)
    took = later.seconds.get(name, 0) - earlier.seconds.get(name, 0)
    return 1000 * took / count if count else None


def _chart(
    title: str, unit: str, samples: Sequence[LoadSample], names: Sequence[str], value: Value
) -> Chart:
    pairs = [(a, b) for a, b in pairwise(samples) if b.time > a.time]
    series = [_Series(name, tuple(value(a, b, name) for a, b in pairs)) for name in names]
    peak = max((each.peak for each in series), default=0.0)
    if unit == "B/s":
        divisor, unit = next((d, u) for d, u in _RATES if peak >= d or d == 1)
        series = [each.divide(divisor) for each in series]
        peak /= divisor
    top = round_up(peak)
    began = samples[0].time if samples else 0.0
    span = samples[-1].time - began if pairs else 0.0
    steps = [(_x(a.time - began, span), _x(b.time - began, span)) for a, b in pairs]
    lines = tuple(
        ChartLine(each.name, _paths(each.values, steps, top), _now(each), each.peak)
        for each in series
    )
    return Chart(title, unit, lines, top, max(1, round(span / 60)))


def _x(time: float, span: float) -> float:
    return WIDTH * time / span


def _now(series: _Series) -> float:
    return next((each for each in reversed(series.values) if each is not None), 0.0)


def _paths(
    values: Sequence[float | None], steps: Sequence[tuple[float, float]], top: float
) -> tuple[str, ...]:
    """Return the points of each run of values, a step for each interval."""
    runs: list[list[str]] = [[]]
    for (left, right), each in zip(steps, values, strict=True):
        if each is None:
            runs.append([])
        else:
            y = HEIGHT * (1 - each / top)
            runs[-1] += [f"{left:.1f},{y:.1f}", f"{right:.1f},{y:.1f}"]
    return tuple(" ".join(run) for run in runs if run)


def round_up(value: float) -> float:
    """Return the next number that people like to read: 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999999)


def show_number(value: float) -> str:
    """Return a number with no more digits than one can read: 0.05, 1.2, 340.

    Thousands are set off by a space (ISO 80000-1): a comma is the decimal sign in German.
    """
    if value >= 100 or value == int(value):
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
