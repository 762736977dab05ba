"""Attribute matching over plain attributes, condition by condition (PS3.4 C.2.2.2)."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

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
    name_groups,
    range_bounds,
)
from pacs_core.dataset import Attributes, items, texts, vr_of


def matches(condition: Condition, attributes: Attributes) -> bool:
    """Tell whether a condition holds for attributes."""
    return _MATCHERS[type(condition)](condition, attributes)


@lru_cache(maxsize=256)
def _pattern(wildcard: str) -> "re.Pattern[str]":
    escaped = re.escape(wildcard).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.DOTALL)


def _single(condition: SingleValue, attributes: Attributes) -> bool:
    return condition.value in texts(attributes, condition.tag)


def _uids(condition: UidList, attributes: Attributes) -> bool:
    return not set(condition.uids).isdisjoint(texts(attributes, condition.tag))


def _wildcard(condition: Wildcard, attributes: Attributes) -> bool:
    pattern = _pattern(condition.pattern)
    return not condition.pattern.strip("*") or any(
        pattern.fullmatch(text) for text in texts(attributes, condition.tag)
    )


def _range(condition: Range, attributes: Attributes) -> bool:
    vr = vr_of(condition.tag)
    low, high = range_bounds(vr, condition.start, condition.end)
    return any(low <= comparable(vr, text) <= high for text in texts(attributes, condition.tag))


def _date_time(condition: DateTimeRange, attributes: Attributes) -> bool:
    date = "".join(texts(attributes, condition.date_tag)[:1])
    time = "".join(texts(attributes, condition.time_tag)[:1])
    low = (
        range_bounds("DA", condition.start_date, "")[0]
        + (range_bounds("TM", condition.start_time, "")[0])
    )
    high = (
        range_bounds("DA", "", condition.end_date)[1]
        + (range_bounds("TM", "", condition.end_time)[1])
    )
    return bool(date) and low <= comparable("DA", date) + comparable("TM", time) <= high


def _name(condition: PersonName, attributes: Attributes) -> bool:
    return not any(pattern.strip("*") for pattern in condition.groups) or any(
        _name_matches(condition.groups, name_groups(text))
        for text in texts(attributes, condition.tag)
    )


def _name_matches(wanted: tuple[str, ...], found: tuple[str, ...]) -> bool:
    if len(wanted) == 1:
        return any(_group_matches(wanted[0], group) for group in found)
    padded = (*found, "", "")
    return all(
        not pattern or _group_matches(pattern, group)
        for pattern, group in zip(wanted, padded, strict=False)
    )


def _group_matches(pattern: str, group: str) -> bool:
    # Components that a name lacks are empty, so "smith^*" matches "smith".
    padded = group + "^" * max(0, pattern.count("^") - group.count("^"))
    return any(_pattern(pattern).fullmatch(text) for text in (group, padded))


def _sequence(condition: SequenceMatch, attributes: Attributes) -> bool:
    return any(
        all(matches(inner, item) for inner in condition.conditions)
        for item in items(attributes, condition.tag)
    )


def _empty(condition: Empty, attributes: Attributes) -> bool:
    return not attributes.get(condition.tag)


_MATCHERS: Final[dict[type, Callable[[Any, Attributes], bool]]] = {
    SingleValue: _single,
    UidList: _uids,
    Wildcard: _wildcard,
    Range: _range,
    DateTimeRange: _date_time,
    PersonName: _name,
    SequenceMatch: _sequence,
    Empty: _empty,
}
