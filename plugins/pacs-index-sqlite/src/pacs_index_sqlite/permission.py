"""The test whether an instance meets a restriction, as a function that a statement calls.

Theory of operation
-------------------
Rules of a site become a tree of hundreds of conditions, and a restricted statement names the tree
once for each table, so that SQL for it would be as long as all of that together: SQLite would
parse megabytes, and compare each row with every condition. So the statement only names the columns
that the conditions are about, once each, and calls a function with them.

The function looks at little more than once at anything. Conditions on the same attributes are a
group: which of them hold depends on the values in these columns alone, of which there are few
different ones (institutions, modalities), or which stay the same from row to row (a patient's).
And what comes of the conditions that hold is the same for all rows of which the same ones hold.
"""

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

from pacs_core.contracts import (
    MOMENT_VRS,
    TIMEZONE_OFFSET,
    AllOf,
    Condition,
    Either,
    Level,
    Not,
    Restriction,
    matches,
    restricted_tags,
)
from pacs_core.dataset import vr_of
from pacs_core.relational import ZONES, Attribute, Dialect, Sql, value_of

_REMEMBERED = 4096
_Holding = frozenset[Condition]


def conditions_of(restriction: Restriction) -> list[Condition]:
    """Return the conditions of a restriction, as often as it names them."""
    if isinstance(restriction, AllOf | Either):
        return [found for each in restriction.restrictions for found in conditions_of(each)]
    if isinstance(restriction, Not):
        return conditions_of(restriction.restriction)
    return [restriction]


def permits(
    dialect: Dialect, restriction: Restriction, attribute_of: Callable[[int], Attribute]
) -> Sql:
    """Return whether a row of `instance` and those above it meet a restriction; never NULL.

    Parameters
    ----------
    dialect : Dialect
    restriction : Restriction
    attribute_of : callable
        Returns the attribute with a tag.

    Raises
    ------
    ValueError
        From `attribute_of`.
    """
    groups: dict[tuple[int, ...], list[Condition]] = {}
    for condition in dict.fromkeys(conditions_of(restriction)):
        groups.setdefault(_tags(condition), []).append(condition)
    tags = sorted({tag for group in groups for tag in group})
    attributes = {tag: _of_instance(tag, attribute_of) for tag in tags}
    tests = [
        (tuple(map(tags.index, group)), _test([attributes[t] for t in group], conditions))
        for group, conditions in groups.items()
    ]

    @lru_cache(_REMEMBERED)
    def judge(holding: _Holding) -> bool:
        return _is_met(restriction, holding)

    @lru_cache(_REMEMBERED)
    def permits(*values: str | None) -> bool:
        found = (test(*[values[at] for at in places]) for places, test in tests)
        return judge(frozenset[Condition]().union(*found))

    columns = ", ".join(value_of(dialect, attribute) for attribute in attributes.values())
    return Sql(f"permits({columns})", (), (("permits", permits),))


def _tags(condition: Condition) -> tuple[int, ...]:
    """Return the tags on whose values a condition depends."""
    tags = restricted_tags((condition,))
    if any(vr_of(tag) in {*MOMENT_VRS, "SQ"} for tag in tags):
        tags |= {TIMEZONE_OFFSET}  # PS3.3 C.12.1.1.8
    return tuple(sorted(tags))


def _of_instance(tag: int, attribute_of: Callable[[int], Attribute]) -> Attribute:
    return ZONES[Level.IMAGE] if tag == TIMEZONE_OFFSET else attribute_of(tag)


def _test(attributes: list[Attribute], conditions: list[Condition]) -> Callable[..., _Holding]:
    """Return a function that tells which conditions hold for the texts of some attributes."""

    @lru_cache(_REMEMBERED)
    def test(*texts: Any) -> _Holding:
        values = {
            attribute.tag: attribute.values(str(text)) if text else ()
            for attribute, text in zip(attributes, texts, strict=True)
        }
        return frozenset(each for each in conditions if matches(each, values))

    return test


def _is_met(restriction: Restriction, holding: Collection[Condition]) -> bool:
    if isinstance(restriction, AllOf):
        return all(_is_met(each, holding) for each in restriction.restrictions)
    if isinstance(restriction, Either):
        return any(_is_met(each, holding) for each in restriction.restrictions)
    if isinstance(restriction, Not):
        return not _is_met(restriction.restriction, holding)
    return restriction in holding
