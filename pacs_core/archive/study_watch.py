"""Studies that are complete: no instance has come or gone for some time.

The watch reads changes like any consumer, and writes what it derives into the same log, where it
is in order with the changes of instances. Its cursor stays before the last change of every
study that is not quiet yet; so after a crash it reads those again, and knows as much as before.
What it writes twice the index does not: a study is complete as of a certain change, once.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from pacs_core.archive.change_feed import ChangeFeed
from pacs_core.contracts import (
    STUDY_CHANGES,
    Change,
    ChangeKind,
    Service,
    Started,
    StudyCompleteness,
)

# Theory of operation
#
# The watch keeps, in memory only, the last change of each study that is not quiet yet, the earliest
# first. A study whose last change is old enough is written into the log as complete, as of that
# change. One that changes again is written as reopened when the first new change is read.
#
# Its own cursor stays just before the earliest change in memory, although it has read further.
# After a crash it reads from there and so rebuilds its memory. What it then writes a second time is
# no second event, because the index knows up to which change a study was complete.
#
# Some may know what a study is to consist of, and say sooner that it is complete. They are asked
# about each study that is not quiet, seldom enough to cost little, and one who says so is enough.
#
# Times are those written with the changes. So the quiet time goes on while no node runs, and a
# study that ended during an outage is complete at once.

STUDY_WATCH: Final = "pacs-core-study-watch"
"""The name of its cursor."""
_BATCH: Final = 512
_ASK_AGAIN: Final = 2.0
"""Seconds after which it is asked again whether a study is complete."""

logger = logging.getLogger(__name__)


class StudyWatch(Service):
    """Writes into the log of changes which studies are complete, and which are no more.

    Parameters
    ----------
    feed : ChangeFeed
    quiet_time : float
        Seconds without a change after which a study is complete.
    completeness : sequence of StudyCompleteness
        Those who may know that sooner.
    """

    def __init__(
        self,
        feed: ChangeFeed,
        quiet_time: float,
        completeness: Sequence[StudyCompleteness] = (),
    ) -> None:
        self._feed = feed
        self._changes = feed.log
        self._quiet_time = quiet_time
        self._completeness = completeness
        self._asked = time.monotonic()
        # The last change of each study that is not quiet, the earliest first.
        self._busy: OrderedDict[str, Change] = OrderedDict()

    async def start(self) -> None:
        """Take the cursor."""
        self._cursor = await self._changes.follow(STUDY_WATCH)

    async def run(self, started: Started) -> None:
        """Watch until cancelled."""
        started()
        done = read = self._cursor.sequence
        while True:
            found = await self._feed.changes(read, _BATCH)
            for change in found:
                await self._take(change)
                read = change.sequence
            if len(found) < _BATCH:  # or else there may be later changes of a study
                await self._complete_quiet()
                await self._complete_known()
            first = next(iter(self._busy.values()), None)
            safe = first.sequence - 1 if first else read
            if safe > done:
                await self._changes.advance(STUDY_WATCH, safe)
                done = safe
            if len(found) < _BATCH and self._busy:  # some of them become quiet meanwhile
                await self._feed.pause()
            elif len(found) < _BATCH:
                await self._feed.wait(read)

    async def _take(self, change: Change) -> None:
        if change.kind in STUDY_CHANGES or change.kind is ChangeKind.UPDATED:
            return  # what is corrected was there before
        study = change.study_instance_uid
        if change.kind is not ChangeKind.REMOVED and study not in self._busy:
            await self._changes.note_reopened(study, change.sequence)
        self._busy[study] = change
        self._busy.move_to_end(study)

    async def _complete_quiet(self) -> None:
        now = time.time()
        while self._busy:
            study, last = next(iter(self._busy.items()))
            # A clock that was set back must not keep a study open for long.
            if 0 <= now - last.time < self._quiet_time:
                return
            await self._changes.note_complete(study, last.sequence)
            del self._busy[study]

    async def _complete_known(self) -> None:
        if not self._completeness or time.monotonic() - self._asked < _ASK_AGAIN:
            return
        for study, last in list(self._busy.items()):
            if await self._is_known_complete(study):
                await self._changes.note_complete(study, last.sequence)
                del self._busy[study]
        self._asked = time.monotonic()

    async def _is_known_complete(self, study: str) -> bool:
        for each in self._completeness:
            try:
                if await each.is_complete(study):
                    return True
            except Exception:  # another may know, or the quiet time decides
                logger.exception("%s cannot tell whether study %s is complete", each, study)
        return False
