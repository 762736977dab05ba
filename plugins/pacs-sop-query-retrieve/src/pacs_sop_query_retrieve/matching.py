"""Keys with values become conditions of the query model (PS3.4 C.2.2.2)."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final

from attrs import frozen

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
    fold_name,
)
from pacs_core.dataset import Attributes, Value, keyword_of, tag_of, vr_of
from pacs_sop_query_retrieve.identifier import mismatch

EMPTY_VALUE: Final = '""'
_WILD: Final = frozenset("*?")
_WILDCARD_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})

# Dates and times as PS3.5 Table 6.2-1 has them, ACR-NEMA punctuation included.
_DATE: Final = r"\d{8}|\d{4}\.\d{2}\.\d{2}"
_TIME: Final = r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?"
# A hyphen and four digits up to 1400 are an offset from UTC, else the hyphen is a range's.
_DATE_TIME: Final = r"\d{4}(?:\d{2}){0,5}(?:\.\d{1,6})?(?:[+-](?:0\d|1[0-4])[0-5]\d)?"
_FORMS: Final = {
    vr: (re.compile(form), re.compile(f"({form})?-({form})?"))
    for vr, form in {"DA": _DATE, "TM": _TIME, "DT": _DATE_TIME}.items()
}
_FULL_DATE_TIME_LENGTH: Final = 14

_DATED: Final = (
    "Study",
    "Series",
    "Acquisition",
    "Content",
    "InstanceCreation",
    "PatientBirth",
    "PerformedProcedureStepStart",
    "PerformedProcedureStepEnd",
)
_PAIRS: Final = {tag_of(what + "Date"): tag_of(what + "Time") for what in _DATED}


@frozen
class Matching:
    """How to match where the standard leaves it to negotiation (PS3.4 C.5.1.1)."""

    combined_date_time: bool = False
    fuzzy_names: bool = False

    def conditions(self, keys: Attributes, tags: Iterable[int]) -> tuple[Condition, ...]:
        """Return the conditions that the values of `tags` among `keys` express.

        Raises
        ------
        DimseError
            A900H, with the offending key.
        """
        found = [
            condition
            for tag in sorted(tags)
            if (condition := self._condition(tag, keys.get(tag, ()))) is not None
        ]
        return tuple(_combined(found) if self.combined_date_time else found)

    def _condition(self, tag: int, values: tuple[Value, ...]) -> Condition | None:
        """Return the condition of one key; None is universal matching (PS3.4 C.2.2.2.3)."""
        vr = vr_of(tag)
        items = [value for value in values if not isinstance(value, str)]
        if bool(items) != (vr == "SQ" and bool(values)):
            raise mismatch(tag, f"{keyword_of(tag)} is of VR {vr}")
        if items:
            return self._sequence(tag, items)
        return self._value(tag, vr, tuple(value for value in values if isinstance(value, str)))

    def _sequence(self, tag: int, items: list[Attributes]) -> Condition | None:
        """Match a sequence by its one item (PS3.4 C.2.2.2.6); the parser has capped the depth."""
        if len(items) > 1:
            raise mismatch(tag, f"{keyword_of(tag)} may have one item only")
        conditions = self.conditions(items[0], items[0])
        return SequenceMatch(tag, conditions) if conditions else None

    def _value(self, tag: int, vr: str, texts: tuple[str, ...]) -> Condition | None:
        if not any(texts) or (len(texts) == 1 and not texts[0].strip("*")):
            return None
        if texts == (EMPTY_VALUE,):
            return Empty(tag)
        if vr == "UI" or len(texts) > 1:
            return _values(tag, vr, texts)
        if vr == "PN":
            return self._name(tag, texts[0])
        return _MATCHERS.get(vr, SingleValue)(tag, texts[0])

    def _name(self, tag: int, text: str) -> Condition | None:
        """Match a name by its component groups (PS3.5 §6.2.1.2)."""
        groups = tuple(fold_name(group) for group in text.split("="))
        if len(groups) > 3:
            raise mismatch(tag, f"{keyword_of(tag)} has more than three component groups")
        while groups and not groups[-1]:
            groups = groups[:-1]
        return PersonName(tag, groups, self.fuzzy_names) if groups else None


def _values(tag: int, vr: str, texts: tuple[str, ...]) -> Condition:
    """Match a list of UIDs, or of other plain values (PS3.4 C.2.2.2.2, C.2.2.2.8)."""
    if vr in _FORMS or vr == "PN" or (vr in _WILDCARD_VRS and _WILD & set("".join(texts))):
        raise mismatch(tag, f"{keyword_of(tag)} may have one value only")
    given = tuple(filter(None, texts))
    return SingleValue(tag, given[0]) if len(given) == 1 else UidList(tag, given)


def _text(tag: int, text: str) -> Condition:
    """Match by wild card where there is one (PS3.4 C.2.2.2.4)."""
    return Wildcard(tag, text) if _WILD & set(text) else SingleValue(tag, text)


def _date(tag: int, text: str) -> Condition | None:
    if _FORMS["DA"][0].fullmatch(text):
        return SingleValue(tag, text.replace(".", ""))
    return _range(tag, text)


def _time(tag: int, text: str) -> Condition | None:
    # Times of any precision are equal if they name the same interval, so both forms are ranges.
    if _FORMS[vr_of(tag)][0].fullmatch(text):
        moment = _local(tag, text)
        return Range(tag, moment, moment)
    return _range(tag, text)


def _range(tag: int, text: str) -> Condition | None:
    """Match a range, open ones included (PS3.4 C.2.2.2.5)."""
    vr = vr_of(tag)
    match = _FORMS[vr][1].fullmatch(text)
    if match is None:
        raise mismatch(tag, f"{keyword_of(tag)} is neither a {vr} nor a range of them")
    start, end = (_local(tag, bound or "") for bound in match.groups())
    return Range(tag, start, end) if start or end else None


def _local(tag: int, text: str) -> str:
    """Return a date-time without its offset from UTC, in the local time that lack of one means."""
    moment, sign, offset = text.partition("+") if "+" in text else text.partition("-")
    if not sign:
        return text
    whole, dot, fraction = moment.partition(".")
    if len(whole) != _FULL_DATE_TIME_LENGTH:
        raise mismatch(tag, f"{keyword_of(tag)} with an offset needs seconds")
    try:
        instant = datetime.strptime(whole + sign + offset, "%Y%m%d%H%M%S%z")
        return instant.astimezone().strftime("%Y%m%d%H%M%S") + dot + fraction
    except (ValueError, OverflowError) as error:
        raise mismatch(tag, f"{keyword_of(tag)} is no date-time") from error


_MATCHERS: Final[dict[str, Callable[[int, str], Condition | None]]] = {
    **dict.fromkeys(_WILDCARD_VRS, _text),
    "DA": _date,
    "TM": _time,
    "DT": _time,
}


def _combined(conditions: list[Condition]) -> Iterator[Condition]:
    """Make one range of a date range and its time range (PS3.4 C.2.2.2.5.4)."""
    ranges = {c.tag: c for c in conditions if isinstance(c, Range)}
    pairs = {date: _PAIRS[date] for date in ranges if _PAIRS.get(date) in ranges}
    for condition in conditions:
        if isinstance(condition, Range) and condition.tag in pairs:
            date, time = condition, ranges[pairs[condition.tag]]
            yield DateTimeRange(date.tag, time.tag, date.start, time.start, date.end, time.end)
        elif not isinstance(condition, Range) or condition.tag not in pairs.values():
            yield condition
