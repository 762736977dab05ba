"""Verification of a chain: which records were changed, removed, inserted or moved."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from attrs import define, field

from pacs_audit_json.chain import GENESIS, digest_line, link_of
from pacs_audit_json.findings import Finding, FindingKind, name_records
from pacs_audit_json.signing import Checkpoint

# Theory of operation
#
# Lines are looked at once, in the order of the files. A record should have the number after the
# highest so far, and the digest of the line before. If the number fits and the digest does not, the
# record before was changed. A higher number opens a gap; a number that is in a gap is out of its
# order, and closes it; any other number was there already, so the record was inserted. A line
# without a number is half a record if the next record has its digest, a record that was changed if
# it stands where a number is missing, and else inserted. What is in no file at the
# end was removed.
#
# Checkpoints come in the order of their numbers and are compared as the records pass. They find
# what the chain alone does not: a chain that was worked out anew, and records that were taken off
# the end.

MOST: Final = 10_000
"""Gaps, and lines without a number between two records, that are kept in mind."""


class TooManyFindingsError(Exception):
    """So much is wrong that it is of no use to go on."""


@define
class _Gap:
    """Records that should stand between two that do."""

    first: int
    last: int
    where: str = ""


@define
class _Stray:
    """A line without a number."""

    digest: str
    where: str
    is_json: bool


@define
class Verification:
    """Looks at the lines of a trail, one after the other.

    Attributes
    ----------
    checkpoints : iterator of Checkpoint
        Those that are genuine, with ascending numbers.
    first_kept : int
        Number of the first record that has to be there, as checkpoints state.
    records : int
        How many there were.
    highest : int
        The highest number so far.
    signed : int
        Number of the last record that a checkpoint confirms.
    """

    checkpoints: Iterator[Checkpoint]
    first_kept: int = 1
    records: int = 0
    highest: int = 0
    signed: int = 0
    _digest: str = GENESIS  # of the record with the highest number
    _where: str = ""  # the same one's
    _before_chain: int = 0
    _strays: list[_Stray] = field(factory=list)
    _gaps: list[_Gap] = field(factory=list)
    _awaited: dict[int, str] = field(factory=dict)  # digests, by record, that a later one tells
    _next: Checkpoint | None = None
    _unseen: dict[int, Checkpoint] = field(factory=dict)
    _denied: int = 0

    def __attrs_post_init__(self) -> None:
        self._next = next(self.checkpoints, None)

    def look_at(self, line: bytes, where: str) -> Iterator[Finding]:
        """Take the next line, with or without its line feed.

        Raises
        ------
        TooManyFindingsError
            There are more gaps than can be kept in mind.
        """
        record = _parse(line)
        link = link_of(record)
        digest = digest_line(line)
        if link is None:
            self._note_stray(_Stray(digest, where, record is not None))
            return
        sequence, previous = link
        self.records += 1
        if not self.highest:
            yield from self._begin(sequence, previous, where)
        elif sequence > self.highest:
            yield from self._go_on(sequence, previous, where)
        elif (gap := self._gap_of(sequence)) is not None:
            yield from self._fill(gap, sequence, digest, where)
            return
        else:
            text = f"a second record {sequence}: one of them was inserted"
            yield Finding(FindingKind.INSERTED, text, sequence, sequence, where)
            return
        self.highest, self._digest, self._where = sequence, digest, where
        yield from self._compare_with_checkpoint(sequence, digest, where)

    def _begin(self, sequence: int, previous: str, where: str) -> Iterator[Finding]:
        if self._before_chain:
            text = (
                f"{self._before_chain} records are older than the chain, which does not cover them"
            )
            yield Finding(FindingKind.UNPROTECTED, text)
        if sequence > max(1, self.first_kept):
            yield _removed(max(1, self.first_kept), sequence - 1, where)
        elif sequence == 1 and previous != self._digest:
            text = "what stands before record 1 was changed"
            yield Finding(FindingKind.CHANGED, text, 1, 1, where)

    def _note_stray(self, stray: _Stray) -> None:
        if not self.highest:
            self._before_chain += 1
            self._digest = stray.digest
            return
        if len(self._strays) >= MOST:
            raise TooManyFindingsError
        self._strays.append(stray)

    def _go_on(self, sequence: int, previous: str, where: str) -> Iterator[Finding]:
        missing = sequence - self.highest - 1
        strays, self._strays = self._strays, []
        if strays and not missing and previous == strays[-1].digest and not strays[-1].is_json:
            yield _torn(strays.pop().where)
        elif not missing and previous != self._digest:
            yield _changed(self.highest, self._where)
        changed, inserted = strays[:missing], strays[missing:]
        for number, stray in enumerate(changed, self.highest + 1):
            text = f"record {number} was changed: it has no number any more"
            yield Finding(FindingKind.CHANGED, text, number, number, stray.where)
        for stray in inserted:
            yield _inserted(stray.where)
        if missing > len(changed):
            if len(self._gaps) >= MOST:
                raise TooManyFindingsError
            self._gaps.append(_Gap(self.highest + 1 + len(changed), sequence - 1, where))
            self._awaited[sequence - 1] = previous

    def _gap_of(self, sequence: int) -> _Gap | None:
        return next((gap for gap in self._gaps if gap.first <= sequence <= gap.last), None)

    def _fill(self, gap: _Gap, sequence: int, digest: str, where: str) -> Iterator[Finding]:
        text = f"record {sequence} is not in its order: it stands after record {self.highest}"
        yield Finding(FindingKind.REORDERED, text, sequence, sequence, where)
        if self._awaited.pop(sequence, digest) != digest:
            yield _changed(sequence, where)
        self._gaps.remove(gap)
        rest = [
            _Gap(gap.first, sequence - 1, gap.where),
            _Gap(sequence + 1, gap.last, gap.where),
        ]
        self._gaps += [each for each in rest if each.first <= each.last]
        checkpoint = self._unseen.pop(sequence, None)
        if checkpoint is not None and checkpoint.digest != digest:
            yield _changed(sequence, where)

    def _compare_with_checkpoint(self, sequence: int, digest: str, where: str) -> Iterator[Finding]:
        while self._next is not None and self._next.sequence <= sequence:
            checkpoint = self._next
            self._next = next(self.checkpoints, None)
            if checkpoint.sequence < sequence:
                if self._gap_of(checkpoint.sequence):
                    self._unseen[checkpoint.sequence] = checkpoint
            elif checkpoint.digest == digest:
                self.signed = sequence
            elif not self._denied:
                self._denied = sequence
                first = self.signed + 1
                some = (
                    "" if first == sequence else f"one or more of {name_records(first, sequence)}"
                )
                text = (
                    f"record {sequence} is not the one that was signed at {checkpoint.time}: "
                    f"{some or 'it'} was changed"
                )
                yield Finding(FindingKind.CHANGED, text, first, sequence, where)

    def finish(self) -> Iterator[Finding]:
        """Say what is missing, now that there are no more lines."""
        for stray in self._strays[:-1]:
            yield _inserted(stray.where)
        for stray in self._strays[-1:]:
            yield _inserted(stray.where) if stray.is_json else _torn(stray.where)
        for gap in sorted(self._gaps, key=lambda gap: gap.first):
            yield _removed(gap.first, gap.last, gap.where)
        last = self._next
        for checkpoint in self.checkpoints:
            last = checkpoint
        cut = last is not None and last.sequence > self.highest
        if last is not None and cut:
            first = self.highest + 1
            text = (
                f"{name_records(first, last.sequence)} {_were(first, last.sequence)} removed from "
                f"the end: record {last.sequence} was signed at {last.time}"
            )
            yield Finding(FindingKind.REMOVED, text, first, last.sequence)
        if self._before_chain and not self.highest:
            text = f"none of the {self._before_chain} records is in a chain"
            yield Finding(FindingKind.UNPROTECTED, text)
        elif self.highest > self.signed and not self._denied:
            first = self.signed + 1
            text = f"{name_records(first, self.highest)} {_are(first, self.highest)} not signed" + (
                ", but for the signature of what was removed" if cut else " yet"
            )
            yield Finding(FindingKind.UNPROTECTED, text, first, self.highest)


def genuine_checkpoints(
    checkpoints: Iterable[Checkpoint | None], trusted: frozenset[str], findings: list[Finding]
) -> Iterator[Checkpoint]:
    """Yield the checkpoints that a trusted key has signed; add to `findings` what is wrong.

    None among the checkpoints is a line that is none; the last may be torn.
    """
    highest = 0
    unreadable = 0
    strangers: set[str] = set()
    for number, checkpoint in enumerate(checkpoints, 1):
        where = f"checkpoints, line {number}"
        if checkpoint is None:
            unreadable += 1
        elif not checkpoint.is_genuine():
            text = "it has another content than was signed"
            findings.append(Finding(FindingKind.CHECKPOINT, text, where=where))
        elif checkpoint.key not in trusted:
            if checkpoint.key not in strangers:
                strangers.add(checkpoint.key)
                text = f"it is signed by a key that is not known here: {checkpoint.key}"
                findings.append(Finding(FindingKind.CHECKPOINT, text, where=where))
        elif checkpoint.sequence < highest:
            text = "it is not in its order"
            findings.append(Finding(FindingKind.CHECKPOINT, text, where=where))
        else:
            highest = checkpoint.sequence
            yield checkpoint
    if unreadable:
        lines = "1 line" if unreadable == 1 else f"{unreadable} lines"
        text = f"{lines} of the checkpoints cannot be read"
        findings.append(Finding(FindingKind.TORN, text))


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _changed(sequence: int, where: str) -> Finding:
    text = f"record {sequence} was changed: record {sequence + 1} has the digest of another"
    return Finding(FindingKind.CHANGED, text, sequence, sequence, where)


def _removed(first: int, last: int, before: str) -> Finding:
    text = f"{name_records(first, last)} {_were(first, last)} removed"
    return Finding(FindingKind.REMOVED, text, first, last, f"before {before}")


def _were(first: int, last: int) -> str:
    return "was" if first == last else "were"


def _are(first: int, last: int) -> str:
    return "is" if first == last else "are"


def _torn(where: str) -> Finding:
    return Finding(
        FindingKind.TORN, "half a record, of a process that was killed amid it", where=where
    )


def _inserted(where: str) -> Finding:
    return Finding(FindingKind.INSERTED, "a line that is no record of the chain", where=where)
