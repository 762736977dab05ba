"""Tables CC.1.1-1 and CC.1.1-2 of PS3.4: the states of a step, and what leads from one to another.

Each line has what is asked for, and for each state what becomes of it: the state that follows, the
status with which it is refused or warned of, or ``tell``: its performer is asked to cancel it.
"""

from enum import StrEnum
from typing import Final, TypeAlias

from pacs_sop_ups.statuses import UpsStatus


class StepState(StrEnum):
    """Procedure Step State (PS3.3 C.30.3)."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


ENDED: Final = frozenset({StepState.COMPLETED, StepState.CANCELED})
REQUEST_CANCEL: Final = "REQUEST_CANCEL"
TELL: Final = "tell"

Effect: TypeAlias = "StepState | UpsStatus | str"

_TABLE: Final = """
                SCHEDULED    IN_PROGRESS  COMPLETED  CANCELED
SCHEDULED       C303         C303         C303       C303
IN_PROGRESS     IN_PROGRESS  C302         C300       C300
COMPLETED       C310         COMPLETED    B306       C300
CANCELED        C310         CANCELED     C300       B304
REQUEST_CANCEL  CANCELED     tell         C311       B304
"""


def _effect(word: str) -> Effect:
    if word == TELL:
        return TELL
    return StepState[word] if word in StepState.__members__ else UpsStatus(int(word, 16))


_HEADING, *_LINES = (line.split() for line in _TABLE.strip("\n").splitlines())
TRANSITIONS: Final[dict[tuple[str, StepState], Effect]] = {
    (asked, StepState[state]): _effect(word)
    for asked, *words in _LINES
    for state, word in zip(_HEADING, words, strict=True)
}
"""By what is asked for, the name of a state or ``REQUEST_CANCEL``, and the state that a step is in.

Without the correct Transaction UID, it is C301H instead, but for SCHEDULED and ``REQUEST_CANCEL``.
"""
