"""Searches of the list by keyword and value, as commands and the API write them."""

from collections.abc import Iterable
from typing import Final

from pacs_core.api.identifiers import read_conditions as read
from pacs_core.contracts import Condition, KeyMatching
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
_MATCHING: Final = KeyMatching()


def read_conditions(keys: Iterable[tuple[str, str]]) -> tuple[Condition, ...]:
    """Return what keys mean, those of the step within its sequence; ValueError if nothing."""
    return read(keys, SEQUENCE, _OF_STEP)


def of_study(uid: str) -> tuple[Condition, ...]:
    """Return what finds the steps of a study."""
    return _MATCHING.conditions({STUDY_UID: (uid,)}, (STUDY_UID,))
