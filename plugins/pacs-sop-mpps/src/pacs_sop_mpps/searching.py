"""Searches of performed steps by keyword and value, as commands, API and pages write them."""

from collections.abc import Iterable
from typing import Final

from pacs_core.contracts import Condition, KeyMatching, SequenceMatch
from pacs_core.dataset import MutableAttributes, tag_of
from pacs_sop_mpps.rules import RULES
from pacs_sop_mpps.steps import SCHEDULED

_OF_SCHEDULED: Final = frozenset(rule.tag for r in RULES if r.tag == SCHEDULED for rule in r.rules)
_MATCHING: Final = KeyMatching(combined_date_time=True)


def read_conditions(keys: Iterable[tuple[str, str]]) -> tuple[Condition, ...]:
    """Return what keys mean: values match as in C-FIND, those of what was scheduled within it.

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
    scheduled: MutableAttributes = {}
    for keyword, value in keys:
        try:
            tag = tag_of(keyword)
        except LookupError as error:
            raise ValueError(f"{keyword[:80]!r} is no keyword of an attribute") from error
        (scheduled if tag in _OF_SCHEDULED else top)[tag] = (value,)
    found = _MATCHING.conditions(top, top)
    inner = _MATCHING.conditions(scheduled, scheduled)
    return (*found, SequenceMatch(SCHEDULED, inner)) if inner else found
