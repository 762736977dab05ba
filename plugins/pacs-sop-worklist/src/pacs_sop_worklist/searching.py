"""Searches of the list by keyword and value, as commands and the API write them."""

from collections.abc import Iterable
from typing import Final

from pacs_core.contracts import Condition, KeyMatching, SequenceMatch
from pacs_core.dataset import MutableAttributes, tag_of
from pacs_sop_worklist.orders import DESCRIPTION
from pacs_sop_worklist.steps import (
    MODALITY,
    SEQUENCE,
    START_DATE,
    START_TIME,
    STATION,
    STEP_ID,
    STUDY_UID,
)

_OF_STEP: Final = frozenset({MODALITY, START_DATE, START_TIME, STEP_ID, STATION, DESCRIPTION})
_MATCHING: Final = KeyMatching(combined_date_time=True)


def read_conditions(keys: Iterable[tuple[str, str]]) -> tuple[Condition, ...]:
    """Return what keys mean: values match as in C-FIND, those of the step within its sequence.

    Parameters
    ----------
    keys : iterable of (str, str)
        Keywords with values.

    Raises
    ------
    ValueError
        A keyword is none, or a value cannot be matched; says which.
    """
    top: MutableAttributes = {}
    own: MutableAttributes = {}
    for keyword, value in keys:
        try:
            tag = tag_of(keyword)
        except LookupError as error:
            raise ValueError(f"{keyword[:80]!r} is no keyword of an attribute") from error
        (own if tag in _OF_STEP else top)[tag] = (value,)
    found = _MATCHING.conditions(top, top)
    inner = _MATCHING.conditions(own, own)
    return (*found, SequenceMatch(SEQUENCE, inner)) if inner else found


def of_study(uid: str) -> tuple[Condition, ...]:
    """Return what finds the steps of a study."""
    return _MATCHING.conditions({STUDY_UID: (uid,)}, (STUDY_UID,))
