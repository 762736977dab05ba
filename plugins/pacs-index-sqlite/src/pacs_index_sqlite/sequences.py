"""Sequences in a column: JSON text, and matching against the items in it (PS3.4 C.2.2.2.6)."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from pacs_core.contracts import (
    Condition,
    DateTimeRange,
    Empty,
    PersonName,
    Range,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
    comparable,
    fold_name,
    name_groups,
    range_bounds,
)
from pacs_core.dataset import Attributes, vr_of

MAX_DEPTH = 8
"""Sequences nested more deeply are left out; no key of PS3.4 comes near."""


def to_json(values: Sequence[str | Attributes]) -> str:
    """Return the items of a sequence as JSON text: a list of objects keyed by tag."""
    return json.dumps(_plain(values, 0), ensure_ascii=False, separators=(",", ":"))


def _plain(values: Sequence[str | Attributes], depth: int) -> list[Any]:
    if depth >= MAX_DEPTH:
        return []
    return [v if isinstance(v, str) else _plain_item(v, depth) for v in values]


def _plain_item(item: Attributes, depth: int) -> dict[str, list[Any]]:
    return {f"{tag:08X}": _plain(values, depth + 1) for tag, values in item.items()}


def from_json(text: str) -> tuple[Attributes, ...]:
    """Return the items that :func:`to_json` wrote."""
    return tuple(_item(item) for item in json.loads(text))


def _item(item: dict[str, list[Any]]) -> Attributes:
    return {
        int(tag, 16): tuple(v if isinstance(v, str) else _item(v) for v in values)
        for tag, values in item.items()
    }


def sequence_matcher(conditions: Sequence[Condition]) -> Callable[[str | None], bool]:
    """Return an SQL function that tells whether some item in JSON text meets all `conditions`."""

    def matches(text: str | None) -> bool:
        return text is not None and any(meets(item, conditions) for item in from_json(text))

    return matches


def meets(item: Attributes, conditions: Sequence[Condition]) -> bool:
    """Tell whether an item meets all conditions."""
    return all(_TESTS[type(condition)](item, condition) for condition in conditions)


def _texts(item: Attributes, tag: int) -> list[str]:
    return [v for v in item.get(tag, ()) if isinstance(v, str) and v]


def _single(item: Attributes, c: SingleValue) -> bool:
    return c.value in _texts(item, c.tag)


def _uids(item: Attributes, c: UidList) -> bool:
    return not set(c.uids).isdisjoint(_texts(item, c.tag))


def pattern(text: str) -> re.Pattern[str]:
    """Return a wild card pattern as a regular expression (PS3.4 C.2.2.2.4)."""
    first, *rest = ("".join("." if c == "?" else re.escape(c) for c in p) for p in text.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    # Atomic groups: the first place where a piece fits is as good as any, so that a pattern of
    # many asterisks takes no exponential time.
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def _wildcard(item: Attributes, c: Wildcard) -> bool:
    found = pattern(c.pattern)
    return any(found.fullmatch(text) for text in _texts(item, c.tag))


def _range(item: Attributes, c: Range) -> bool:
    vr = vr_of(c.tag)
    low, high = range_bounds(vr, c.start, c.end)
    return any(low <= comparable(vr, text) <= high for text in _texts(item, c.tag))


def _moments(item: Attributes, c: DateTimeRange) -> bool:
    low, high = bounds(c)
    dates = [comparable("DA", text) for text in _texts(item, c.date_tag)]
    times = [comparable("TM", text) for text in _texts(item, c.time_tag)]
    return any(low <= (date, time) <= high for date, time in zip(dates, times, strict=False))


def bounds(c: DateTimeRange) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the earliest and latest date and time of a range over both."""
    dates = range_bounds("DA", c.start_date, c.end_date)
    times = range_bounds("TM", c.start_time, c.end_time)
    return (dates[0], times[0]), (dates[1], times[1])


def _name(item: Attributes, c: PersonName) -> bool:
    return any(_groups_match(name_groups(text), c.groups) for text in _texts(item, c.tag))


def _groups_match(groups: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    if len(wanted) == 1:
        found = pattern(fold_name(wanted[0]))
        return any(found.fullmatch(group) for group in groups)
    padded = (*groups, "", "", "")
    return all(
        pattern(fold_name(want)).fullmatch(padded[number])
        for number, want in enumerate(wanted[:3])
        if want
    )


def _nested(item: Attributes, c: SequenceMatch) -> bool:
    items = [v for v in item.get(c.tag, ()) if not isinstance(v, str)]
    return any(meets(inner, c.conditions) for inner in items)


def _empty(item: Attributes, c: Empty) -> bool:
    return not any(item.get(c.tag, ()))


_TESTS: dict[type, Callable[[Attributes, Any], bool]] = {
    SingleValue: _single,
    UidList: _uids,
    Wildcard: _wildcard,
    Range: _range,
    DateTimeRange: _moments,
    PersonName: _name,
    SequenceMatch: _nested,
    Empty: _empty,
}
