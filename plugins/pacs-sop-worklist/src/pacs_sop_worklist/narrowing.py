"""The narrowing of a search to entries that may match, so that SQL looks at no others.

By what modalities really ask for: their AE title and a range of days, a patient, an order, a study;
and by the text between wild cards, which is looked for in an index that has the order of the list.
Whatever it cannot use it leaves out, never the other way.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, or_, select

from pacs_core.contracts import (
    Condition,
    DateTimeRange,
    PersonName,
    Range,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
    fold_name,
    range_bounds,
)
from pacs_sop_worklist.orders import PATIENT_NAME
from pacs_sop_worklist.steps import (
    ACCESSION,
    MODALITY,
    PATIENT_ID,
    SEQUENCE,
    START_DATE,
    STATION,
    STUDY_UID,
)
from pacs_sop_worklist.tables import STATIONS, STEPS

_COLUMNS: Final = {
    PATIENT_ID: STEPS.c.patient_id,
    ACCESSION: STEPS.c.accession_number,
    STUDY_UID: STEPS.c.study_uid,
}
_BY_TEXT: Final = {
    PATIENT_ID: STEPS.c.patient_id,
    ACCESSION: STEPS.c.accession_number,
    PATIENT_NAME: STEPS.c.patient_name,
}
"""Columns in which text between wild cards is looked for."""
_MOST_TEXTS: Final = 4
_LONGEST_TEXT: Final = 64
_COLUMNS_OF_STEP: Final = {MODALITY: STEPS.c.modality}


def narrow(
    conditions: Sequence[Condition], station: str, *, with_ended: bool, dialect: str
) -> tuple[Select[Any], tuple[ColumnElement[Any], ColumnElement[Any]]]:
    """Return the statement that finds all entries that may match, and the keys of its order.

    Parameters
    ----------
    conditions : sequence of Condition
    station : str
        Only entries that name it, or none; empty for all.
    with_ended : bool
        Also those that are no longer on the list.
    dialect : str
        Of the database.
    """
    inner = [c for each in conditions if isinstance(each, SequenceMatch) for c in _of_step(each)]
    wanted: list[ColumnElement[bool]] = [
        column.in_([value.strip() for value in values])
        for level, columns in ((conditions, _COLUMNS), (inner, _COLUMNS_OF_STEP))
        for each in level
        for tag, column in columns.items()
        if (values := _exact(each, tag))
    ]
    named = next((values for each in inner if (values := _exact(each, STATION))), ())
    wanted += [STEPS.c.number.in_(_numbers_of(named))] if len(named) > 1 else []
    own = (station, "") if station else ()
    start: ColumnElement[Any]
    is_of_few = any(_exact(each, tag) for each in conditions for tag in _COLUMNS)
    if with_ended or not (named or own) or len(named) > 1:
        statement, start, number = select(STEPS), STEPS.c.start, STEPS.c.number
        if is_of_few:
            # SQLite would walk over all by their start, only to save the sort of these few: 140 ms
            # instead of 1 in 100,000. By an expression no index has that order.
            start = STEPS.c.start.concat("")
        wanted += [STEPS.c.number.in_(_numbers_of(own))] if own else []
        wanted += [] if with_ended else [STEPS.c.is_open.is_(True)]
    else:
        # By one station: its own rows have the order, so that the first answers cost no sort.
        joined = STATIONS.join(STEPS, STATIONS.c.number == STEPS.c.number)
        statement = select(STEPS).select_from(joined)
        start, number = STATIONS.c.start, STATIONS.c.number
        wanted += [STATIONS.c.ae_title.in_(named or own), STATIONS.c.is_open.is_(True)]
        wanted += [STEPS.c.number.in_(_numbers_of(own))] if named and own else []
    wanted += [bound for each in inner for bound in _days(each, start)]
    wanted += with_texts(conditions, dialect)
    return statement.where(*wanted).order_by(start, number), (start, number)


def with_texts(conditions: Sequence[Condition], dialect: str) -> Iterator[ColumnElement[bool]]:
    """Iterate over what must be in columns if patterns match: the text between their wild cards."""
    find = func.strpos if dialect == "postgresql" else func.instr
    for condition in conditions:
        match condition:
            case Wildcard(tag=tag, pattern=pattern) if tag != PATIENT_NAME:
                patterns: tuple[str, ...] = (pattern,)
            case PersonName(tag=tag, groups=groups, fuzzy=False):
                patterns = tuple(map(fold_name, groups[:3]))
            case _:
                continue
        column = _BY_TEXT.get(tag)
        if column is None:
            continue
        # What ends a component may be absent with it (PS3.5 §6.2.1.1): Doe^* matches Doe.
        found = {part.strip(" ^") for each in patterns for part in re.split(r"[*?]+", each)}
        usable = sorted((part for part in found if part and "\0" not in part), key=len)
        for part in usable[-_MOST_TEXTS:]:
            yield or_(column.is_(None), find(column, part[:_LONGEST_TEXT]) > 0)


def _numbers_of(stations: Sequence[str]) -> Select[Any]:
    return select(STATIONS.c.number).where(STATIONS.c.ae_title.in_(stations))


def _of_step(condition: SequenceMatch) -> Sequence[Condition]:
    return condition.conditions if condition.tag == SEQUENCE else ()


def _exact(condition: Condition, tag: int) -> tuple[str, ...]:
    """Return the values of which an attribute must be one, if that is what a condition says."""
    match condition:
        case SingleValue(tag=of, value=value) if of == tag:
            return (value,)
        case UidList(tag=of, uids=values) if of == tag:
            return values
    return ()


def _days(condition: Condition, start: ColumnElement[Any]) -> Iterator[ColumnElement[bool]]:
    """Iterate over the bounds of the start that a condition on its days has."""
    match condition:
        case SingleValue(tag=tag, value=value) if tag == START_DATE:
            bounds = range_bounds("DA", value, value)
        case Range(tag=tag, start=first, end=last) if tag == START_DATE:
            bounds = range_bounds("DA", first, last)
        case DateTimeRange(date_tag=tag, offset="") if tag == START_DATE:
            bounds = range_bounds("DA", condition.start_date, condition.end_date)
        case _:
            return
    first, last = bounds[0]
    if first:
        yield start >= first
    if last:
        yield start < f"{last}~"
