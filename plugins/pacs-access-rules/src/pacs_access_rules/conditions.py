"""Conditions of rules: tables of attributes in the policy, and what they become for an index.

The values are keys of C-FIND (PS3.4 C.2.2.2), read by the kernel's rules for these: wild cards,
ranges of dates and times, lists of which one value is enough, an empty text for what is empty or
absent. What a key cannot say is an age, a date that is so long ago today; it becomes a range on the
day of use.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from attrs import frozen

from pacs_core.contracts import (
    AllOf,
    Either,
    InvalidKeyError,
    KeyMatching,
    Not,
    Range,
    Restriction,
    restricted_tags,
)
from pacs_core.dataset import Attributes, UnknownAttribute, Value, keyword_of, tag_of, vr_of

EVERYTHING: Final = AllOf(())
NOTHING: Final = Either(())

COMPUTED: Final = {
    tag_of("ModalitiesInStudy"): "Modality",
    tag_of("SOPClassesInStudy"): "SOPClassUID",
}
"""Attributes that an index works out, and those that it makes them of (PS3.4 C.3.4)."""
_COUNTS: Final = frozenset(range(0x0020_1200, 0x0020_120A, 2))
_EMPTY: Final = '""'
_AGES: Final = ("newer_than", "older_than")
_AGE: Final = re.compile(r"(\d{1,4}) (day|week|year)s?", re.ASCII)
_KEYS: Final = KeyMatching(empty_values=True)


class ConditionError(ValueError):
    """A condition that makes no sense.

    Parameters
    ----------
    key : str
        As it is in the file.
    reason : str
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


@frozen
class Age:
    """A length of time up to today."""

    count: int
    unit: str

    def before(self, day: date) -> date:
        """Return the day that was so long before another."""
        try:
            if self.unit != "year":
                return day - timedelta(days=self.count * (7 if self.unit == "week" else 1))
            leap = (day.month, day.day) == (2, 29)
            return day.replace(year=day.year - self.count, day=28 if leap else day.day)
        except (ValueError, OverflowError):
            return date.min


@frozen
class AgeRange:
    """A condition on a date that depends on the day of use: both hold, of those that are there."""

    tag: int
    newer_than: Age | None = None
    older_than: Age | None = None

    def range(self, today: date) -> Range:
        """Return the condition as of a day."""
        start = _plain(self.newer_than.before(today)) if self.newer_than else ""
        end = ""
        if self.older_than:
            first = self.older_than.before(today)
            end = _plain(first - timedelta(days=1) if first > date.min else first)
        return Range(self.tag, start, end)


def _plain(day: date) -> str:
    return day.isoformat().replace("-", "")


Part = Restriction | AgeRange


@frozen
class Objects:
    """What a rule is about: instances of which some `where` holds, and no `unless`.

    Attributes
    ----------
    where, unless : tuple of tuple of Part
        Alternatives, each with conditions that hold together.
    """

    where: tuple[tuple[Part, ...], ...] = ()
    unless: tuple[tuple[Part, ...], ...] = ()

    @property
    def is_all(self) -> bool:
        """Whether it is about everything."""
        return not (self.where or self.unless)

    @property
    def tags(self) -> frozenset[int]:
        """Tags of the attributes that it depends on."""
        found: set[int] = set()
        for part in (part for each in (*self.where, *self.unless) for part in each):
            found |= {part.tag} if isinstance(part, AgeRange) else restricted_tags((part,))
        return frozenset(found)

    def restriction(self, today: date) -> Restriction:
        """Return it as a restriction, as of a day."""
        found = _alternatives(self.where, today) if self.where else EVERYTHING
        if not self.unless:
            return found
        excepted = Not(_alternatives(self.unless, today))
        return excepted if found == EVERYTHING else AllOf((found, excepted))


def _alternatives(alternatives: tuple[tuple[Part, ...], ...], today: date) -> Restriction:
    each: list[Restriction] = []
    for parts in alternatives:
        found = tuple(p.range(today) if isinstance(p, AgeRange) else p for p in parts)
        each.append(found[0] if len(found) == 1 else AllOf(found))
    return each[0] if len(each) == 1 else Either(tuple(each))


def read_conditions(table: Mapping[str, Any]) -> tuple[Part, ...]:
    """Return the conditions of a table, which hold together.

    Raises
    ------
    ConditionError
        One of them makes no sense.
    """
    if not table:
        raise ConditionError("where", "a table without conditions is about nothing in particular")
    return tuple(part for key, value in table.items() for part in _read(key, value))


def _read(key: str, value: object) -> Iterator[Part]:
    tag = _tag(key)
    if tag in COMPUTED:
        raise ConditionError(key, f"is worked out by the index: name {COMPUTED[tag]} instead")
    if tag in _COUNTS:
        raise ConditionError(key, "is counted by the index, and cannot be a condition")
    if isinstance(value, Mapping) and value.keys() & set(_AGES):
        yield _read_age(key, tag, value)
        return
    try:
        found = _KEYS.conditions({tag: _values(key, tag, value)}, (tag,))
    except InvalidKeyError as error:
        raise ConditionError(key, error.comment) from error
    if not found:
        raise ConditionError(key, "matches everything: leave it out")
    yield from found


def _tag(key: str) -> int:
    try:
        return tag_of(key)
    except UnknownAttribute as error:
        raise ConditionError(key, str(error)) from error


def _values(key: str, tag: int, value: object) -> tuple[Value, ...]:
    if isinstance(value, list):
        if not value:
            raise ConditionError(key, "an empty list matches nothing")
        return tuple(each for item in value for each in _values(key, tag, item))
    if isinstance(value, Mapping):
        if vr_of(tag) != "SQ":
            raise ConditionError(key, f"expected a text or a list of them, found {dict(value)!r}")
        return (_item(value),)
    if isinstance(value, bool) or not isinstance(value, str | int | float | date):
        raise ConditionError(key, f"expected a text or a list of them, found {value!r}")
    if isinstance(value, date) and not isinstance(value, datetime):
        return (value.strftime("%Y%m%d"),)
    return (str(value) or _EMPTY,)


def _item(table: Mapping[str, Any]) -> Attributes:
    return {_tag(key): _values(key, _tag(key), value) for key, value in table.items()}


def _read_age(key: str, tag: int, table: Mapping[str, Any]) -> AgeRange:
    if vr_of(tag) != "DA":
        raise ConditionError(key, f"has no age: {keyword_of(tag)} is no date")
    if unknown := sorted(table.keys() - set(_AGES)):
        raise ConditionError(key, f"unknown key {unknown[0]!r}; known are {', '.join(_AGES)}")
    ages = {}
    for name, text in table.items():
        match = _AGE.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ConditionError(
                key, f'{name}: expected a text such as "90 days" or "2 years", found {text!r}'
            )
        ages[name] = Age(int(match[1]), match[2])
    return AgeRange(tag, **ages)
