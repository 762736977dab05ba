"""Verification of the files of a trail."""

from collections.abc import Callable
from itertools import chain
from typing import Final

from attrs import frozen

from pacs_audit_json.findings import Finding, FindingKind
from pacs_audit_json.trail import Trail
from pacs_audit_json.verifying import TooManyFindingsError, Verification, genuine_checkpoints

MOST_FINDINGS: Final = 1000
"""More are not told; a trail in which so much is wrong is looked at with other means."""


@frozen
class VerificationResult:
    """What a verification has found out.

    Attributes
    ----------
    records : int
        How many records were looked at.
    highest, signed : int
        Numbers of the last record, and of the last that a checkpoint confirms.
    problems, notes : int
        How many findings say that somebody has tampered with the trail, or that something was
        lost; and how many do not.
    complete : bool
        Whether all was looked at; not if too much is wrong.
    """

    records: int
    highest: int
    signed: int
    problems: int
    notes: int
    complete: bool


def verify(
    trail: Trail, trusted: frozenset[str], tell: Callable[[Finding], None]
) -> VerificationResult:
    """Verify a trail, and tell of each finding as it is found.

    Parameters
    ----------
    trail : Trail
    trusted : frozenset of str
        Public keys whose signatures count.
    tell : callable
        Called with each finding, in the order of the records as far as possible.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    of_checkpoints: list[Finding] = []
    checkpoints = genuine_checkpoints(trail.read_checkpoints(), trusted, of_checkpoints)
    verification = Verification(checkpoints, _first_kept(trail, trusted))
    counts = {True: 0, False: 0}
    complete = True
    lines = (verification.look_at(line, where) for line, where in trail.lines())
    try:
        for finding in chain(chain.from_iterable(lines), verification.finish()):
            counts[finding.is_problem] += 1
            tell(finding)
            if sum(counts.values()) >= MOST_FINDINGS:
                raise TooManyFindingsError  # noqa: TRY301 the same end as of other excess
    except TooManyFindingsError:
        complete = False
    if verification.highest and not trail.checkpoint_size:
        text = f"there are no checkpoints in {trail.checkpoints}: nothing confirms the chain"
        of_checkpoints.append(Finding(FindingKind.CHECKPOINT, text))
    for finding in of_checkpoints[:MOST_FINDINGS]:
        counts[finding.is_problem] += 1
        tell(finding)
    return VerificationResult(
        verification.records,
        verification.highest,
        verification.signed,
        counts[True],
        counts[False],
        complete,
    )


def _first_kept(trail: Trail, trusted: frozenset[str]) -> int:
    """Return the number of the first record that the node has not removed itself."""
    first = 1
    for each in trail.read_checkpoints():
        if each is not None and each.first > first and each.key in trusted and each.is_genuine():
            first = each.first
    return first
