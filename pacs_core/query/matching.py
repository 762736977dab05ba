"""Conditions of the query model, evaluated on the attributes of one instance or item.

That is all the matching of an index which looks at everything, and what others need for the items
of sequences (PS3.4 C.2.2.2.6). An index that compares elsewhere, in SQL say, has to come to the
same results: `pacs_core.testing.index_matching` holds it to that.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from pacs_core.dataset import Attributes, items, texts, vr_of
from pacs_core.query.model import (
    AllOf,
    AnyOf,
    Condition,
    DateTimeRange,
    Either,
    Empty,
    Not,
    PersonName,
    Range,
    Restriction,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
    fold_name,
    name_groups,
    restricted_tags,
)
from pacs_core.query.temporal import (
    MOMENT_VRS,
    TIMEZONE_OFFSET,
    comparables,
    is_within,
    range_bounds,
    timezone_of,
)

# Theory of operation
#
# Text is folded before it is compared only for person names (`fold_name`: case, and forms that
# Unicode holds to be compatible); all else is matched as it stands. Numbers are compared as numbers
# because DS and IS have many spellings of one value. Dates and times are compared by their forms,
# of `temporal`.
#
# An attribute with several values matches if one of them does (PS3.4 C.2.2.3); an item of a
# sequence matches if it meets all conditions at once, which is why they cannot be split into
# conditions of the dataset.
#
# A key of asterisks alone is universal matching: it matches also what is absent or empty (PS3.4
# C.2.2.2.3), and so does a range without bounds.

NUMBER_VRS: Final = frozenset({"DS", "IS", "SL", "SS", "UL", "US"})
"""Representations whose values are equal if they are the same number."""

_NUMBER: Final = re.compile(r"[+-]?(\d{1,32}(\.\d{0,32})?|\.\d{1,32})([eE][+-]?\d{1,4})?", re.ASCII)


def matches(condition: Condition, attributes: Attributes) -> bool:
    """Tell whether a condition holds for attributes."""
    return _MATCHERS[type(condition)](condition, attributes)


def admits(restriction: Restriction, attributes: Attributes) -> bool:
    """Tell whether a restriction lets an instance with these attributes exist for a query."""
    if isinstance(restriction, AllOf):
        return all(admits(each, attributes) for each in restriction.restrictions)
    if isinstance(restriction, Either):
        return any(admits(each, attributes) for each in restriction.restrictions)
    if isinstance(restriction, Not):
        return not admits(restriction.restriction, attributes)
    return matches(restriction, attributes)


def surely_admits(restriction: Restriction, attributes: Attributes) -> bool:
    """Tell whether a restriction lets something exist, whatever it does not say of itself.

    For what is no instance but is about some, such as a step of the worklist: what has no value
    there may have any in the instances. So neither a condition on it nor its negation holds.

    Parameters
    ----------
    restriction : Restriction
    attributes : Attributes
        What is said.
    """
    return _judge(restriction, attributes) is True


def _judge(restriction: Restriction, attributes: Attributes) -> bool | None:
    """Tell whether a restriction holds; None if what is said does not decide that."""
    match restriction:
        case AllOf(restrictions):
            return _all_of([_judge(each, attributes) for each in restrictions])
        case Either(restrictions):
            return _any_of([_judge(each, attributes) for each in restrictions])
        case Not(inner):
            found = _judge(inner, attributes)
            return None if found is None else not found
    if not all(any(attributes.get(tag, ())) for tag in restricted_tags((restriction,))):
        return None
    if isinstance(restriction, SequenceMatch):
        return _any_of(
            [
                _all_of([_judge(each, item) for each in restriction.conditions])
                for item in items(attributes, restriction.tag)
            ]
        )
    return matches(restriction, attributes)


def _all_of(found: Sequence[bool | None]) -> bool | None:
    return False if False in found else None if None in found else True


def _any_of(found: Sequence[bool | None]) -> bool | None:
    return True if True in found else None if None in found else False


@lru_cache(maxsize=4096)
def wildcard_pattern(text: str) -> "re.Pattern[str]":
    """Return a wild card pattern as a regular expression (PS3.4 C.2.2.2.4)."""
    first, *rest = ("".join("." if c == "?" else re.escape(c) for c in p) for p in text.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    # Atomic groups: the first place where a piece fits is as good as any, so that a pattern of
    # many asterisks takes no exponential time.
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def number_of(text: str) -> Decimal | None:
    """Return the number that the text of an IS or DS value is; None if it is none."""
    text = text.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _values(attributes: Attributes, tag: int) -> tuple[str, ...]:
    return tuple(filter(None, texts(attributes, tag)))


def _single(condition: SingleValue, attributes: Attributes) -> bool:
    vr, wanted = vr_of(condition.tag), condition.value
    if vr in MOMENT_VRS:
        return _range(Range(condition.tag, wanted, wanted), attributes)
    if vr == "PN":
        return _name(PersonName(condition.tag, name_groups(wanted)), attributes)
    found = _values(attributes, condition.tag)
    if wanted in found:
        return True
    number = number_of(wanted) if vr in NUMBER_VRS else None
    return number is not None and number in map(number_of, found)


def _uids(condition: UidList, attributes: Attributes) -> bool:
    return not set(condition.uids).isdisjoint(_values(attributes, condition.tag))


def _wildcard(condition: Wildcard, attributes: Attributes) -> bool:
    if not condition.pattern.strip("*"):
        return True
    if vr_of(condition.tag) == "PN":
        return _name(PersonName(condition.tag, name_groups(condition.pattern)), attributes)
    pattern = wildcard_pattern(condition.pattern)
    return any(pattern.fullmatch(text) for text in _values(attributes, condition.tag))


def _range(condition: Range, attributes: Attributes) -> bool:
    if not (condition.start or condition.end):
        return True
    vr, zone = vr_of(condition.tag), timezone_of(attributes)
    bounds = range_bounds(vr, condition.start, condition.end, condition.offset)
    return any(
        low <= form <= high
        for text in _values(attributes, condition.tag)
        for form in comparables(vr, text, zone)
        for low, high in bounds
    )


def _date_time(condition: DateTimeRange, attributes: Attributes) -> bool:
    date, time = (
        next(iter(_values(attributes, tag)), "") for tag in (condition.date_tag, condition.time_tag)
    )
    return is_within(condition, date, time, timezone_of(attributes))


def _name(condition: PersonName, attributes: Attributes) -> bool:
    wanted = tuple(map(fold_name, condition.groups[:3]))
    return not any(pattern.strip("*") for pattern in wanted) or any(
        _name_matches(wanted, name_groups(text)) for text in _values(attributes, condition.tag)
    )


def _name_matches(wanted: tuple[str, ...], found: tuple[str, ...]) -> bool:
    if len(wanted) == 1:
        return any(_group_matches(wanted[0], group) for group in found[:3])
    padded = (*found, "", "")
    return all(
        not pattern.strip("*") or _group_matches(pattern, group)
        for pattern, group in zip(wanted, padded, strict=False)
    )


def _group_matches(pattern: str, group: str) -> bool:
    # Components that a name lacks are empty, so "smith^*" matches "smith".
    padded = group + "^" * max(0, pattern.count("^") - group.count("^"))
    return any(wildcard_pattern(pattern).fullmatch(text) for text in (group, padded))


def _sequence(condition: SequenceMatch, attributes: Attributes) -> bool:
    found = items(attributes, condition.tag)
    return not condition.conditions or any(
        item_matches(condition.conditions, item, timezone_of(attributes)) for item in found
    )


def item_matches(conditions: Sequence[Condition], item: Attributes, offset: str) -> bool:
    """Tell whether an item meets all `conditions`.

    Parameters
    ----------
    conditions : sequence of Condition
    item : Attributes
    offset : str
        Timezone Offset From UTC of the instance, which holds within its sequences (PS3.3
        C.12.1.1.8); nothing if it has none.
    """
    zoned = {TIMEZONE_OFFSET: (offset,), **item} if offset else item
    return all(matches(condition, zoned) for condition in conditions)


def _empty(condition: Empty, attributes: Attributes) -> bool:
    return not any(attributes.get(condition.tag, ()))


def _any(condition: AnyOf, attributes: Attributes) -> bool:
    return any(matches(each, attributes) for each in condition.conditions)


_MATCHERS: Final[dict[type, Callable[[Any, Attributes], bool]]] = {
    SingleValue: _single,
    UidList: _uids,
    Wildcard: _wildcard,
    Range: _range,
    DateTimeRange: _date_time,
    PersonName: _name,
    SequenceMatch: _sequence,
    Empty: _empty,
    AnyOf: _any,
}
