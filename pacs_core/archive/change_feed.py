"""The changes of an index, read once for all who follow them in this process."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import islice
from operator import attrgetter
from typing import Final

import anyio

from pacs_core.concurrency import common_moment
from pacs_core.contracts import Change, ChangeLog

# Theory of operation
#
# Whoever follows changes has a cursor of its own, and most of the time all are at the end. So what
# was read last is kept: a run of changes without gaps, which begins after the number `_after`. Who
# stands within it is given of it; only who stands at its end reads on, and everybody finds that.
# Who is far behind, as after an outage, reads for itself until it has caught up.
#
# That the run has no gaps follows from what a log promises: once a change can be read, none with a
# lower number appears.
#
# Of those who have heard all there is and wait for more, one looks again, each `LOOK_AGAIN`, or
# `SELDOM` while nothing happens; the others sleep until it has found something. So one read serves
# everybody, nobody is woken to find nothing, and the cursors move together, in one transaction. If
# the one who looks is cancelled, or fails, the others are woken, and the first of them looks.
#
# Changes are looked for a few times a second instead of being signalled: other processes, perhaps
# on other machines, write them.

LOOK_AGAIN: Final = 0.25
"""Seconds between looks for changes, once all there were have been read."""
SELDOM: Final = 1.0
"""The same once none has come for a while."""
_QUIET: Final = 10.0

_PAGE: Final = 512
_KEPT: Final = _PAGE  # a kilobyte each: more would be memory that nobody needs who keeps up

_sequence = attrgetter("sequence")


class ChangeFeed:
    """Reads a log of changes for all its followers.

    Parameters
    ----------
    log : ChangeLog
    """

    def __init__(self, log: ChangeLog) -> None:
        self.log = log
        self._kept: deque[Change] = deque()
        self._after = -1
        self._due = 0.0
        self._found = 0.0
        self._reading = anyio.Lock(fast_acquire=True)
        self._is_watched = False
        self._news = anyio.Event()

    async def changes(self, after: int, limit: int) -> Sequence[Change]:
        """Return the first changes with a greater sequence, in order; none if it is not time yet.

        Raises
        ------
        ChangesLostError
            See :meth:`ChangeLog.changes`.
        """
        if not self._has(after) or self._is_to_read_on(after):
            async with self._reading:
                if 0 <= after < self._after:
                    return await self.log.changes(after, limit)
                if after > self._end:
                    # The first to ask, or who has caught up by reading for itself.
                    self._kept.clear()
                    self._after = after
                    await self._read_on()
                elif self._is_to_read_on(after):  # nobody did while this waited for the lock
                    await self._read_on()
        begin = bisect_right(self._kept, after, key=_sequence)
        return list(islice(self._kept, begin, begin + limit))

    async def pause(self) -> None:
        """Wait until it is time to look again."""
        await anyio.sleep_until(self._due)

    async def wait(self, after: int) -> None:
        """Wait until there are changes with a greater sequence, or it is time to look for them."""
        if after != self._end:
            await self.pause()
        while after == self._end:
            if self._is_watched:
                await self._news.wait()
            else:
                await self._watch(after)

    async def _watch(self, after: int) -> None:
        """Look for changes, for all who wait, until there are some."""
        self._is_watched = True
        try:
            while after == self._end:
                await self.pause()
                async with self._reading:
                    if self._is_to_read_on(after):
                        await self._read_on()
        finally:
            self._is_watched = False
            self._news.set()
            self._news = anyio.Event()

    @property
    def _end(self) -> int:
        return self._kept[-1].sequence if self._kept else self._after

    def _has(self, after: int) -> bool:
        return 0 <= self._after <= after <= self._end

    def _is_to_read_on(self, after: int) -> bool:
        return after == self._end and anyio.current_time() >= self._due

    async def _read_on(self) -> None:
        try:
            found = await self.log.changes(self._end, _PAGE)
        except BaseException:
            # Whatever it was, who begins again reads for itself.
            self._kept.clear()
            self._after = -1
            raise
        # After a full page there may be more, which nobody has to wait for.
        now = anyio.current_time()
        if found:
            self._found = now
        interval = LOOK_AGAIN if now - self._found < _QUIET else SELDOM
        self._due = 0.0 if len(found) == _PAGE else common_moment(interval)
        self._kept += found
        while len(self._kept) > _KEPT:
            self._after = self._kept.popleft().sequence
