"""A log of changes in memory: the contract in its simplest form, for indexes in memory."""

import time
from collections.abc import Callable, Sequence

from anyio.lowlevel import checkpoint
from attrs import evolve

from pacs_core.contracts import (
    Change,
    ChangeKind,
    ChangeLog,
    ChangesLostError,
    Cursor,
    StoredInstance,
)


class MemoryChangeLog(ChangeLog):
    """Keeps changes as long as it lives.

    Parameters
    ----------
    has_study : callable
        Tells whether the index has instances of a study.
    """

    def __init__(self, has_study: Callable[[str], bool]) -> None:
        self._has_study = has_study
        self._last = 0
        self._changes: list[Change] = []
        self._cursors: dict[str, Cursor] = {}
        self._complete: dict[str, int] = {}

    def note(self, kind: ChangeKind, study: str, instance: StoredInstance | None = None) -> None:
        """Write a change, if anybody follows; to be called with the change itself."""
        if self._cursors:
            self._last += 1
            self._changes.append(Change(self._last, kind, time.time(), study, instance))

    def note_instance(self, kind: ChangeKind, instance: StoredInstance) -> None:
        """Write what has happened to an instance, if anybody follows."""
        self.note(kind, instance.identity.study_instance_uid, instance)

    async def follow(self, consumer: str, *, walked: bool = True) -> Cursor:
        """Return the cursor of a consumer, made if there is none."""
        await checkpoint()
        self._cursors.setdefault(consumer, Cursor(consumer, self._last, walked))
        return self._with_backlog(consumer)

    async def changes(self, after: int, limit: int) -> Sequence[Change]:
        """Return some changes."""
        await checkpoint()
        if after > self._last:
            raise ChangesLostError(f"there was never a change {after}")
        return [change for change in self._changes if change.sequence > after][:limit]

    async def advance(self, consumer: str, sequence: int) -> None:
        """Move a cursor."""
        await checkpoint()
        if (cursor := self._cursors.get(consumer)) is None:
            raise ChangesLostError(f"the consumer {consumer} is not known")
        last = max(cursor.sequence, sequence)
        self._cursors[consumer] = evolve(cursor, sequence=last, walked=True)
        self._trim()

    async def unfollow(self, consumer: str) -> bool:
        """Forget a consumer."""
        await checkpoint()
        known = self._cursors.pop(consumer, None) is not None
        self._trim()
        return known

    async def cursors(self) -> Sequence[Cursor]:
        """Return all cursors."""
        await checkpoint()
        return [self._with_backlog(consumer) for consumer in sorted(self._cursors)]

    async def note_complete(self, study_instance_uid: str, through: int) -> bool:
        """Note that a study is complete."""
        await checkpoint()
        if not self._has_study(study_instance_uid):
            self._complete.pop(study_instance_uid, None)
            return False
        known = study_instance_uid in self._complete
        self._complete[study_instance_uid] = through
        if not known:
            self.note(ChangeKind.STUDY_COMPLETE, study_instance_uid)
        return not known

    async def note_reopened(self, study_instance_uid: str, sequence: int) -> bool:
        """Note that a study is complete no more."""
        await checkpoint()
        through = self._complete.get(study_instance_uid)
        if through is None or sequence <= through:
            return False
        del self._complete[study_instance_uid]
        self.note(ChangeKind.STUDY_REOPENED, study_instance_uid)
        return True

    def _with_backlog(self, consumer: str) -> Cursor:
        cursor = self._cursors[consumer]
        behind = sum(change.sequence > cursor.sequence for change in self._changes)
        return evolve(cursor, behind=behind)

    def _trim(self) -> None:
        done = min((cursor.sequence for cursor in self._cursors.values()), default=self._last)
        self._changes = [change for change in self._changes if change.sequence > done]
