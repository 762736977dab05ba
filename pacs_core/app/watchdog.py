"""Notices that something blocks the event loop, and says whose code it is."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from types import FrameType

from pacs_core.plugins import CodeMap, frame_of

# Theory of operation
#
# A thread looks twice in the time that the loop may be blocked. If the stack of the loop's
# thread shows the loop waiting, all is well, and nobody is woken. Else it asks the event loop to
# set an event and waits for that. If the answer is late, the loop's thread is in some code that
# does not return, and its stack says in which: the innermost frame that belongs to a plugin is
# named, else the innermost of all. If the stack shows the loop waiting by then, it is not blocked
# at all, but the process had no processor.
#
# One report is made for a blockage, however long it lasts, and one a minute for the same place: a
# log that fills up would be a second fault.

logger = logging.getLogger(__name__)

_SILENCE = 60.0  # seconds; the same place is not named more often
_CHECKS = 2  # in the time that the loop may be blocked
_IDLE = ("selectors.py", "runners.py")  # where a loop waits: asyncio's, and uvloop's, which is C


@asynccontextmanager
async def watched_loop(owners: CodeMap, limit: float) -> AsyncIterator[None]:
    """Watch the running event loop for the length of an ``async with`` block.

    Parameters
    ----------
    owners : CodeMap
        Tells plugins' code.
    limit : float
        Seconds that the loop may be blocked before it is logged; 0 watches nothing.
    """
    if not limit:
        yield
        return
    watchdog = _Watchdog(owners, limit)
    thread = threading.Thread(target=watchdog.watch, name="pacs loop watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watchdog.end()


class _Watchdog:
    """Asks the loop from a thread, twice in `limit`, to answer within `limit`."""

    def __init__(self, owners: CodeMap, limit: float) -> None:
        self._owners = owners
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._ended = threading.Event()
        self._named: dict[str, float] = {}

    def end(self) -> None:
        self._ended.set()

    def watch(self) -> None:
        while not self._ended.wait(self._limit / _CHECKS):
            if self._waits(sys._current_frames().get(self._watched)):
                continue
            answered = threading.Event()
            if not self._ask(answered.set):
                return
            if not answered.wait(self._limit):
                self._report()
                self._await(answered)

    def _ask(self, answer: Callable[[], None]) -> bool:
        try:
            self._loop.call_soon_threadsafe(answer)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _await(self, answered: threading.Event) -> None:
        while not answered.wait(self._limit) and not self._ended.is_set():
            pass

    @staticmethod
    def _waits(frame: FrameType | None) -> bool:
        """Tell whether an innermost frame is that of a loop that waits."""
        return frame is not None and os.path.basename(frame.f_code.co_filename) in _IDLE

    def _report(self) -> None:
        frame = sys._current_frames().get(self._watched)
        if frame is None or self._waits(frame):
            return  # it had no processor, or stood still with the whole process
        found = self._owners.innermost(frame)
        place = found[1] if found else frame_of(frame)
        key, now = f"{place.file}:{place.function}", monotonic()
        if now - self._named.get(key, -_SILENCE) < _SILENCE:
            return
        self._named[key] = now
        who = f"plugin {found[0].name} ({found[0].source})" if found else "code outside plugins"
        logger.warning(
            "the event loop is blocked for more than %g s by %s, at %s; nothing else is served",
            self._limit,
            who,
            place,
        )
