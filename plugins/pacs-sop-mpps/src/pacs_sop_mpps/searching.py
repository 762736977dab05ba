"""Searches of performed steps by keyword and value, as commands, API and pages write them."""

from collections.abc import Iterable
from typing import Final

from pacs_core.api.identifiers import read_conditions as read
from pacs_core.contracts import Condition
from pacs_sop_mpps.rules import RULES
from pacs_sop_mpps.steps import SCHEDULED

_OF_SCHEDULED: Final = frozenset(rule.tag for r in RULES if r.tag == SCHEDULED for rule in r.rules)


def read_conditions(keys: Iterable[tuple[str, str]]) -> tuple[Condition, ...]:
    """Return what keys mean, those of what was scheduled within it; ValueError if nothing."""
    return read(keys, SCHEDULED, _OF_SCHEDULED)
