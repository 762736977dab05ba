"""One table of ratios with the raw figures beside them, as text, Markdown, JSON and SVG."""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import median
from xml.sax.saxutils import escape

from .contestant import Contestant
from .runner import Options, Results, Series

_COLUMNS = ("workload", "place", "contestant", "median", "min", "max", "unit")


def _ratios(ours: Series, theirs: Series) -> list[float]:
    """Return how many times better ours did, round by round."""
    pairs = [(m, t) for m, t in zip(ours.values, theirs.values, strict=False) if m > 0 and t > 0]
    if ours.metric.higher_is_better:
        return [mine / other for mine, other in pairs]
    return [other / mine for mine, other in pairs]


def _groups(results: Results) -> Iterator[list[Series]]:
    for _, group in groupby(results.series.values(), lambda s: (s.case, s.place)):
        members = list(group)
        for name in dict.fromkeys(series.metric.name for series in members):
            yield [series for series in members if series.metric.name == name]


def _ratio_text(ours: Series | None, theirs: Series) -> str:
    if ours is None or ours is theirs:
        return ""
    ratios = _ratios(ours, theirs)
    if not ratios:
        return ""
    return f"{median(ratios):.2f} ({' '.join(f'{ratio:.2f}' for ratio in ratios)})"


def rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return the heading and the rows of the table."""
    own = list(
        dict.fromkeys(s.contestant.name for s in results.series.values() if s.contestant.is_ours)
    )
    heading = [*_COLUMNS, *(f"{name} is × as good" for name in own)]
    table = []
    for group in _groups(results):
        by_name = {series.contestant.name: series for series in group}
        for series in group:
            values = [median(series.values), min(series.values), max(series.values)]
            ratios = [_ratio_text(by_name.get(name), series) for name in own]
            title = f"{series.case}: {series.metric.name}"
            figures = [_figure(value) for value in values]
            head = [title, series.place, series.contestant.name]
            table.append([*head, *figures, series.metric.unit, *ratios])
    return heading, table


def _figure(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def text(results: Results) -> str:
    """Return the table as text, in columns."""
    heading, table = rows(results)
    widths = [max(map(len, column)) for column in zip(heading, *table, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [heading, *table]
    ]
    lines += [f"not measured: {' '.join(key)}: {why}" for key, why in results.failures.items()]
    return "\n".join(lines)


def markdown(results: Results) -> str:
    """Return the table as Markdown."""
    heading, table = rows(results)
    lines = [heading, ["---"] * len(heading), *table]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write(results: Results, options: Options, directory: Path) -> None:
    """Write ``results.md``, ``results.json`` and ``results.svg``."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = "\n".join(f"- {c.name}: {c.settings}" for c in options.contestants)
    page = f"{_machine()}\n\n{markdown(results)}\n{settings}\n"
    (directory / "results.md").write_text(page, encoding="utf-8")
    (directory / "results.svg").write_text(svg(results), encoding="utf-8")
    (directory / "results.json").write_text(json.dumps(_plain(results), indent=1), "utf-8")


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}. "
        "Each figure is a median of the rounds, with minimum and maximum; ratios are medians of "
        "the ratios round by round, which follow in parentheses."
    )


def _plain(results: Results) -> list[dict[str, object]]:
    return [
        {
            "case": series.case,
            "place": series.place,
            "metric": series.metric.name,
            "unit": series.metric.unit,
            "contestant": series.contestant.name,
            "values": series.values,
        }
        for series in results.series.values()
    ]


# --- the plot: bars of medians with a line from minimum to maximum, a panel for each case

_WIDTH, _BAR, _LEFT, _RIGHT, _HEAD = 760, 16, 190, 110, 26
_OURS, _PEER = "#1f77b4", "#9aa5b1"


def svg(results: Results) -> str:
    """Return a plot of all figures."""
    body, top = [], 10
    for group in _groups(results):
        body.append(_panel(group, top))
        top += _HEAD + _BAR * len(group) + 14
    style = 'font-family="sans-serif" font-size="11"'
    size = f'width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{"".join(body)}</svg>\n'


def _panel(group: Sequence[Series], top: int) -> str:
    first = group[0]
    better = "more is better" if first.metric.higher_is_better else "less is better"
    title = f"{first.case}, {first.metric.name} on {first.place} ({first.metric.unit}, {better})"
    scale = (_WIDTH - _LEFT - _RIGHT) / (max(max(s.values) for s in group) or 1)
    bars = [_bar(s, top + _HEAD + _BAR * row, scale) for row, s in enumerate(group)]
    return f'<text x="8" y="{top + 14}" font-weight="bold">{escape(title)}</text>\n{"".join(bars)}'


def _bar(series: Series, y: int, scale: float) -> str:
    middle, low, high = (f(series.values) * scale for f in (median, min, max))
    color, line = _color(series.contestant), y + _BAR // 2 - 1
    label = f'<text x="{_LEFT - 6}" y="{y + 11}" text-anchor="end">{series.contestant.name}</text>'
    bar = f'<rect x="{_LEFT}" y="{y}" width="{middle:.1f}" height="{_BAR - 4}" fill="{color}"/>'
    spread = (
        f'<line x1="{_LEFT + low:.1f}" x2="{_LEFT + high:.1f}" y1="{line}" y2="{line}" '
        'stroke="#222"/>'
    )
    value = f'<text x="{_LEFT + high + 5:.1f}" y="{y + 11}">{_figure(median(series.values))}</text>'
    return f"{label}{bar}{spread}{value}\n"


def _color(contestant: Contestant) -> str:
    return _OURS if contestant.is_ours else _PEER
