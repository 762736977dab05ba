"""Findings of a verification, in words."""

from enum import Enum
from typing import Final

from attrs import frozen


class FindingKind(Enum):
    """What is wrong with a record, or worth knowing."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    CHECKPOINT = "checkpoint"
    """A checkpoint is not genuine, or of a key that is not known, or there is none."""
    TORN = "torn"
    """Half a record, of a process that was killed amid it: no tampering."""
    UNPROTECTED = "unprotected"
    """Records that the chain, or a signature, does not cover yet."""


_COMPARE: Final = (
    "keep a copy of all files of the trail as they are now, and compare these records with a"
    " backup, or with what a collector has; whoever may write to this folder may have done it"
)
ADVICE: Final = {
    FindingKind.CHANGED: _COMPARE,
    FindingKind.REMOVED: _COMPARE,
    FindingKind.INSERTED: _COMPARE,
    FindingKind.REORDERED: _COMPARE,
    FindingKind.CHECKPOINT: (
        "verify with what was kept on another machine: --checkpoints names a copy of the"
        " checkpoints, --public-key a key as `pacs audit key` showed it"
    ),
}
"""What to do about problems."""

_NOTES: Final = frozenset({FindingKind.TORN, FindingKind.UNPROTECTED})


@frozen
class Finding:
    """One thing that a verification has found.

    Attributes
    ----------
    kind : FindingKind
    text : str
        A sentence.
    first, last : int
        Numbers of the records concerned; 0 if they have none.
    where : str
        File and line, ``before`` that if nothing is there any more; empty if there is no such line.
    """

    kind: FindingKind
    text: str
    first: int = 0
    last: int = 0
    where: str = ""

    @property
    def is_problem(self) -> bool:
        """Whether somebody has tampered with the trail, or records are lost."""
        return self.kind not in _NOTES


def name_records(first: int, last: int) -> str:
    """Return ``record 3`` or ``records 3 to 5``."""
    return f"record {first}" if first == last else f"records {first} to {last}"
