"""Keys with values become conditions of the query model (PS3.4 C.2.2.2).

Whatever asks in the terms of the standard, be it a C-FIND identifier, the parameters of QIDO-RS,
or the keys of a worklist, is read by the same rules: :class:`KeyMatching` makes conditions of it,
which an index answers, or :func:`matches` where there is none.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from pacs_core.dataset import Attributes, Value, keyword_of, tag_of, vr_of
from pacs_core.query.matching import NUMBER_VRS
from pacs_core.query.model import (
    AnyOf,
    Condition,
    DateTimeRange,
    Empty,
    PersonName,
    Range,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
    fold_name,
)
from pacs_core.query.temporal import plain, range_bounds

# Theory of operation
#
# The keys of a request are untyped text; a condition says what kind of matching was meant. Which
# kind it is follows from the representation of the attribute and the form of the value (PS3.4
# C.2.2.2): in a date a hyphen makes a range, in a code string an asterisk makes a pattern. So the
# same text means different things for different attributes, and an index need not know the rules,
# only the kinds.
#
# What matches everything expresses no condition. A key that an index does not keep is passed over
# by the caller, who chooses the tags: the standard lets an SCP leave out optional keys that it does
# not support.
#
# Dates and times are looked at twice: first each by itself, then a date together with its time
# where that was negotiated, or where the request names a zone. In another zone 23:30 is another
# day, so that neither can be compared alone.
#
# What no value could match is an error, not an empty answer: the requestor has made a mistake that
# it would otherwise take for "no such study".

EMPTY_VALUE: Final = '""'
_WILD: Final = frozenset("*?")
_MULTIPLE_VRS: Final = frozenset({"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"})
_WILDCARD_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})

# Dates and times as PS3.5 Table 6.2-1 has them, ACR-NEMA punctuation and 24:00 included.
_DATE: Final = r"\d{8}|\d{4}\.\d{2}\.\d{2}"
_TIME: Final = r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?"
# A hyphen and four digits up to 1200 are an offset from UTC, else the hyphen is a range's.
_DATE_TIME: Final = (
    r"\d{4}(?:\d{2}){0,5}(?:\.\d{1,6})?(?:\+(?:0\d|1[0-4])[0-5]\d|-(?:0\d|1[0-2])[0-5]\d)?"
)
_FORMS: Final = {
    vr: (re.compile(form, re.ASCII), re.compile(f"({form})?-({form})?", re.ASCII))
    for vr, form in {"DA": _DATE, "TM": _TIME, "DT": _DATE_TIME}.items()
}

_DATED: Final = (
    "Study",
    "Series",
    "Acquisition",
    "Content",
    "InstanceCreation",
    "ScheduledProcedureStepStart",
    "PerformedProcedureStepStart",
    "PerformedProcedureStepEnd",
)
DATE_AND_TIME: Final = {tag_of(what + "Date"): tag_of(what + "Time") for what in _DATED}
"""Dates that make a moment with their time. A date of birth does not move with a zone."""


class InvalidKeyError(ValueError):
    """A key has a value that no attribute of its VR could match.

    Attributes
    ----------
    tag : int
        Of the key.
    comment : str
        What is wrong, in at most 64 characters as error comments have (PS3.7 Annex C).
    """

    def __init__(self, tag: int, comment: str) -> None:
        super().__init__(comment)
        self.tag = tag
        self.comment = comment


@frozen
class KeyMatching:
    """Makes conditions of keys; how, where the standard leaves it to negotiation (PS3.4 C.5.1.1).

    Attributes
    ----------
    combined_date_time, fuzzy_names, empty_values, multiple_values : bool
        Whether it was negotiated. Without empty values, two quotation marks match what is empty,
        and what has just that text; without multiple values, one of several is enough.
    offset : str
        Of the zone in which dates and times are meant: Timezone Offset From UTC of the request.
    """

    combined_date_time: bool = False
    fuzzy_names: bool = False
    empty_values: bool = False
    multiple_values: bool = False
    offset: str = ""

    def conditions(self, keys: Attributes, tags: Iterable[int]) -> tuple[Condition, ...]:
        """Return the conditions that the values of `tags` among `keys` express.

        Parameters
        ----------
        keys : Attributes
            Keys with their values, sequences with one item at most; a key without a value, or
            with ``*``, matches universally (PS3.4 C.2.2.2.3) and expresses nothing.
        tags : iterable of int
            Those to be matched: of an index, its :meth:`Index.searchable_tags`.

        Raises
        ------
        InvalidKeyError
            With the offending key: C-FIND answers it with A900H, QIDO-RS with 400.
        """
        found = [
            condition for tag in sorted(tags) for condition in self._key(tag, keys.get(tag, ()))
        ]
        paired = list(self._pair_date_and_time(found))
        for condition in paired:
            _check_order(condition)
        return tuple(paired)

    def _key(self, tag: int, values: tuple[Value, ...]) -> Iterable[Condition]:
        """Return the conditions of one key; none is universal matching (PS3.4 C.2.2.2.3)."""
        vr = vr_of(tag)
        items = [value for value in values if not isinstance(value, str)]
        if bool(items) != (vr == "SQ" and bool(values)):
            raise InvalidKeyError(tag, f"{keyword_of(tag)} is of VR {vr}")
        if items:
            return self._sequence(tag, items)
        return self._values(tag, vr, [text for text in values if isinstance(text, str) and text])

    def _sequence(self, tag: int, items: list[Attributes]) -> Iterable[Condition]:
        """Match a sequence by its one item (PS3.4 C.2.2.2.6); the parser has capped the depth."""
        if len(items) > 1:
            raise InvalidKeyError(tag, f"{keyword_of(tag)} may have one item only")
        conditions = self.conditions(items[0], items[0])
        return (SequenceMatch(tag, conditions),) if conditions else ()

    def _values(self, tag: int, vr: str, texts: list[str]) -> Iterable[Condition]:
        """Match any of several values, or all where that was negotiated (PS3.4 C.2.2.2.8)."""
        every = self.multiple_values and len(texts) > 1 and vr in _MULTIPLE_VRS
        if every and any(_WILD & set(text) for text in texts):
            raise InvalidKeyError(tag, f"{keyword_of(tag)}: several values take no wild card")
        found = [self._value(tag, vr, text) for text in texts]
        conditions = [condition for condition in found if condition is not None]
        if every or len(conditions) == 1 == len(found):
            return conditions
        if not conditions or len(conditions) < len(found):
            return ()
        singles = [c.value for c in conditions if isinstance(c, SingleValue)]
        if len(singles) == len(conditions) and vr not in _FORMS and vr not in NUMBER_VRS:
            return (UidList(tag, tuple(singles)),)
        return (AnyOf(tag, tuple(conditions)),)

    def _value(self, tag: int, vr: str, text: str) -> Condition | None:
        if not text.strip("*"):
            return None
        if text == EMPTY_VALUE:
            return self._empty(tag, vr)
        if vr == "PN":
            return self._name(tag, text)
        if vr in _FORMS:
            return self._moment(tag, vr, text.strip())
        if vr in _WILDCARD_VRS and _WILD & set(text):
            return Wildcard(tag, text)
        if vr == "UI" and _WILD & set(text):
            raise InvalidKeyError(tag, f"{keyword_of(tag)}: a UID takes no wild card")
        return SingleValue(tag, text)

    def _empty(self, tag: int, vr: str) -> Condition:
        """Match what is empty (PS3.4 C.2.2.2.7)."""
        empty = Empty(tag)
        if self.empty_values or vr not in _WILDCARD_VRS | {"PN"}:
            return empty
        return AnyOf(tag, (empty, SingleValue(tag, EMPTY_VALUE)))

    def _name(self, tag: int, text: str) -> Condition | None:
        """Match a name by its component groups, of which there are three (PS3.5 §6.2.1.2)."""
        groups = tuple(fold_name(group) for group in text.split("=")[:3])
        while groups and not groups[-1]:
            groups = groups[:-1]
        return PersonName(tag, groups, self.fuzzy_names) if groups else None

    def _moment(self, tag: int, vr: str, text: str) -> Condition | None:
        """Match a date or time, or a range of them, open ones included (PS3.4 C.2.2.2.5)."""
        offset = self.offset if vr == "DT" else ""
        single, both = _FORMS[vr]
        if single.fullmatch(text):
            if vr == "DA":
                return SingleValue(tag, plain(vr, text))
            # Times of any precision are equal if they name the same interval.
            return Range(tag, text, text, offset)
        match = both.fullmatch(text)
        if match is None:
            raise InvalidKeyError(tag, f"{keyword_of(tag)} is neither a {vr} nor a range of them")
        start, end = (bound or "" for bound in match.groups())
        return Range(tag, start, end, offset) if start or end else None

    def _pair_date_and_time(self, conditions: list[Condition]) -> Iterator[Condition]:
        """Match a date with its time, where that was negotiated or a zone demands it.

        PS3.4 C.2.2.2.5.4, C.2.2.2.1.3. A single date is a range of one day.
        """
        ranges = {c.tag: r for c in conditions if (r := _as_range(c)) is not None}
        taken: dict[int, Condition] = {}
        for date, time in DATE_AND_TIME.items():
            both = date in ranges and time in ranges and self.combined_date_time
            combined = both and all(isinstance(c, Range) for c in conditions if c.tag == date)
            if combined or (self.offset and (date in ranges or time in ranges)):
                d, t = (ranges.get(tag, Range(tag, "", "")) for tag in (date, time))
                pair = DateTimeRange(
                    date, time, d.start, t.start, d.end, t.end, combined, self.offset
                )
                taken.update(dict.fromkeys((date, time), pair))
        yield from dict.fromkeys(taken.get(c.tag, c) for c in conditions)


def _as_range(condition: Condition) -> Range | None:
    if isinstance(condition, Range):
        return condition
    if isinstance(condition, SingleValue) and vr_of(condition.tag) == "DA":
        return Range(condition.tag, condition.value, condition.value)
    return None


def _check_order(condition: Condition) -> None:
    """Refuse a range that ends before it begins, and bounds that are no moments.

    "Less or equal" is demanded of the first (PS3.4 C.2.2.2.5.1 to .3), and times across midnight
    are not supported. Nothing could match: the requestor had better be told.
    """
    if isinstance(condition, DateTimeRange):
        tag, bounds = condition.tag, _bounds(condition)
    elif isinstance(condition, Range):
        tag = condition.tag
        try:
            bounds = range_bounds(vr_of(tag), condition.start, condition.end, condition.offset)
        except ValueError as error:
            raise InvalidKeyError(tag, f"{keyword_of(tag)} is no date-time") from error
    else:
        for each in condition.conditions if isinstance(condition, AnyOf) else ():
            _check_order(each)
        return
    if any(low > high for low, high in bounds):
        raise InvalidKeyError(tag, f"{keyword_of(tag)}: the range ends before it begins")


def _bounds(condition: DateTimeRange) -> tuple[tuple[str, str], ...]:
    dates = range_bounds("DA", condition.start_date, condition.end_date)[0]
    times = range_bounds("TM", condition.start_time, condition.end_time)[0]
    if condition.combined:
        return ((dates[0] + times[0], dates[1] + times[1]),)
    return dates, times
